import { WritError } from '../kernel/errors.ts';
import { type PrincipalName, parsePrincipalName } from '../kernel/principal.ts';
import { identifier, join, literal, type Sql, sql } from '../kernel/sql.ts';
import type { AdminConnection, Cluster } from './cluster.ts';
import { isTransient, retryTransient } from './postgres-errors.ts';
import { type Door, principalRole, type RoleName } from './role-names.ts';

// Login roles: one per credential, made and dropped here and nowhere else. A login holds nothing of its own; it is a
// member of its principal's role for one door, and a row in writ.lease says whose it is and until when.

export interface NewLogin {
  readonly role: RoleName;
  readonly principal: PrincipalName;
  readonly door: Door;
  readonly database: string;
  /** Which gateway process or installation made it. */
  readonly instance: string;
  /** SCRAM verifier; none: the login has no password until one is set. */
  readonly verifier?: string;
  /** Milliseconds since the epoch; VALID UNTIL. */
  readonly validUntil: number;
  /** End of the lease by the server's clock (gateway logins, renewed), or a moment in ms (direct logins). */
  readonly lease: { readonly seconds: number } | { readonly until: number };
  /** Id of the credential that the login was made for. */
  readonly credential?: string;
  /** ALTER ROLE … IN DATABASE … SET search_path. */
  readonly searchPath?: readonly string[];
}

/** The role's comment: whose login it is, for those who look at the cluster and for the next start. */
export interface LoginNote {
  readonly principal: PrincipalName;
  readonly door: Door;
  readonly database: string;
  readonly instance: string;
}

/** A moment that has passed on every server: VALID UNTIL of a login that nobody may use to sign in. */
export const longPast = 0;

/**
 * Makes the login in one transaction, so that whoever sees the role sees its lease.
 * @throws permission_denied when the principal has no role for this door in the cluster; conflict when nothing of
 *   ours is installed there
 */
export async function createLogin(cluster: Cluster, login: NewLogin): Promise<void> {
  const version = await cluster.version();
  const parent = principalRole(login.principal, login.door);
  await retryTransient(() =>
    cluster.withAdmin(login.database, (connection) =>
      connection.transaction(async () => {
        await requireRole(connection, parent, login);
        await connection.query(createStatements(login, parent, version));
        await connection.query(
          sql`insert into writ.lease (login, principal, door, expires_at, credential)
            values ($1, $2, $3, ${leaseEnd(login.lease)}, $4)`,
          [login.role, login.principal, login.door, login.credential ?? null],
        );
      }),
    ),
  );
}

/**
 * Ends a login for good: lease, sessions, membership, whatever it owns anywhere in the cluster, the role. The first
 * two take effect at once and wait for no lock. A login that is gone already is no error.
 */
export async function dropLogin(cluster: Cluster, database: string, login: string): Promise<void> {
  await cluster.withAdmin(database, async (connection) => {
    await withLeases(connection, endLease(login));
    await connection.query(terminate, [login]);
  });
  await retryDropped(async () => {
    const homes = await cluster.withAdmin(database, (connection) => disarm(connection, cluster.name, login));
    if (homes === undefined) return;
    for (const home of new Set(homes)) {
      await cluster.withAdmin(home, (connection) => connection.query(dropOwned(login)));
    }
    await cluster.withAdmin(database, (connection) => connection.query(sql`drop role ${identifier(login)}`));
  });
  await cluster.withAdmin(database, (connection) =>
    withLeases(connection, sql`delete from writ.lease where login = ${literal(login)}`),
  );
}

/** Logins of one door in a cluster, with what their comments say; undefined: no comment of ours. */
export async function listLogins(
  connection: AdminConnection,
  door: Door,
): Promise<readonly { readonly login: string; readonly note: LoginNote | undefined }[]> {
  const prefix = door === 'gateway' ? 'writ_l_g_' : 'writ_l_d_';
  const rows = await connection.query<{ login: string; note: string | null }>(
    sql`select rolname::text as login, shobj_description(oid, 'pg_authid') as note
      from pg_roles where starts_with(rolname::text, $1) order by 1`,
    [prefix],
  );
  return rows.map((row) => ({ login: row.login, note: parseNote(row.note) }));
}

/** Runs a statement about writ.lease; none of its rows where the schema is not (or no longer) installed. */
export async function withLeases<R extends Record<string, unknown>>(
  connection: AdminConnection,
  statement: Sql,
  parameters?: readonly unknown[],
): Promise<readonly R[]> {
  try {
    return await connection.query<R>(statement, parameters);
  } catch (error) {
    if (error instanceof WritError && ['42P01', '3F000'].includes(error.sqlstate)) return [];
    throw error;
  }
}

export function timestamp(ms: number): Sql {
  return sql`${literal(new Date(ms).toISOString())}::timestamptz`;
}

async function requireRole(connection: AdminConnection, role: RoleName, login: NewLogin): Promise<void> {
  const found = await connection.query<{ role: boolean; governed: boolean }>(
    sql`select exists (select from pg_roles where rolname = $1) as role, to_regclass('writ.lease') is not null as governed`,
    [role],
  );
  if (found[0]?.governed !== true)
    throw new WritError('conflict', {
      sqlstate: '55000',
      message: `the database ${JSON.stringify(login.database)} is not governed at present`,
      detail: 'nothing of ours is installed in it: no policy was applied there yet, or it was uninstalled',
      hint: '`writ sync apply` installs it (again); whoever manages the metastore can run it',
    });
  if (found[0].role) return;
  throw new WritError('permission_denied', {
    message: `permission denied for database ${JSON.stringify(login.database)}`,
    detail: `${login.principal} has no role in this database: no USE CATALOG, or the policy has not been applied here yet`,
  });
}

