import type { CatalogSnapshot, TableInfo } from '../catalog/model.ts';
import { WritError } from '../kernel/errors.ts';
import {
  child,
  formatSecurableName,
  lastPart,
  nameParts,
  type SecurableName,
} from '../kernel/securable-name.ts';
import { Unsupported } from './unsupported.ts';
import type { ColumnUse, TableUse, Uses } from './walk.ts';

// Names in a statement → securables. DuckDB compares names without case, so we do. Pure.

export interface ResolvedTable {
  readonly use: TableUse;
  readonly info: TableInfo;
}

/** Schemas of a catalog, by name. */
export function schemasOf(snapshot: CatalogSnapshot, catalog: SecurableName): readonly string[] {
  return [...snapshot.schemas]
    .filter((schema) => nameParts(schema).length === 2 && schema.startsWith(`${catalog}.`))
    .map(lastPart)
    .sort();
}

/** @throws no_such_table, refused_on_purpose (another catalog) */
export function resolveTables(
  uses: Uses,
  snapshot: CatalogSnapshot,
  catalog: SecurableName,
): readonly ResolvedTable[] {
  const byName = new Map<string, TableInfo>();
  for (const info of snapshot.tables.values()) {
    if (info.name.startsWith(`${catalog}.`)) byName.set(keyOf(nameParts(info.name).slice(1)), info);
  }
  const schemas = schemasOf(snapshot, catalog);
  return uses.tables.map((use) => ({ use, info: resolveTable(use, byName, schemas, catalog) }));
}

function resolveTable(
  use: TableUse,
  byName: ReadonlyMap<string, TableInfo>,
  schemas: readonly string[],
  catalog: SecurableName,
): TableInfo {
  if (use.catalog !== '' && use.catalog.toLowerCase() !== lastPart(catalog).toLowerCase()) {
    throw new WritError('refused_on_purpose', {
      message: `this session is on the catalog ${catalog}; it cannot read ${JSON.stringify(use.catalog)}`,
      hint: 'connect with dbname set to that catalog',
    });
  }
  const candidates = use.schema === '' ? schemas : [use.schema];
  for (const schema of candidates) {
    const found = byName.get(keyOf([schema, use.table]));
    if (found !== undefined) return found;
  }
  if (/^(pg_catalog|information_schema)$/i.test(use.schema) || /^(pg|duckdb|sqlite)_/i.test(use.table)) {
    const hint = `\`writ catalog ls ${lastPart(catalog)}\` lists tables; DESCRIBE table tells the columns`;
    throw new Unsupported(`the engine's own catalog (${use.table})`, hint);
  }
  const shown = [use.catalog, use.schema, use.table].filter((part) => part !== '').join('.');
  throw new WritError('no_such_table', { message: `relation ${JSON.stringify(shown)} does not exist` });
}

const keyOf = (parts: readonly string[]): string => JSON.stringify(parts.map((part) => part.toLowerCase()));

/**
 * Columns that the statement may read, for the record: rather too many than too few (a name counts for every table of
 * the statement that has it; `*` counts for all).
 */
export function resolveColumns(uses: Uses, tables: readonly ResolvedTable[]): readonly SecurableName[] {
  const named = new Set(uses.columns.flatMap((column) => column.parts.map((part) => part.toLowerCase())));
  const found = new Set<SecurableName>();
  for (const { use, info } of tables) {
    const whole = uses.allColumns || isWholeRow(uses.columns, use);
    for (const column of info.columns) {
      if (whole || named.has(column.name.toLowerCase())) found.add(child(info.name, column.name));
    }
  }
  return [...found].sort();
}

/** `select t from t`: the row as a value. */
function isWholeRow(columns: readonly ColumnUse[], use: TableUse): boolean {
  const names = [use.alias, use.table].map((name) => name.toLowerCase());
  return columns.some((column) => names.includes(column.parts.at(-1)?.toLowerCase() ?? ''));
}

/** `catalog.schema` of a table. */
export function schemaOf(table: SecurableName): SecurableName {
  return formatSecurableName(nameParts(table).slice(0, 2));
}
