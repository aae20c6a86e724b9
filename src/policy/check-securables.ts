import type { CatalogSnapshot } from '../catalog/model.ts';
import type { Privilege } from '../kernel/privilege.ts';
import {
  child,
  formatSecurableName,
  isWithin,
  lastPart,
  metastore,
  nameParts,
  type SecurableName,
} from '../kernel/securable-name.ts';
import type { CheckInput } from './check.ts';
import type { GrantEntry, Placed, TestTable } from './document.ts';
import { didYouMean, type Findings } from './findings.ts';
import { grantableOn, grantableWhere, type Level } from './grantable.ts';

/** Names that the catalog does not have, privileges that mean nothing where they stand, grants that have expired. */
export function checkSecurables(input: CheckInput, findings: Findings): void {
  const { documents, catalog } = input;
  const expect = (on: Placed<SecurableName>, allowed: readonly Level[], what: string): Level | undefined => {
    const level = levelOf(catalog, on.value);
    if (level === undefined) {
      findings.error('unknown-securable', on.at, missingMessage(catalog, on.value));
      return undefined;
    }
    if (allowed.includes(level)) return level;
    findings.error('wrong-level', on.at, `${what} stand on ${allowed.join(', ')}, not on a ${level}`);
    return undefined;
  };
  const above: readonly Level[] = ['metastore', 'catalog', 'schema', 'table', 'function'];
  for (const entry of documents.owners) for (const on of entry.on) expect(on, above, 'owners');
  for (const grant of documents.grants) checkGrant(grant, input, findings, expect);
  for (const entry of documents.assign)
    for (const on of entry.on) expect(on, ['catalog', 'schema', 'table', 'column'], 'tags');
  for (const policy of documents.policies)
    for (const on of policy.on) expect(on, ['metastore', 'catalog', 'schema', 'table'], 'policies');
  for (const table of documents.testTables)
    if (expect(table.name, ['table'], 'rows') !== undefined) checkTestTable(table, catalog, findings);
  for (const invariant of documents.invariants)
    if (invariant.claim === 'onlyFor')
      for (const on of invariant.on)
        expect(on, ['metastore', 'catalog', 'schema', 'table', 'function'], 'privileges');
  for (const { check } of documents.tests)
    if (check.kind !== 'rows')
      expect(check.on, ['metastore', 'catalog', 'schema', 'table', 'function', 'column'], 'tests');
}

/** Rows are given to tables that an engine can be filled with, by columns that they have. */
function checkTestTable({ name, columns }: TestTable, catalog: CatalogSnapshot, findings: Findings): void {
  const table = catalog.tables.get(name.value);
  const kind = catalog.catalogs.get(formatSecurableName(nameParts(name.value).slice(0, 1)))?.kind;
  if (kind === 'SYSTEM' || isView(catalog, name.value)) {
    const what = kind === 'SYSTEM' ? 'a table of the system catalog' : 'a view: give rows to what it reads';
    findings.error('wrong-level', name.at, `rows are given to tables; ${name.value} is ${what}`);
    return;
  }
  const known = table?.columns.map((column) => column.name) ?? [];
  for (const column of columns)
    if (!known.includes(column.value))
      findings.error(
        'unknown-securable',
        column.at,
        `no such column ${child(name.value, column.value)}${didYouMean(column.value, known)}`,
      );
}

function checkGrant(
  grant: GrantEntry,
  { catalog, now }: CheckInput,
  findings: Findings,
  expect: (on: Placed<SecurableName>, allowed: readonly Level[], what: string) => Level | undefined,
): void {
  if (grant.expires !== undefined && grant.expires.value <= now)
    findings.warning('expired-grant', grant.expires.at, 'this grant has expired and gives nothing');
  for (const on of grant.on) {
    if (grant.assume !== undefined) {
      const level = expect(on, ['catalog'], 'assumed roles');
      if (level !== undefined && catalog.catalogs.get(on.value)?.kind !== 'POSTGRES')
        findings.error('wrong-level', on.at, 'roles are assumed on POSTGRES catalogs');
      continue;
    }
    const level = expect(on, ['metastore', 'catalog', 'schema', 'table', 'function'], 'grants');
    if (level === undefined) continue;
    for (const privilege of grant.privileges) checkPrivilege(privilege, level, on.value, catalog, findings);
  }
}

function checkPrivilege(
  privilege: Placed<Privilege>,
  level: Level,
  on: SecurableName,
  catalog: CatalogSnapshot,
  findings: Findings,
): void {
  const { value, at } = privilege;
  const kind = catalog.tables.get(on)?.kind;
  const here = `the ${level}${level === 'metastore' ? '' : ` ${on}`}`;
  if (!grantableOn[value].includes(level)) {
    const where =
      level === 'metastore'
        ? 'catalogs and below: grants on the metastore are not inherited'
        : grantableWhere(value);
    findings.error('wrong-level', at, `${value} is granted on ${where}, not on ${here}`);
  } else if (level === 'table' && value === 'REFRESH' && kind !== 'MATERIALIZED_VIEW')
    findings.error('wrong-level', at, `${value} is granted on materialized views, not on ${here}`);
  else if (level === 'table' && value === 'MODIFY' && isView(catalog, on))
    findings.warning('modify-on-view', at, `${on} is a view: MODIFY on it gives nothing`);
}

function isView(catalog: CatalogSnapshot, on: SecurableName): boolean {
  const kind = catalog.tables.get(on)?.kind;
  return kind === 'VIEW' || kind === 'MATERIALIZED_VIEW';
}

/** What a name is in the catalog; undefined when it is nothing. */
export function levelOf(catalog: CatalogSnapshot, on: SecurableName): Level | undefined {
  if (on === metastore) return 'metastore';
  if (catalog.catalogs.has(on)) return 'catalog';
  if (catalog.schemas.has(on)) return 'schema';
  if (catalog.tables.has(on)) return 'table';
  if (catalog.functions.has(on)) return 'function';
  const parts = nameParts(on);
  if (parts.length !== 4) return undefined;
  const table = catalog.tables.get(formatSecurableName(parts.slice(0, 3)));
  return table?.columns.some((column) => column.name === parts[3]) ? 'column' : undefined;
}

/** `no such table shop.public.custmers, did you mean …`: names the first part that is missing. */
export function missingMessage(catalog: CatalogSnapshot, on: SecurableName): string {
  const parent = catalog.partitions.get(on);
  if (parent !== undefined) return `${on} is a partition: name its parent ${parent}`;
  const parts = nameParts(on);
  const length = [1, 2, 3, 4].find(
    (n) => n <= parts.length && levelOf(catalog, formatSecurableName(parts.slice(0, n))) === undefined,
  );
  const missing = formatSecurableName(parts.slice(0, length ?? parts.length));
  const depth = nameParts(missing).length;
  const what = ['catalog', 'schema', 'table', 'column'][depth - 1] ?? 'securable';
  const written = lastPart(missing);
  const close = didYouMean(written, siblings(catalog, missing, depth));
  return `no such ${what} ${missing}${close}`;
}

function siblings(catalog: CatalogSnapshot, missing: SecurableName, depth: number): readonly string[] {
  if (depth === 1) return [...catalog.catalogs.keys()].map(lastPart);
  const parent = formatSecurableName(nameParts(missing).slice(0, depth - 1));
  if (depth === 2) return [...catalog.schemas].filter((name) => isWithin(name, parent)).map(lastPart);
  if (depth === 3) return [...catalog.tables.keys()].filter((name) => isWithin(name, parent)).map(lastPart);
  return catalog.tables.get(parent)?.columns.map((column) => column.name) ?? [];
}