function createStatements(login: NewLogin, parent: RoleName, version: number): Sql {
  const role = identifier(login.role);
  // SET FALSE (16 and later) keeps SET ROLE to the parent from changing current_user.
  const options = version >= 160_000 ? sql` with inherit true, set false` : sql``;
  const password = login.verifier === undefined ? sql`null` : literal(login.verifier);
  const note: LoginNote = {
    principal: login.principal,
    door: login.door,
    database: login.database,
    instance: login.instance,
  };
  const statements = [
    sql`create role ${role} login nosuperuser nocreaterole nocreatedb nobypassrls noreplication inherit
      password ${password} valid until ${literal(new Date(login.validUntil).toISOString())}`,
    sql`comment on role ${role} is ${literal(JSON.stringify(note))}`,
    sql`grant ${identifier(parent)} to ${role}${options}`,
  ];
  if (login.searchPath !== undefined) {
    const path = join(login.searchPath.map(identifier));
    statements.push(
      sql`alter role ${role} in database ${identifier(login.database)} set search_path = ${path}`,
    );
  }
  return join(statements, '; ');
}

function leaseEnd(lease: NewLogin['lease']): Sql {
  return 'until' in lease
    ? timestamp(lease.until)
    : sql`clock_timestamp() + make_interval(secs => ${literal(String(lease.seconds))})`;
}

function endLease(login: string): Sql {
  return sql`update writ.lease set revoked_at = coalesce(revoked_at, clock_timestamp())
    where login = ${literal(login)}`;
}

/** Our event triggers would take DROP OWNED for the application's DDL and make every shadow view anew. */
function dropOwned(login: string): Sql {
  return sql`begin; set local writ.rebuilding = 'on'; drop owned by ${identifier(login)}; commit`;
}

const terminate = sql`select pg_terminate_backend(pid) from pg_stat_activity
  where usename = $1 and backend_type = 'client backend'`;

/**
 * Takes sign-in and memberships away, ends the sessions, and finds the databases where something depends on the role.
 * @returns undefined when there is no such role
 */
async function disarm(
  connection: AdminConnection,
  cluster: string,
  login: string,
): Promise<readonly string[] | undefined> {
  const gone = await connection.transaction(async () => {
    const parents = await connection.query<{ rolname: string | null }>(
      sql`select r.rolname::text from pg_roles l
        left join pg_auth_members m on m.member = l.oid left join pg_roles r on r.oid = m.roleid
        where l.rolname = $1`,
      [login],
    );
    if (parents.length === 0) return true;
    await connection.query(sql`alter role ${identifier(login)} nologin password null`);
    for (const { rolname } of parents) {
      if (rolname !== null)
        await connection.query(sql`revoke ${identifier(rolname)} from ${identifier(login)}`);
    }
    await inheritIfNoSuperuser(connection, login);
    return false;
  });
  if (gone) return undefined;
  await endSessions(connection, cluster, login);
  const homes = await connection.query<{ datname: string }>(
    sql`select distinct coalesce(d.datname::text, current_database()::text) as datname
      from pg_shdepend s left join pg_database d on d.oid = s.dbid
      where s.refclassid = 'pg_authid'::regclass and s.refobjid = (select oid from pg_roles where rolname = $1)`,
    [login],
  );
  return homes.map((home) => home.datname);
}

/** DROP OWNED needs the role's privileges; a superuser has them. */
async function inheritIfNoSuperuser(connection: AdminConnection, login: string): Promise<void> {
  const rows = await connection.query<{ super: boolean }>(
    sql`select rolsuper as super from pg_roles where rolname = current_user`,
  );
  if (rows[0]?.super !== true) await connection.query(sql`grant ${identifier(login)} to current_user`);
}

async function endSessions(connection: AdminConnection, cluster: string, login: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const open = await connection.query(terminate, [login]);
    if (open.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new WritError('conflict', {
    message: `sessions of ${login} on cluster ${cluster} do not end`,
    hint: 'their lease has ended and their rights are gone; the login is dropped at the next sweep',
  });
}

/** A drop also races with what the login's last session was just making (2BP01). */
async function retryDropped(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const again = isTransient(error) || (error instanceof WritError && error.sqlstate === '2BP01');
      if (error instanceof WritError && error.sqlstate === '42704') return; // somebody else dropped it
      if (!again || attempt >= 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20 * 2 ** attempt));
    }
  }
}

function parseNote(text: string | null): LoginNote | undefined {
  try {
    const note: unknown = JSON.parse(text ?? 'null');
    if (typeof note !== 'object' || note === null) return undefined;
    const { principal, door, database, instance } = note as Readonly<Record<string, unknown>>;
    if (typeof principal !== 'string' || typeof database !== 'string') return undefined;
    if (door !== 'gateway' && door !== 'direct') return undefined;
    return { principal: parsePrincipalName(principal), door, database, instance: String(instance) };
  } catch {
    return undefined; // somebody else's comment
  }
}
