import type { CatalogInfo, CatalogSnapshot, FunctionInfo, TableInfo } from '../catalog/model.ts';
import { formatSecurableName, nameParts, type SecurableName } from '../kernel/securable-name.ts';
import type { PolicyDocuments } from './document.ts';

// What must exist for row tests to run: the tables that have rows, whatever else the policy names (or it would not
// compile), and the views that can stand on them. Pure.

export interface TestbedTable {
  readonly info: TableInfo;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

export interface Testbed {
  readonly catalogs: readonly CatalogInfo[];
  readonly schemas: readonly SecurableName[];
  readonly tables: readonly TestbedTable[];
  /** In an order in which each can be made. */
  readonly views: readonly TableInfo[];
  readonly functions: readonly FunctionInfo[];
  /** Unmanaged roles that grants let people act as. */
  readonly roles: readonly string[];
}

export function testbedOf(documents: PolicyDocuments, catalog: CatalogSnapshot): Testbed {
  const rows = new Map<SecurableName, Readonly<Record<string, unknown>>[]>();
  for (const table of documents.testTables)
    rows.set(table.name.value, [...(rows.get(table.name.value) ?? []), ...table.rows]);
  const wanted = relationsOf([...rows.keys(), ...namesIn(documents)], catalog);
  const tables = [...wanted]
    .map((name) => catalog.tables.get(name))
    .filter((info): info is TableInfo => info !== undefined && !isView(info) && !isSystem(info, catalog));
  const there = new Set(tables.map(({ name }) => name));
  return {
    catalogs: [...catalog.catalogs.values()],
    schemas: [...catalog.schemas],
    tables: tables.map((info) => ({ info, rows: rows.get(info.name) ?? [] })),
    views: standing(catalog, there),
    functions: namesIn(documents).flatMap((name) => catalog.functions.get(name) ?? []),
    roles: [
      ...new Set(documents.grants.flatMap(({ assume }) => (assume === undefined ? [] : [assume.value]))),
    ],
  };
}

/** Every securable that the policy itself names; what its tests name is not asked here. */
function namesIn({ owners, grants, assign, policies }: PolicyDocuments): readonly SecurableName[] {
  return [...owners, ...grants, ...assign, ...policies].flatMap(({ on }) => on.map(({ value }) => value));
}

/** Tables of these names, tables of columns, and what views among them read. */
function relationsOf(
  names: readonly SecurableName[],
  { tables }: CatalogSnapshot,
): ReadonlySet<SecurableName> {
  const found = new Set<SecurableName>();
  for (const name of names) {
    const parts = nameParts(name);
    if (parts.length >= 3) found.add(formatSecurableName(parts.slice(0, 3)));
  }
  for (const name of found) for (const read of tables.get(name)?.reads ?? []) found.add(read);
  return found;
}

/** Views all of whose tables are there, those that others read first. */
function standing(catalog: CatalogSnapshot, tables: ReadonlySet<SecurableName>): readonly TableInfo[] {
  const there = new Set(tables);
  const found: TableInfo[] = [];
  const open = [...catalog.tables.values()].filter(isView);
  for (let before = -1; before !== found.length; ) {
    before = found.length;
    for (const view of open) {
      const reads = view.reads ?? [];
      if (there.has(view.name) || reads.length === 0 || !reads.every((name) => there.has(name))) continue;
      there.add(view.name);
      found.push(view);
    }
  }
  return found;
}

function isView({ kind }: TableInfo): boolean {
  return kind === 'VIEW' || kind === 'MATERIALIZED_VIEW';
}

function isSystem({ name }: TableInfo, { catalogs }: CatalogSnapshot): boolean {
  return catalogs.get(formatSecurableName(nameParts(name).slice(0, 1)))?.kind === 'SYSTEM';
}
