import { readFileSync } from 'node:fs';
import pg from 'pg';
import type { Discovered } from '../catalog/model.ts';
import { WritError } from '../kernel/errors.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import { type Sql, sql } from '../kernel/sql.ts';
import type { TokenKey } from '../kernel/token-key.ts';
import type { AdminConnection, Cluster, ClusterTls, Row } from './cluster.ts';
import { discoverDatabase } from './discover.ts';
import { mapPostgresError } from './postgres-errors.ts';

export interface ClusterSettings {
  readonly name: string;
  /** `postgres://user:password@host:port/maintenance-database?sslmode=…`; the database is used for `databases()`. */
  readonly adminUrl: string;
  /** Where sessions of others connect to, when not where the administrative login does. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly tokenKey?: TokenKey | undefined;
  /** Ends an admin statement (ms, 60,000). */
  readonly statementTimeoutMs?: number;
  /** Longest wait for a lock (ms, 2,000); work that must not queue others sets a shorter one with SET LOCAL. */
  readonly lockTimeoutMs?: number;
}

/** Admin connections at once to one database. `withAdmin` inside `withAdmin` takes a second one. */
const poolSize = 6;

/**
 * A cluster, reached lazily: nothing is connected before the first call. Admin sessions start with
 * search_path=pg_catalog and are cleaned (DISCARD ALL) before they are used again.
 */
export function openCluster(settings: ClusterSettings): Cluster {
  const target = parseAdminUrl(settings.adminUrl);
  const pools = new Map<string, pg.Pool>();
  let version: Promise<number> | undefined;
  let closed = false;

  const poolOf = (database: string): pg.Pool => {
    if (closed) throw new WritError('unreachable', { message: `cluster ${settings.name} is closed` });
    const known = pools.get(database);
    if (known !== undefined) return known;
    const pool = new pg.Pool({ ...target, ...sessionSettings(settings), database });
    pool.on('error', () => {}); // an idle connection died; the next query opens another
    pools.set(database, pool);
    return pool;
  };

  const withAdmin = async <T>(
    database: string,
    work: (connection: AdminConnection) => Promise<T>,
  ): Promise<T> => {
    const where = `cluster ${settings.name}, database ${database}`;
    const client = await connect(poolOf(database), where);
    return useClient(client, where, work);
  };

  const maintenance = target.database;
  const cluster: Cluster = {
    name: settings.name,
    tokenKey: settings.tokenKey,
    host: settings.host ?? target.host,
    port: settings.port ?? target.port,
    tls: target.ssl === false ? undefined : target.ssl,
    version() {
      version ??= withAdmin(maintenance, readVersion).catch((error: unknown) => {
        version = undefined;
        throw error;
      });
      return version;
    },
    withAdmin,
    databases: () => withAdmin(maintenance, readDatabases),
    discover: (catalog: SecurableName, database: string): Promise<Discovered> =>
      withAdmin(database, (connection) => discoverDatabase(connection, catalog)),
    async close() {
      closed = true;
      await Promise.all([...pools.values()].map((pool) => pool.end()));
      pools.clear();
    },
  };
  return cluster;
}

async function connect(pool: pg.Pool, where: string): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    throw new WritError('unreachable', {
      message: `${where} cannot be reached`,
      detail: error instanceof Error ? error.message : String(error),
      hint: 'is the server up, and is the administrative login of this cluster right?',
      cause: error,
    });
  }
}

async function useClient<T>(
  client: pg.PoolClient,
  where: string,
  work: (connection: AdminConnection) => Promise<T>,
): Promise<T> {
  const notices: { code: string; message: string }[] = [];
  const onNotice = (notice: { code?: string | undefined; message?: string | undefined }): void => {
    notices.push({ code: notice.code ?? '00000', message: notice.message ?? '' });
  };
  const onError = (): void => {}; // the running query rejects with it; without a listener it would end the process
  client.on('notice', onNotice);
  client.on('error', onError);
  let clean = false;
  try {
    const result = await work(adminConnection(client, where, notices));
    await client.query('discard all');
    clean = true;
    return result;
  } catch (error) {
    throw mapIfForeign(error, where);
  } finally {
    client.off('notice', onNotice);
    client.off('error', onError);
    client.release(!clean);
  }
}

