import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CatalogInfo } from '../../src/catalog/model.ts';
import type { Cluster } from '../../src/fleet/cluster.ts';
import { openDirectCredentials } from '../../src/fleet/direct-credentials.ts';
import { openGatewayLogins } from '../../src/fleet/gateway-logins.ts';
import type { DirectCredentials, UpstreamLogin } from '../../src/fleet/logins.ts';
import { openCluster } from '../../src/fleet/open-cluster.ts';
import { principalRole } from '../../src/fleet/role-names.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { parsePrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName, type SecurableName } from '../../src/kernel/securable-name.ts';
import { identifier, sql } from '../../src/kernel/sql.ts';
import { type FleetDatabase, fleetDatabase } from './fleet-database.ts';

const ana = parsePrincipalName('ana@acme.test');
const nina = parsePrincipalName('nina@acme.test');
const shop = parseSecurableName('shop');

let base: FleetDatabase;
let cluster: Cluster;
let clusters: ReadonlyMap<string, Cluster>;
let catalogs: ReadonlyMap<SecurableName, CatalogInfo>;

beforeAll(async () => {
  base = await fleetDatabase();
  cluster = openCluster({ name: 'main', adminUrl: base.adminUrl });
  clusters = new Map([['main', cluster]]);
  catalogs = new Map([[shop, { name: shop, kind: 'POSTGRES', cluster: 'main', database: base.database }]]);
  await cluster.withAdmin(base.database, async (connection) => {
    for (const door of ['gateway', 'direct'] as const) {
      const role = identifier(principalRole(ana, door));
      await connection.query(sql`create role ${role} nologin`);
      await connection.query(sql`grant connect on database ${identifier(base.database)} to ${role}`);
    }
  });
});
afterAll(async () => {
  await cluster.close();
  await base.stop();
});

const logins = (): Promise<readonly string[]> =>
  cluster.withAdmin(base.database, async (connection) => {
    const rows = await connection.query<{ rolname: string }>(
      sql`select rolname::text from pg_roles where starts_with(rolname::text, 'writ_l_') order by 1`,
    );
    return rows.map((row) => row.rolname);
  });

