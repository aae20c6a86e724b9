import { readFileSync } from 'node:fs';
import type {
  CascadeInfo,
  ColumnInfo,
  ColumnType,
  Discovered,
  FunctionInfo,
  PartitionInfo,
  TableInfo,
  TableKind,
} from '../catalog/model.ts';
import { formatSecurableName, nameParts, type SecurableName } from '../kernel/securable-name.ts';
import { type Sql, sql, trustedSql } from '../kernel/sql.ts';
import type { AdminConnection } from './cluster.ts';

const file = (name: string): Sql =>
  trustedSql(readFileSync(new URL(`./${name}.sql`, import.meta.url), 'utf8'), 'file');
const queries = {
  schemas: sql`
    select n.nspname::text as schema from pg_namespace n
    where n.nspname !~ '^(pg_|writ_)' and n.nspname not in ('information_schema', 'writ')
      and not exists (select from pg_depend d where d.classid = 'pg_namespace'::regclass
                      and d.objid = n.oid and d.deptype = 'e')
    order by 1`,
  relations: file('discover-relations'),
  columns: file('discover-columns'),
  reads: file('discover-reads'),
  functions: file('discover-functions'),
  effects: file('discover-effects'),
};

/**
 * What one database holds, seen in one snapshot. Left out: extension members, Postgres's own schemas, and ours
 * (`writ`, `writ_…`). Partitions are listed apart, with their root. Names in view definitions are qualified.
 */
export async function discoverDatabase(
  connection: AdminConnection,
  catalog: SecurableName,
): Promise<Discovered> {
  const rows = await connection.transaction(() => readAll(connection));
  const catalogParts = nameParts(catalog);
  const nameOf = (schema: string, name: string): SecurableName =>
    formatSecurableName([...catalogParts, schema, name]);
  const columns = groupBy(rows.columns, (row) => row.oid);
  const reads = groupBy(rows.reads, (row) => row.oid);
  const effects = groupBy(rows.effects, (row) => row.oid);
  const tables: TableInfo[] = [];
  const partitions: PartitionInfo[] = [];
  for (const relation of rows.relations) {
    const name = nameOf(relation.schema, relation.name);
    if (relation.root_schema !== null && relation.root_name !== null) {
      partitions.push({ name, parent: nameOf(relation.root_schema, relation.root_name) });
    } else {
      const table = tableOf(relation, name, columns.get(relation.oid), reads.get(relation.oid), nameOf);
      tables.push({ ...table, ...effectsOf(effects.get(relation.oid) ?? [], nameOf) });
    }
  }
  return {
    schemas: rows.schemas.map((row) => formatSecurableName([...catalogParts, row.schema])),
    tables,
    functions: rows.functions.map((row) => functionOf(row, nameOf(row.schema, row.name))),
    partitions,
  };
}

interface RelationRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly owner: string;
  readonly comment: string | null;
  readonly definition: string | null;
  readonly root_schema: string | null;
  readonly root_name: string | null;
}
interface ColumnRow {
  readonly oid: number;
  readonly name: string;
  readonly position: number;
  readonly engine_type: string;
  readonly type_name: string | null;
  readonly nullable: boolean;
  readonly generated: boolean;
}
interface ReadsRow {
  readonly what: 'reads' | 'sequence';
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}
interface EffectRow {
  readonly what: 'trigger' | 'cascade';
  readonly oid: number;
  readonly name: string;
  /** Where the foreign key is, and pg_constraint's letters of its actions; null for triggers. */
  readonly schema: string | null;
  readonly table: string | null;
  readonly on_delete: string | null;
  readonly on_update: string | null;
}
interface FunctionRow {
  readonly schema: string;
  readonly name: string;
  readonly signature: string;
  readonly kind: string;
  readonly security_definer: boolean;
  readonly owner: string;
}