/** Errors of the database driver become WritErrors; a caller's own bug (TypeError, …) passes as it is. */
function mapIfForeign(error: unknown, where: string): unknown {
  return error instanceof pg.DatabaseError ? mapPostgresError(error, where) : error;
}

function adminConnection(
  client: pg.PoolClient,
  where: string,
  notices: readonly { code: string; message: string }[],
): AdminConnection {
  const run = async (statement: Sql, parameters?: readonly unknown[]): Promise<readonly unknown[]> => {
    try {
      // Without parameters the simple protocol is used: several statements in one text are one round trip.
      const result: pg.QueryResult | pg.QueryResult[] =
        parameters === undefined
          ? await client.query(statement.text)
          : await client.query(statement.text, [...parameters]);
      return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? [];
    } catch (error) {
      throw mapPostgresError(error, where);
    }
  };
  return {
    notices,
    query: async <R extends Row>(statement: Sql, parameters?: readonly unknown[]) =>
      (await run(statement, parameters)) as readonly R[],
    async transaction(work) {
      await run(sql`begin`);
      try {
        const result = await work();
        await run(sql`commit`);
        return result;
      } catch (error) {
        await run(sql`rollback`).catch(() => {}); // the first error is the one to tell
        throw error;
      }
    },
  };
}

async function readVersion(connection: AdminConnection): Promise<number> {
  const rows = await connection.query<{ version: number }>(
    sql`select current_setting('server_version_num')::integer as version`,
  );
  return rows[0]?.version ?? 0;
}

async function readDatabases(connection: AdminConnection): Promise<readonly string[]> {
  const rows = await connection.query<{ datname: string }>(
    sql`select datname::text from pg_database where datallowconn and not datistemplate order by datname`,
  );
  return rows.map((row) => row.datname);
}

interface AdminTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly ssl: false | ClusterTls;
}

function parseAdminUrl(text: string): AdminTarget {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol) || url.hostname === '') {
    throw new WritError('invalid_config', {
      message: 'the address of a cluster is no postgres:// URL',
      hint: 'postgres://user:password@host:port/database',
    });
  }
  return {
    host: url.hostname.replace(/^\[(.+)\]$/, '$1'),
    port: url.port === '' ? 5432 : Number(url.port),
    user: decodeURIComponent(url.username) || 'postgres',
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)) || 'postgres',
    ssl: sslOf(url.searchParams),
  };
}

function sslOf(parameters: URLSearchParams): AdminTarget['ssl'] {
  const mode = parameters.get('sslmode') ?? 'disable';
  if (mode === 'disable') return false;
  const caFile = parameters.get('sslrootcert');
  return {
    ...(caFile === null ? {} : { ca: readFileSync(caFile, 'utf8') }),
    rejectUnauthorized: mode === 'verify-ca' || mode === 'verify-full',
  };
}

function sessionSettings(settings: ClusterSettings): pg.PoolConfig {
  const gucs: Record<string, string | number> = {
    search_path: 'pg_catalog',
    statement_timeout: settings.statementTimeoutMs ?? 60_000,
    lock_timeout: settings.lockTimeoutMs ?? 2_000,
    idle_in_transaction_session_timeout: 60_000,
    standard_conforming_strings: 'on',
    client_min_messages: 'notice',
    jit: 'off',
  };
  return {
    options: Object.entries(gucs)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
    application_name: 'writ',
    max: poolSize,
    idleTimeoutMillis: 10_000,
    connectionTimeoutMillis: 5_000,
    allowExitOnIdle: true,
    keepAlive: true,
    types: { getTypeParser: parserOf },
  };
}

const int8 = 20;
const nameArray = 1003;
const aclItemArray = 1034;
const textArrayType = 1009;

/** bigint as number (counts and sizes here fit); name[] and aclitem[] as arrays of strings. */
function parserOf(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (oid === int8) return Number;
  const as = oid === nameArray || oid === aclItemArray ? textArrayType : oid;
  return format === 'binary' ? pg.types.getTypeParser(as, 'text') : pg.types.getTypeParser(as, 'text');
}