interface Login {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

async function connect(login: Login): Promise<pg.Client> {
  const { host, port, database, user, password } = login;
  const client = new pg.Client({ host, port, database, user, password, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  await client.connect();
  return client;
}

const failure = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no error',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
  );

/** The SQLSTATE with which an ended session's next statement fails, or that its socket is closed. */
const ended = async (client: pg.Client): Promise<boolean> => {
  for (let i = 0; i < 100; i++) {
    const state = await failure(client.query('select 1'));
    if (state !== 'no error') return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
};

describe('a cluster', () => {
  test('says its version and its databases, and cleans a session before the next use', async () => {
    expect(await cluster.version()).toBeGreaterThanOrEqual(180_000);
    expect(await cluster.databases()).toContain(base.database);
    await cluster.withAdmin(base.database, (connection) =>
      connection.query(sql`set search_path = 'public'; select pg_advisory_lock(7)`),
    );
    const state = await cluster.withAdmin(base.database, (connection) =>
      connection.query(
        sql`select current_setting('search_path') as path,
          (select count(*) from pg_locks where locktype = 'advisory') as locks`,
      ),
    );
    expect(state).toEqual([{ path: 'pg_catalog', locks: 0 }]);
  });

  test('errors: unreachable, and the server’s own SQLSTATE', async () => {
    const away = openCluster({ name: 'away', adminUrl: 'postgres://x:y@127.0.0.1:1/postgres' });
    await expect(away.version()).rejects.toMatchObject({ code: 'unreachable' });
    await away.close();
    const nowhere = cluster.withAdmin('no such database', async () => 1);
    await expect(nowhere).rejects.toMatchObject({ code: 'unreachable' });
    const divided = cluster.withAdmin(base.database, (connection) => connection.query(sql`select 1/0`));
    await expect(divided).rejects.toMatchObject({ code: 'query_failed', sqlstate: '22012' });
    const killed = cluster.withAdmin(base.database, (connection) =>
      connection.query(sql`select pg_terminate_backend(pg_backend_pid())`),
    );
    await expect(killed).rejects.toMatchObject({ code: 'unreachable' });
    expect(await cluster.withAdmin(base.database, (c) => c.query(sql`select 1 as one`))).toEqual([
      { one: 1 },
    ]);
  });

  test('a transaction is rolled back when its work throws; notices are kept', async () => {
    const work = cluster.withAdmin(base.database, (connection) =>
      connection.transaction(async () => {
        await connection.query(sql`create role writ_never`);
        throw new TypeError('a bug');
      }),
    );
    await expect(work).rejects.toThrow(TypeError);
    const seen = await cluster.withAdmin(base.database, async (connection) => {
      const rows = await connection.query(sql`select from pg_roles where rolname = 'writ_never'`);
      await connection.query(sql`do $$ begin raise warning using errcode = '01007', message = 'w'; end $$`);
      return { rows: rows.length, notices: connection.notices };
    });
    expect(seen).toEqual({ rows: 0, notices: [{ code: '01007', message: 'w' }] });
  });
});

describe('discovery', () => {
  test('tables, views, partitions, functions, types', async () => {
    const found = await cluster.discover(shop, base.database);
    const kinds = Object.fromEntries(found.tables.map((table) => [table.name, table.kind]));
    expect(kinds).toEqual({
      'shop.app."Odd Name"': 'TABLE',
      'shop.app.customers_by_region': 'VIEW',
      'shop.public.customer_orders': 'VIEW',
      'shop.public.customers': 'TABLE',
      'shop.public.events': 'PARTITIONED_TABLE',
      'shop.public.orders': 'TABLE',
      'shop.public.region_totals': 'MATERIALIZED_VIEW',
    });
    expect(found.schemas).toEqual(['shop.app', 'shop.public']);
    expect(found.partitions).toEqual([
      { name: 'shop.public.events_2026_01', parent: 'shop.public.events' },
      { name: 'shop.public.events_2026_02', parent: 'shop.public.events' },
      { name: 'shop.public.events_2026_02_a', parent: 'shop.public.events' },
    ]);
    const table = (name: string) => found.tables.find((one) => one.name === name);
    expect(table('shop.public.customer_orders')?.reads).toEqual([
      'shop.public.customers',
      'shop.public.orders',
    ]);
    expect(table('shop.public.customer_orders')?.definition).toContain('FROM (public.customers c');
    expect(table('shop.app.customers_by_region')?.reads).toEqual(['shop.public.customer_orders']);
    expect(table('shop.public.orders')?.sequences).toEqual(['public.orders_id_seq']);
    expect(table('shop.public.customers')).toMatchObject({ engineOwner: 'fleet_app', comment: 'people' });
    expect(
      table('shop.app."Odd Name"')?.columns.map((column) => [column.name, column.type, column.engineType]),
    ).toEqual([
      ['Über', 'text', 'character varying(40)'],
      ['c', 'other', 'character(3)'],
      ['n', 'numeric', 'numeric(10,2)'],
      ['f', 'other', 'real'],
      ['d', 'other', 'app.positive'],
      ['j', 'other', 'jsonb'],
      ['t', 'timestamptz', 'timestamp with time zone'],
      ['ci', 'other', 'text'],
      ['g', 'text', 'text'],
    ]);
    expect(table('shop.app."Odd Name"')?.columns.at(-1)).toMatchObject({ generated: true, position: 10 });
    expect(found.functions).toContainEqual({
      name: 'shop.public.customer_count',
      signature: 'wanted text',
      kind: 'FUNCTION',
      securityDefiner: true,
      engineOwner: 'fleet_app',
    });
    expect(found.functions).toContainEqual(
      expect.objectContaining({ name: 'shop.app.tidy', kind: 'PROCEDURE', signature: '' }),
    );
  });
});

describe('logins of the gateway', () => {
  const open = (instance = 'one') =>
    openGatewayLogins({ clusters, catalogs: () => catalogs, clock: systemClock, instance });

  test('a password is good until `opened`, and the login is the person’s alone', async () => {
    const gateway = await open();
    const login = await gateway.open(ana, shop);
    const client = await connect(login);
    await login.opened();
    const { rows } = await client.query(
      `select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as privileged, rolinherit,
        shobj_description(oid, 'pg_authid')::json->>'principal' as principal,
        (select count(*)::int from writ_seen.lease_live) as live
       from pg_roles where rolname = session_user`,
    );
    expect(rows).toEqual([{ privileged: false, rolinherit: true, principal: ana, live: 1 }]);
    expect(await failure(client.query(`set role ${principalRole(ana, 'gateway')}`))).toBe('42501');
    expect(await failure(connect(login))).toBe('28P01');
    // The person sets a password of their own: it opens nothing.
    await client.query(`alter role current_user password 'mine'`);
    expect(await failure(connect({ ...login, password: 'mine' }))).toBe('28P01');
    await client.end();
    await gateway.close();
    expect(await logins()).toEqual([]);
  });

  test('many who open at once share a login and its password', async () => {
    const gateway = await open();
    const sessions = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const login = await gateway.open(ana, shop);
        const client = await connect(login);
        await login.opened();
        return { login, client };
      }),
    );
    expect(new Set(sessions.map(({ login }) => login.user)).size).toBe(1);
    const [first] = sessions;
    expect(await failure(connect(first?.login as UpstreamLogin))).toBe('28P01');
    await gateway.terminate(ana, shop);
    for (const { client } of sessions) expect(await ended(client)).toBe(true);
    await gateway.close();
  });

  test('nobody without a role in the database gets a login', async () => {
    const gateway = await open();
    await expect(gateway.open(nina, shop)).rejects.toMatchObject({ code: 'permission_denied' });
    const lake = gateway.open(ana, parseSecurableName('lake'));
    await expect(lake).rejects.toMatchObject({ code: 'no_such_catalog' });
    expect(await logins()).toEqual([]);
    await gateway.close();
  });

  test('a login that was dropped, or whose lease was revoked, is made anew under another name', async () => {
    const gateway = await open();
    const names = new Set<string>();
    for (const damage of ['', 'drop role', 'revoke']) {
      const login = await gateway.open(ana, shop);
      await login.opened();
      names.add(login.user);
      await cluster.withAdmin(base.database, async (connection) => {
        if (damage === '') await connection.query(sql`drop role ${identifier(login.user)}`);
        else await connection.query(sql`update writ.lease set revoked_at = now()`);
      });
    }
    expect(names.size).toBe(3);
    await gateway.close();
    expect(await logins()).toEqual([]);
  });

  test('a start removes what a killed process of its instance left, and leaves another’s', async () => {
    const killed = await open('killed');
    const other = await open('other');
    const session = await connect(await killed.open(ana, shop));
    const kept = await other.open(ana, shop);
    expect(await logins()).toHaveLength(2);
    const again = await open('killed');
    expect(await logins()).toEqual([kept.user]);
    expect(await ended(session)).toBe(true);
    // A lease that nobody renews gives a login of any instance away.
    await cluster.withAdmin(base.database, (connection) =>
      connection.query(sql`update writ.lease set expires_at = now() - interval '1 second'`),
    );
    const third = await open('third');
    expect(await logins()).toEqual([]);
    await Promise.all([killed.close(), other.close(), again.close(), third.close()]);
  });
});

