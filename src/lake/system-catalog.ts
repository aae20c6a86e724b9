import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listSegments, listWriters } from '../audit/segment.ts';
import type { ColumnInfo, ColumnType, Discovered, TableInfo } from '../catalog/model.ts';
import { WritError } from '../kernel/errors.ts';
import { child, lastPart, parseSecurableName, type SecurableName } from '../kernel/securable-name.ts';
import { literal, type Sql, sql, trustedSql } from '../kernel/sql.ts';

// The catalog `system`: the audit segments as tables. Each is one `.sql` file in system/; what it selects is named and
// typed here, in the same order (a test holds the two together).

const text = 'VARCHAR';
const texts = 'VARCHAR[]';
const at = 'TIMESTAMP WITH TIME ZONE';

const tables: Readonly<Record<string, { comment: string; columns: Readonly<Record<string, string>> }>> = {
  audit: {
    comment:
      'One row per event: statements (begin and end joined), sign-ins, refusals, changes of policy and roles',
    columns: {
      event_time: at,
      event_date: 'DATE',
      event_id: text,
      kind: text,
      action_name: text,
      principal: text,
      credential: text,
      session_id: text,
      source_ip_address: text,
      application: text,
      catalog: text,
      command: text,
      statement: text,
      tables: texts,
      columns: texts,
      decision: text,
      reasons: texts,
      policy_version: text,
      rows: 'BIGINT',
      bytes: 'BIGINT',
      duration_ms: 'DOUBLE',
      sqlstate: text,
      message: text,
      statement_id: text,
      ended: 'BOOLEAN',
      summary: text,
      cluster: text,
      severity: text,
      credential_id: text,
      direct: 'BOOLEAN',
      login: text,
      purpose: text,
      ticket: text,
      issuer: text,
      subject: text,
      method: text,
      path: text,
      status: 'INTEGER',
      repository: text,
      ref: text,
      commit: text,
      author: text,
      signers: texts,
      approvers: texts,
      seq: 'BIGINT',
    },
  },
  sessions: {
    comment: 'One row per session that was opened',
    columns: {
      session_id: text,
      principal: text,
      credential: text,
      catalog: text,
      source_ip_address: text,
      application: text,
      login: text,
      started_at: at,
      ended_at: at,
      duration_ms: 'DOUBLE',
      statements: 'BIGINT',
      sqlstate: text,
      message: text,
    },
  },
  credentials: {
    comment: 'One row per credential that was issued',
    columns: {
      credential_id: text,
      principal: text,
      catalog: text,
      direct: 'BOOLEAN',
      issued_at: at,
      expires_at: at,
      revoked_at: at,
      revoked_by: text,
      purpose: text,
      ticket: text,
    },
  },
  policy_changes: {
    comment: 'Plans, applies and refusals of policy',
    columns: {
      event_time: at,
      kind: text,
      principal: text,
      policy_version: text,
      commit: text,
      summary: text,
      message: text,
    },
  },
  drift: {
    comment: 'What was found on clusters that Writ did not put there',
    columns: { event_time: at, cluster: text, severity: text, summary: text },
  },
};

/** Portable types of DuckDB's; what has none can be read, never used in a policy expression. */
export function portableType(engineType: string): ColumnType {
  if (/^DECIMAL/.test(engineType)) return 'numeric';
  return portable[engineType] ?? 'other';
}

const portable: Readonly<Record<string, ColumnType>> = {
  VARCHAR: 'text',
  TINYINT: 'integer',
  SMALLINT: 'integer',
  INTEGER: 'integer',
  UTINYINT: 'integer',
  USMALLINT: 'integer',
  BIGINT: 'bigint',
  UINTEGER: 'bigint',
  FLOAT: 'double',
  DOUBLE: 'double',
  BOOLEAN: 'boolean',
  DATE: 'date',
  TIMESTAMP: 'timestamp',
  'TIMESTAMP WITH TIME ZONE': 'timestamptz',
  UUID: 'uuid',
};

/** What the system catalog holds. `catalog`: its name, ordinarily `system`. */
export function systemCatalog(catalog: SecurableName = parseSecurableName('system')): Discovered {
  const schema = child(catalog, 'access');
  const found = Object.entries(tables).map(
    ([name, { comment, columns }]): TableInfo => ({
      name: child(schema, name),
      kind: 'VIEW',
      comment,
      columns: Object.entries(columns).map(
        ([column, engineType], i): ColumnInfo => ({
          name: column,
          type: portableType(engineType),
          engineType,
          position: i + 1,
          nullable: true,
          generated: false,
        }),
      ),
    }),
  );
  return { schemas: [schema], tables: found, functions: [], partitions: [] };
}

/** The SELECT behind one table of the system catalog, over the segments in `folder`. @throws no_such_table */
export function systemSource(table: SecurableName, folder: string): Sql {
  const name = lastPart(table);
  if (tables[name] === undefined) {
    throw new WritError('no_such_table', { message: `relation ${JSON.stringify(table)} does not exist` });
  }
  const events = fill(readSql('events'), '{source}', segmentSource(folder));
  return fill(readSql(name), '{events}', events);
}

/** The lines of all segments; empty while there is no segment (DuckDB refuses a pattern that finds nothing). */
function segmentSource(folder: string): Sql {
  const any = listWriters(folder).some((writer) => listSegments(folder, writer).length > 0);
  if (!any) return sql`(select null::bigint as seq, null::varchar as payload where false)`;
  const pattern = literal(join(folder, '*', '*.log'));
  return sql`read_csv(${pattern}, delim = '\t', quote = '', escape = '', comment = '#', header = false,
    auto_detect = false, ignore_errors = true, null_padding = false, max_line_size = 8388608, new_line = '\\n',
    columns = {'seq': 'BIGINT', 'leaf': 'VARCHAR', 'chain': 'VARCHAR', 'salt': 'VARCHAR', 'payload': 'VARCHAR'})`;
}

function readSql(name: string): string {
  return readFileSync(new URL(`./system/${name}.sql`, import.meta.url), 'utf8').replaceAll(/^--.*$/gm, '');
}

function fill(template: string, hole: string, by: Sql): Sql {
  return trustedSql(
    template.replaceAll(hole, () => by.text),
    'file',
  );
}
