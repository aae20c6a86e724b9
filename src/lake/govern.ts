import { resolve } from 'node:path';
import type { CatalogInfo, TableInfo } from '../catalog/model.ts';
import { WritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { lastPart, nameParts, type SecurableName } from '../kernel/securable-name.ts';
import { join, literal, type Sql, sql, wideIdentifier } from '../kernel/sql.ts';
import { printDuckdb } from '../policy/expression/print-duckdb.ts';
import type { PrintContext } from '../policy/expression/printer.ts';
import type { BoundRules, Snapshot } from '../policy/model.ts';
import { systemSource } from './system-catalog.ts';
import type { GovernedViews } from './worker-process.ts';

// One governed view per table and person: the files, the rows that the person may see, the columns masked. The views
// stand in the person's own worker, so what a text can name there is governed whatever the text is.

/** Names that DuckDB keeps for itself; a catalog of such a name has another one inside. */
const reserved: ReadonlySet<string> = new Set([
  'system',
  'temp',
  'memory',
  'pg_catalog',
  'information_schema',
  'main',
]);

/** Name of the attached database that holds a catalog's views. */
export function databaseName(catalog: SecurableName): string {
  const name = lastPart(catalog);
  return reserved.has(name.toLowerCase()) ? `writ_${name}` : name;
}

export interface GovernOptions {
  readonly snapshot: Snapshot;
  readonly principal: PrincipalName;
  readonly catalog: CatalogInfo;
  /** The local operator on the system catalog: no rules. */
  readonly asOperator: boolean;
}

export function governedViews(tables: Iterable<TableInfo>, options: GovernOptions): GovernedViews {
  const views = new Map<string, string>();
  for (const info of tables) {
    views.set(viewName(options.catalog.name, info.name).text, governedSelect(info, options).text);
  }
  const version = options.asOperator ? `operator ${options.snapshot.id}` : options.snapshot.id;
  return { version, views: [...views].map(([name, text]) => ({ name, sql: text })) };
}

function viewName(catalog: SecurableName, table: SecurableName): Sql {
  const [, schema = '', name = ''] = nameParts(table);
  return join([databaseName(catalog), schema, name].map(wideIdentifier), '.');
}

/** The SELECT behind a view. Pure but for the `.sql` files of the system catalog. */
export function governedSelect(info: TableInfo, options: GovernOptions): Sql {
  const { snapshot, principal } = options;
  const rules: BoundRules | undefined = options.asOperator
    ? undefined
    : snapshot.boundRules(principal, info.name);
  const columns = info.columns.map((column) => {
    const mask = rules?.masks.get(column.name);
    const shown = wideIdentifier(column.name);
    if (mask === undefined) return sql`base.${shown}`;
    return sql`${printDuckdb(mask.expression, contextOf(snapshot, principal, mask.bindings))} as ${shown}`;
  });
  const filters = (rules?.filters ?? []).map(
    (filter) => sql`(${printDuckdb(filter.expression, contextOf(snapshot, principal, filter.bindings))})`,
  );
  const where = filters.length === 0 ? sql`` : sql` where ${join(filters, ' and ')}`;
  return sql`select ${join(columns)} from ${sourceOf(info, options.catalog)} as base${where}`;
}

function sourceOf(info: TableInfo, catalog: CatalogInfo): Sql {
  const location = catalog.location;
  if (location === undefined) {
    throw new WritError('unreachable', { message: `the catalog ${catalog.name} has no location` });
  }
  if (catalog.kind === 'SYSTEM') return sql`(${systemSource(info.name, resolve(location))})`;
  const files = (info.files ?? []).map((file) => literal(resolve(location, file)));
  return sql`read_parquet([${join(files)}], hive_partitioning = false, union_by_name = false)`;
}

/** Identity functions become the person's own values; DuckDB folds them. */
function contextOf(
  snapshot: Snapshot,
  principal: PrincipalName,
  bindings: ReadonlyMap<string, string>,
): PrintContext {
  const groups: ReadonlySet<string> = snapshot.groupsOf(principal);
  const attributes = snapshot.attributes(principal);
  return {
    column: (name) => sql`base.${wideIdentifier(bindings.get(name) ?? name)}`,
    principal: () => literal(principal),
    isMember: (group) => (groups.has(group) ? sql`true` : sql`false`),
    attribute: (name) => sql`[${join((attributes.get(name) ?? []).map(literal))}]::varchar[]`,
    attributeValues: (name) => attributes.get(name) ?? [],
  };
}
