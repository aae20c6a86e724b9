import type { AuditLog } from '../audit/log-interface.ts';
import type { CatalogInfo } from '../catalog/model.ts';
import type { AdminConnection, Cluster, Row } from '../fleet/cluster.ts';
import { retryTransient } from '../fleet/postgres-errors.ts';
import { identifier, type Sql, sql } from '../kernel/sql.ts';
import { unharden } from './harden.ts';

// Leaves nothing of ours in any database of a cluster: views, schemas, event triggers, grants, settings, roles, logins;
// and gives back what harden took. What others own is left as it is; ACLs are as before the first apply.

export interface UninstallOptions {
  readonly cluster: Cluster;
  readonly catalog: CatalogInfo;
  readonly audit: AuditLog;
}

/** @returns what went, in words */
export async function uninstall({ cluster, audit }: UninstallOptions): Promise<readonly string[]> {
  const removed: string[] = [];
  const done =
    (connection: AdminConnection) =>
    async (statement: Sql, words?: string): Promise<void> => {
      await connection.query(statement);
      audit.append({ kind: 'sync.operation', cluster: cluster.name, statement: statement.text });
      if (words !== undefined) removed.push(words);
    };
  const databases = await cluster.databases();
  const [first = 'postgres'] = databases;
  // Logins first: whoever is connected on one of ours is put out, and nobody comes in any more.
  await cluster.withAdmin(first, (connection) => closeLogins(connection, done(connection)));
  for (const database of databases) {
    await cluster.withAdmin(database, async (connection) => {
      await retryTransient(
        () =>
          connection.transaction(async () => {
            await unharden(connection, (statement) =>
              audit.append({ kind: 'sync.operation', cluster: cluster.name, statement }),
            );
            await clearDatabase(connection, database, done(connection));
          }),
        { attempts: 40 },
      );
    });
  }
  await cluster.withAdmin(first, async (connection) => {
    for (const { name } of await ourRoles(connection))
      await done(connection)(sql`drop role ${identifier(name)}`, `role ${name}`);
  });
  return removed;
}

type Run = (statement: Sql, words?: string) => Promise<void>;

async function closeLogins(connection: AdminConnection, run: Run): Promise<void> {
  const logins = await connection.query<{ name: string } & Row>(
    sql`select rolname::text as name from pg_roles where rolname ~ '^writ_l_' order by 1`,
  );
  for (const { name } of logins) await run(sql`alter role ${identifier(name)} nologin`);
  await connection.query(
    sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename ~ '^writ_l_'`,
  );
}

async function clearDatabase(connection: AdminConnection, database: string, run: Run): Promise<void> {
  await connection.query(sql`set local lock_timeout = '500ms'; set local writ.rebuilding = 'on'`);
  const triggers = await connection.query<{ name: string } & Row>(
    sql`select evtname::text as name from pg_event_trigger where evtname in ('writ_ddl_start', 'writ_ddl_end')`,
  );
  for (const { name } of triggers)
    await run(sql`drop event trigger ${identifier(name)}`, `event trigger ${name} in ${database}`);
  const schemas = await connection.query<{ name: string } & Row>(sql`
    select nspname::text as name from pg_namespace where nspname ~ '^writ(_|$)' and pg_get_userbyid(nspowner) = 'writ_owner' order by 1 desc`);
  for (const { name } of schemas)
    await run(sql`drop schema ${identifier(name)} cascade`, `schema ${name} in ${database}`);
  // What is left are grants, settings and things that a person made on a login of ours.
  const roles = await ourRoles(connection);
  for (const { name } of roles) {
    await run(sql`drop owned by ${identifier(name)} cascade`);
    await run(sql`alter role ${identifier(name)} in database ${identifier(database)} reset all`);
  }
}

/** Members before what they are members of, so that each can be dropped. */
async function ourRoles(connection: AdminConnection): Promise<readonly { name: string }[]> {
  return connection.query<{ name: string } & Row>(sql`
    select rolname::text as name from pg_roles r
    where rolname ~ '^writ_l_' or (rolname ~ '^writ_' and shobj_description(r.oid, 'pg_authid') like 'writ:%')
    order by rolname !~ '^writ_l_', rolname in ('writ_owner', 'writ_managed'), 1`);
}