describe('direct credentials', () => {
  let direct: DirectCredentials;
  beforeAll(() => {
    direct = openDirectCredentials({
      clusters,
      catalogs: () => catalogs,
      clock: systemClock,
      instance: 'one',
      searchPathFor: () => ['writ_public_direct', 'public'],
      bypassGraceMs: 0,
    });
  });
  const issue = (id: string, seconds = 600) =>
    direct.issue({ id, principal: ana, catalog: shop, expiresAt: Date.now() + seconds * 1000 });

  test('two of one person work at once; one revoked leaves the other', async () => {
    const [one, two] = await Promise.all([issue('c1'), issue('c2')]);
    const first = await connect(one);
    const second = await connect(two);
    const { rows } = await first.query(`select current_setting('search_path') as path, session_user as who`);
    expect(rows).toEqual([{ path: 'writ_public_direct, public', who: one.user }]);
    await direct.revoke(one.user, shop);
    expect(await ended(first)).toBe(true);
    expect(await failure(connect(one))).toBe('28P01');
    expect((await second.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await second.end();
    await direct.revoke(two.user, shop);
    await direct.revoke(two.user, shop); // again is no error
    expect(await logins()).toEqual([]);
  });

  test('an expired login is ended, its objects are dropped, and no other is touched', async () => {
    const gone = await issue('c3');
    const kept = await issue('c4');
    const session = await connect(gone);
    await session.query(`select lo_create(0)`);
    await cluster.withAdmin(base.database, (connection) =>
      connection.query(sql`update writ.lease set expires_at = now() where credential = 'c3'`),
    );
    expect(await direct.sweep(Date.now() + 1)).toEqual([gone.user]);
    expect(await ended(session)).toBe(true);
    expect(await logins()).toEqual([kept.user]);
    expect(await direct.sweep(Date.now())).toEqual([]);
    await direct.revoke(kept.user, shop);
  });

  test('what must not be issued', async () => {
    await expect(issue('late', -1)).rejects.toMatchObject({ code: 'invalid_argument' });
    const request = { id: 'n', principal: nina, catalog: shop, expiresAt: Date.now() + 60_000 };
    await expect(direct.issue(request)).rejects.toMatchObject({ code: 'permission_denied' });
    await expect(direct.revoke('fleet_app', shop)).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await logins()).toEqual([]);
  });

  test('a changed password of one’s own login ends with the lease', async () => {
    const credential = await issue('c5');
    const session = await connect(credential);
    await session.query(`alter role current_user password 'mine'`);
    expect(await failure(session.query(`alter role current_user valid until 'infinity'`))).toBe('42501');
    await session.end();
    await direct.revoke(credential.user, shop);
    expect(await failure(connect({ ...credential, password: 'mine' }))).toBe('28P01');
  });

  test('bypass: a session on a gateway login that the gateway did not open; a direct one without lease', async () => {
    const gateway = await openGatewayLogins({
      clusters,
      catalogs: () => catalogs,
      clock: systemClock,
      instance: 'one',
    });
    const login = await gateway.open(ana, shop);
    const ours = await connect(login);
    const theirs = await connect(login);
    const pidOf = async (client: pg.Client): Promise<number> =>
      (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid ?? 0;
    const [ourPid, theirPid] = [await pidOf(ours), await pidOf(theirs)];
    const credential = await issue('c6');
    const covered = await connect(credential);
    expect(await direct.findBypass(new Set([ourPid]))).toEqual([
      { login: login.user, pid: theirPid, cluster: 'main' },
    ]);
    expect(await ended(theirs)).toBe(true);
    await cluster.withAdmin(base.database, (connection) =>
      connection.query(sql`update writ.lease set revoked_at = now() where credential = 'c6'`),
    );
    const found = await direct.findBypass(new Set([ourPid]));
    expect(found.map((one) => one.login)).toEqual([credential.user]);
    expect(await ended(covered)).toBe(true);
    expect(await failure(ours.query('select 1'))).toBe('no error');
    await ours.end();
    await direct.revoke(credential.user, shop);
    await gateway.close();
    expect(await logins()).toEqual([]);
  });
});
