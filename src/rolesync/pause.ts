import type { AuditLog } from '../audit/log-interface.ts';
import type { CatalogInfo } from '../catalog/model.ts';
import type { AdminConnection, Row } from '../fleet/cluster.ts';
import { retryTransient } from '../fleet/postgres-errors.ts';
import { WritError } from '../kernel/errors.ts';
import { nameParts, type SecurableName } from '../kernel/securable-name.ts';
import { literal, type Sql, sql } from '../kernel/sql.ts';

// For migrations where event triggers are not allowed: while a table is paused, no view of ours stands over it and
// nobody reads it through us. writ.paused remembers it, drift reports it, the reconciler leaves it alone.

export interface PauseContext {
  readonly connection: AdminConnection;
  readonly cluster: string;
  readonly catalog: CatalogInfo;
  readonly audit: AuditLog;
}

/** @throws no_such_table when no view of ours stands over it */
export async function pause(context: PauseContext, table: SecurableName): Promise<void> {
  const { schema, name } = placeOf(table);
  const known = await context.connection.query<{ known: boolean } & Row>(
    sql`select exists (select from writ.compiled_view where base_schema = ${literal(schema)} and base_name = ${literal(name)}) as known`,
  );
  if (known[0]?.known !== true)
    throw new WritError('no_such_table', {
      message: `${table} has no views of ours`,
      hint: 'only governed tables can be paused',
    });
  await inShortTransaction(context, [
    sql`insert into writ.paused (base_schema, base_name) values (${literal(schema)}, ${literal(name)}) on conflict do nothing`,
    sql`select writ.drop_view(v) from writ.compiled_view v where base_schema = ${literal(schema)} and base_name = ${literal(name)}`,
    sql`update writ.compiled_view set state = 'withdrawn', reason = 'paused' where base_schema = ${literal(schema)} and base_name = ${literal(name)}`,
  ]);
}

/** Ends the pause; the reconciler then makes the views. @throws no_such_table when it is not paused */
export async function resume(context: PauseContext, table: SecurableName): Promise<void> {
  const { schema, name } = placeOf(table);
  const known = await context.connection.query<{ known: boolean } & Row>(
    sql`select exists (select from writ.paused where base_schema = ${literal(schema)} and base_name = ${literal(name)}) as known`,
  );
  if (known[0]?.known !== true) throw new WritError('no_such_table', { message: `${table} is not paused` });
  await inShortTransaction(context, [
    sql`delete from writ.paused where base_schema = ${literal(schema)} and base_name = ${literal(name)}`,
  ]);
}

async function inShortTransaction(
  { connection, audit, cluster, catalog }: PauseContext,
  statements: readonly Sql[],
): Promise<void> {
  await retryTransient(
    () =>
      connection.transaction(async () => {
        await connection.query(sql`set local lock_timeout = '100ms'; set local writ.rebuilding = 'on'`);
        for (const statement of statements) {
          await connection.query(statement);
          audit.append({ kind: 'sync.operation', cluster, catalog: catalog.name, statement: statement.text });
        }
      }),
    { attempts: 40 },
  );
}

function placeOf(table: SecurableName): { schema: string; name: string } {
  const [, schema, name] = nameParts(table);
  if (schema === undefined || name === undefined)
    throw new WritError('no_such_table', { message: `${table} names no table` });
  return { schema, name };
}