async function readAll(connection: AdminConnection) {
  // An empty search_path makes pg_get_viewdef and format_type qualify every name.
  await connection.query(
    sql`set transaction isolation level repeatable read, read only; set local search_path = ''`,
  );
  const rows = <R extends object>(query: Sql): Promise<readonly (R & Record<string, unknown>)[]> =>
    connection.query<R & Record<string, unknown>>(query);
  return {
    schemas: await rows<{ readonly schema: string }>(queries.schemas),
    relations: await rows<RelationRow>(queries.relations),
    columns: await rows<ColumnRow>(queries.columns),
    reads: await rows<ReadsRow>(queries.reads),
    functions: await rows<FunctionRow>(queries.functions),
    effects: await rows<EffectRow>(queries.effects),
  };
}

const tableKinds: Readonly<Record<string, TableKind>> = {
  r: 'TABLE',
  p: 'PARTITIONED_TABLE',
  v: 'VIEW',
  m: 'MATERIALIZED_VIEW',
  f: 'FOREIGN_TABLE',
};

function tableOf(
  row: RelationRow,
  name: SecurableName,
  columns: readonly ColumnRow[] = [],
  related: readonly ReadsRow[] = [],
  nameOf: (schema: string, name: string) => SecurableName,
): TableInfo {
  const reads = related.filter((one) => one.what === 'reads').map((one) => nameOf(one.schema, one.name));
  const sequences = related
    .filter((one) => one.what === 'sequence')
    .map((one) => formatSecurableName([one.schema, one.name]));
  return {
    name,
    kind: tableKinds[row.kind] ?? 'TABLE',
    columns: columns.map(columnOf),
    engineOwner: row.owner,
    oid: row.oid,
    ...(row.definition === null ? {} : { definition: row.definition, reads }),
    ...(sequences.length === 0 ? {} : { sequences }),
    ...(row.comment === null ? {} : { comment: row.comment }),
  };
}

const writingActions: Readonly<Record<string, string>> = { c: 'CASCADE', n: 'SET NULL', d: 'SET DEFAULT' };

/** What a change of the table's rows brings with it; keys are absent where there is nothing. */
function effectsOf(
  rows: readonly EffectRow[],
  nameOf: (schema: string, name: string) => SecurableName,
): Pick<TableInfo, 'triggers' | 'cascades'> {
  const triggers = rows.filter((row) => row.what === 'trigger').map((row) => row.name);
  const cascades = rows
    .filter((row) => row.what === 'cascade')
    .map((row): CascadeInfo => {
      const onDelete = writingActions[row.on_delete ?? ''];
      const onUpdate = writingActions[row.on_update ?? ''];
      return {
        constraint: row.name,
        table: nameOf(row.schema ?? '', row.table ?? ''),
        actions: [
          ...(onDelete === undefined ? [] : [`ON DELETE ${onDelete}`]),
          ...(onUpdate === undefined ? [] : [`ON UPDATE ${onUpdate}`]),
        ],
      };
    });
  return {
    ...(triggers.length === 0 ? {} : { triggers }),
    ...(cascades.length === 0 ? {} : { cascades }),
  };
}

/** Only types whose values mean the same in every engine; `real`, `character(n)` and `citext` do not. */
const portableTypes: Readonly<Record<string, ColumnType>> = {
  text: 'text',
  varchar: 'text',
  int2: 'integer',
  int4: 'integer',
  int8: 'bigint',
  numeric: 'numeric',
  float8: 'double',
  bool: 'boolean',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  uuid: 'uuid',
};

function columnOf(row: ColumnRow): ColumnInfo {
  return {
    name: row.name,
    type: portableTypes[row.type_name ?? ''] ?? 'other',
    engineType: row.engine_type,
    position: row.position,
    nullable: row.nullable,
    generated: row.generated,
  };
}

const functionKinds: Readonly<Record<string, FunctionInfo['kind']>> = {
  f: 'FUNCTION',
  p: 'PROCEDURE',
  a: 'AGGREGATE',
  w: 'WINDOW',
};

function functionOf(row: FunctionRow, name: SecurableName): FunctionInfo {
  return {
    name,
    signature: row.signature,
    kind: functionKinds[row.kind] ?? 'FUNCTION',
    securityDefiner: row.security_definer,
    engineOwner: row.owner,
  };
}

function groupBy<T, K>(rows: readonly T[], keyOf: (row: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group === undefined) groups.set(keyOf(row), [row]);
    else group.push(row);
  }
  return groups;
}
