import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSampleShop } from '../../src/dev/sample/shop.ts';
import type { Cluster } from '../../src/fleet/cluster.ts';
import { openDirectCredentials } from '../../src/fleet/direct-credentials.ts';
import type { DirectCredential, DirectCredentials } from '../../src/fleet/logins.ts';
import { openCluster } from '../../src/fleet/open-cluster.ts';
import { principalRole, unmanagedRole } from '../../src/fleet/role-names.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { parsePrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { identifier, type Sql, sql } from '../../src/kernel/sql.ts';
import { blocksDirect, type DoctorFinding, doctor } from '../../src/rolesync/doctor.ts';
import { applyHarden, hardenPlan, joinUnmanaged, unharden } from '../../src/rolesync/harden.ts';
import { eventTriggerSql, kitSql } from '../../src/rolesync/kit.ts';
import { type PrivatePostgres, privatePostgres } from './fleet-database.ts';

const ana = parsePrincipalName('ana@acme.test');
const shop = parseSecurableName('shop');
const context = {
  catalog: shop,
  ruled: new Set(
    ['shop.public.customers', 'shop.public.orders', 'shop.public.customer_orders'].map(parseSecurableName),
  ),
};

let server: PrivatePostgres;
let home: string;
let cluster: Cluster;
let direct: DirectCredentials;
let urls: Awaited<ReturnType<typeof createSampleShop>>;

beforeAll(async () => {
  const started = await privatePostgres();
  server = started;
  home = started.home;
  urls = await createSampleShop(started.adminUrl, join(started.home, 'passwords.json'));
  cluster = openCluster({ name: 'main', adminUrl: started.adminUrl });
  await admin(sql`create role writ_owner nologin; create role writ_managed nologin`);
  await cluster.withAdmin('shop', (connection) => connection.transaction(() => connection.query(kitSql())));
  const role = identifier(principalRole(ana, 'direct'));
  await admin(sql`create role ${role} nologin; grant connect on database shop to ${role}`);
  direct = openDirectCredentials({
    clusters: new Map([['main', cluster]]),
    catalogs: () => new Map([[shop, { name: shop, kind: 'POSTGRES', cluster: 'main', database: 'shop' }]]),
    clock: systemClock,
    instance: 'test',
    searchPathFor: () => ['public'],
  });
});
afterAll(async () => {
  await cluster.close();
  await server.stop();
});

const admin = <R extends Record<string, unknown>>(statement: Sql): Promise<readonly R[]> =>
  cluster.withAdmin('shop', (connection) => connection.query<R>(statement));
const examine = (): Promise<readonly DoctorFinding[]> => doctor(cluster, 'shop', context);
const ids = (findings: readonly DoctorFinding[]): readonly string[] => findings.map((finding) => finding.id);
const open = async (): Promise<readonly string[]> => ids(blocksDirect(await examine(), new Set()));
const silent = (): void => {};

async function ask(url: string | DirectCredential, text: string, database?: string): Promise<string> {
  const login = typeof url === 'string' ? { connectionString: url } : url;
  const { host, port, user, password } = typeof url === 'string' ? partsOf(url) : url;
  const client = new pg.Client({
    host,
    port,
    user,
    password,
    database:
      database ?? (typeof url === 'string' ? partsOf(url).database : (login as DirectCredential).database),
  });
  client.on('error', () => {});
  try {
    await client.connect();
    const result = await client.query({ text, rowMode: 'array' });
    return result.rows.length === 0 ? 'done' : String(result.rows[0]);
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  } finally {
    await client.end().catch(() => {});
  }
}

function partsOf(url: string) {
  const parts = new URL(url);
  return {
    host: parts.hostname,
    port: Number(parts.port),
    user: parts.username,
    password: decodeURIComponent(parts.password),
    database: parts.pathname.slice(1),
  };
}

/** Every ACL of the cluster's databases and of this database, defaults spelled out, and every membership. */
const accessLists = (): Promise<readonly { line: string }[]> =>
  admin(sql`
    select k || ' ' || name || ': ' || coalesce((select string_agg(e::text, ', ' order by e::text)
      from aclexplode(acl) e), '') as line
    from (
      select 'database' as k, datname::text as name, coalesce(datacl, acldefault('d', datdba)) as acl from pg_database
      union all
      select 'schema', nspname::text, coalesce(nspacl, acldefault('n', nspowner)) from pg_namespace
      union all
      select 'relation', oid::regclass::text,
        coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner))
      from pg_class where relkind in ('r', 'p', 'v', 'm', 'f', 'S') and relname <> 'hardening'
      union all
      select 'column', attrelid::regclass || '.' || attname, attacl from pg_attribute where attacl is not null
      union all
      select 'routine', oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)) from pg_proc
      union all
      select 'member', roleid::regrole || ' of ' || member::regrole, null from pg_auth_members
      union all
      select 'role', rolname::text, null from pg_roles
    ) all_lists
    where name !~ 'writ.hardening|pg_(toast_)?temp_' order by 1`);

/** What the roles of the application's side may do, measured by doing it. */
async function unmanagedAnswers(): Promise<Record<string, string>> {
  const answers: Record<string, string> = {};
  for (const [role, url] of Object.entries(urls)) {
    answers[`${role} connects elsewhere`] = await ask(url, 'select 1', 'postgres');
    answers[`${role} uses temporary tables`] = await ask(url, 'create temp table t as select 1');
    answers[`${role} calls`] = await ask(url, 'select public.customer_email(1)');
    answers[`${role} writes a large object`] = await ask(url, `select lo_from_bytea(0, 'x') > 0`);
    answers[`${role} reads countries`] = await ask(url, 'select count(*) from public.countries');
    answers[`${role} reads customers`] = await ask(url, 'select count(*) from public.customers');
  }
  return answers;
}

const expectedOpen = [
  'public-connect:postgres',
  'public-connect:shop',
  'public-connect:template1',
  'public-definer:public.customer_email(customer integer)',
  'public-large-objects',
  'public-table:public.countries',
  'public-temp:shop',
];

describe('doctor', () => {
  test('the sample: what is open, what is told', async () => {
    const findings = await examine();
    expect([...(await open())].toSorted()).toEqual(expectedOpen);
    const told = new Map(
      findings.filter((one) => one.severity === 'reported').map((one) => [one.id, one.where]),
    );
    expect(told.get('superusers')).toBe('postgres');
    expect(told.get('owners')).toBe('shop_app');
    expect(told.get('predefined-roles')).toContain('shop_backup (pg_read_all_data)');
    expect(findings.every((finding) => finding.why !== '' && finding.where !== '')).toBe(true);
    const accepted = new Set(['public-temp:shop', 'public-large-objects']);
    expect(ids(blocksDirect(findings, accepted))).not.toContain('public-temp:shop');
    expect(blocksDirect(findings, accepted)).toHaveLength(expectedOpen.length - 2);
  });

  const planted: readonly (readonly [string, Sql, Sql])[] = [
    [
      'public-table:public.customers',
      sql`grant select (email) on public.customers to public`,
      sql`revoke select (email) on public.customers from public`,
    ],
    [
      'public-table:public.events_2025_01',
      sql`grant select on public.events_2025_01 to public`,
      sql`revoke select on public.events_2025_01 from public`,
    ],
    [
      'public-create:schema:public',
      sql`grant create on schema public to public`,
      sql`revoke create on schema public from public`,
    ],
    [
      'public-system:pg_catalog.pg_read_file(text)',
      sql`grant execute on function pg_read_file(text) to public`,
      sql`revoke execute on function pg_read_file(text) from public`,
    ],
    [
      'public-system:pg_catalog.pg_authid',
      sql`grant select on pg_authid to public`,
      sql`revoke select on pg_authid from public`,
    ],
    [
      `managed-member:${principalRole(ana, 'direct')}:pg_read_all_data`,
      sql`grant pg_read_all_data to ${identifier(principalRole(ana, 'direct'))}`,
      sql`revoke pg_read_all_data from ${identifier(principalRole(ana, 'direct'))}`,
    ],
    [
      'managed-attribute:writ_managed:bypassrls',
      sql`alter role writ_managed bypassrls`,
      sql`alter role writ_managed nobypassrls`,
    ],
    [
      'foreign-member:shop_report:writ_owner',
      sql`grant writ_owner to shop_report`,
      sql`revoke writ_owner from shop_report`,
    ],
    [
      `setting:${principalRole(ana, 'direct')}:search_path`,
      sql`alter role ${identifier(principalRole(ana, 'direct'))} set search_path = public`,
      sql`alter role ${identifier(principalRole(ana, 'direct'))} reset search_path`,
    ],
    [
      'notify:public.tell()',
      sql`create function public.tell() returns trigger language plpgsql as $$ begin
        perform pg_notify('orders', new.amount::text); return new; end $$;
        create trigger tell after insert on public.orders for each row execute function public.tell()`,
      sql`drop function public.tell() cascade`,
    ],
  ];
  for (const [id, plant, remove] of planted) {
    test(`finds ${id}, and nothing once it is gone`, async () => {
      await admin(plant);
      const found = (await examine()).find((finding) => finding.id === id);
      await admin(remove);
      expect(found).toBeDefined();
      if (found?.fix !== undefined) {
        await admin(plant);
        if (found.closes === undefined) for (const statement of found.fix) await admin(statement);
        else await admin(remove);
      }
      expect(ids(await examine())).not.toContain(id);
    });
  }
});

test('dropping a login that owns something leaves the shadow views alone', async () => {
  await cluster.withAdmin('shop', (connection) => connection.query(eventTriggerSql()));
  await admin(sql`create schema writ_public authorization writ_owner;
    create view writ_public.countries as select 1 as x; alter view writ_public.countries owner to writ_owner;
    insert into writ.compiled_view (view_schema, view_name, ordinal, base_oid, base_schema, base_name, source, fingerprint)
    values ('writ_public', 'countries', 1, 'public.countries'::regclass, 'public', 'countries', '{"columns": []}', '')`);
  const view = (): Promise<unknown> => admin(sql`select to_regclass('writ_public.countries')::oid as oid`);
  const before = await view();
  const credential = await direct.issue({
    id: 'o',
    principal: ana,
    catalog: shop,
    expiresAt: Date.now() + 60_000,
  });
  expect(await ask(credential, 'select lo_create(0) > 0')).toBe('true');
  await direct.revoke(credential.user, shop);
  expect(await admin(sql`select from pg_largeobject_metadata`)).toEqual([]);
  expect(await view()).toEqual(before);
  await admin(sql`drop event trigger writ_ddl_start; drop event trigger writ_ddl_end`);
  await admin(sql`drop schema writ_public cascade; delete from writ.compiled_view`);
});

describe('doctor, pg_hba', () => {
  test('a rule without password is a way around', async () => {
    const file = join(home, 'cluster', 'pg_hba.conf');
    const kept = readFileSync(file, 'utf8');
    writeFileSync(file, `${kept}host all all 127.0.0.1/32 trust\nhost all all 0.0.0.0/0 scram-sha-256\n`);
    const findings = await examine();
    writeFileSync(file, kept);
    expect(findings.find((one) => one.id === 'hba-trust:host:all:all:127.0.0.1')).toMatchObject({
      severity: 'open-to-managed',
      accepts: true,
    });
    expect(ids(findings)).toContain('hba-anywhere:host:all:all:0.0.0.0');
    expect(ids(await examine()).filter((id) => id.startsWith('hba-'))).toEqual([]);
  });
});

describe('harden', () => {
  test('closes what is open, and the application’s roles notice nothing; unharden gives back what was', async () => {
    const before = await accessLists();
    const answers = await unmanagedAnswers();
    const credential = await direct.issue({
      id: 'c',
      principal: ana,
      catalog: shop,
      expiresAt: Date.now() + 600_000,
    });
    const managed = (): Promise<readonly string[]> =>
      Promise.all([
        ask(credential, 'select 1', 'postgres'),
        ask(credential, 'select 1', 'template1'),
        ask(credential, 'create temp table t ()'),
        ask(credential, 'select public.customer_email(1)'),
        ask(credential, 'select lo_create(0) > 0'),
        ask(credential, 'select count(*) from public.countries'),
        ask(credential, 'select 1'),
      ]);
    expect(await managed()).toEqual(['1', '1', 'done', expect.stringContaining('@'), 'true', '12', '1']);

    const recorded: string[] = [];
    const plan = hardenPlan(await examine());
    expect(plan.operations.map((operation) => operation.finding).toSorted()).toEqual(expectedOpen);
    await applyHarden(cluster, 'shop', plan, (statement) => recorded.push(statement));
    expect(recorded).toContain('revoke connect on database postgres from public');
    expect(await open()).toEqual([]);
    expect(hardenPlan(await examine()).operations).toEqual([]);
    expect(await unmanagedAnswers()).toEqual(answers);
    expect(await managed()).toEqual(['42501', '42501', '42501', '42501', '42501', '42501', '1']);
    expect(await ask(credential, `set role ${unmanagedRole}`)).toBe('42501');

    await direct.revoke(credential.user, shop);
    const undone: string[] = [];
    await cluster.withAdmin('shop', (connection) =>
      connection.transaction(() => unharden(connection, (statement) => undone.push(statement))),
    );
    expect(undone.at(-1)).toBe(`drop role "${unmanagedRole}"`);
    expect(await accessLists()).toEqual(before);
    expect(await unmanagedAnswers()).toEqual(answers);
  });

  test('what comes later is found again: a definer function, a database, a role', async () => {
    await applyHarden(cluster, 'shop', hardenPlan(await examine()), silent);
    await admin(sql`create database later`);
    await admin(sql`create role newcomer login password 'n'`);
    await admin(sql`create function public.f() returns bigint security definer language sql
      as 'select count(*) from public.customers'; alter function public.customer_email(integer) rename to mail`);
    expect([...(await open())].toSorted()).toEqual(['public-connect:later', 'public-definer:public.f()']);
    const newcomer = { ...partsOf(urls.shop_app), user: 'newcomer', password: 'n' };
    const url = `postgres://newcomer:n@${newcomer.host}:${newcomer.port}/shop`;
    expect(await ask(url, 'select 1')).toBe('42501');
    expect(ids(await examine())).toContain('unjoined:newcomer');
    await joinUnmanaged(cluster, 'shop', silent);
    expect(await ask(url, 'select 1')).toBe('1');
    // What was granted through a membership does not stand in the way of those who drop the role.
    await admin(sql`drop role newcomer`);
    await applyHarden(cluster, 'shop', hardenPlan(await examine()), silent);
    expect(await open()).toEqual([]);
    await cluster.withAdmin('shop', (connection) =>
      connection.transaction(() => unharden(connection, silent)),
    );
    expect(await ask(urls.shop_report, 'select public.mail(1)')).toContain('@');
    await admin(sql`alter function public.mail(integer) rename to customer_email; drop function public.f()`);
    await admin(sql`drop database later`);
    expect([...(await open())].toSorted()).toEqual(expectedOpen);
  });

  test('only what was picked; columns; a privilege that somebody else granted is told, not closed', async () => {
    await admin(
      sql`grant select (email) on public.customers to public; grant select on public.orders to public`,
    );
    await admin(sql`grant select on public.customer_orders to shop_report with grant option;
      set role shop_report; grant select on public.customer_orders to public; reset role`);
    const before = await accessLists();
    const picked = new Set(['public-table:public.customers', 'public-table:public.orders']);
    const findings = await examine();
    const foreign = findings.find((finding) => finding.id === 'public-table:public.customer_orders');
    expect(foreign?.fix).toBeUndefined();
    expect(foreign?.why).toContain('shop_report');
    const plan = hardenPlan(findings, picked);
    expect(plan.operations.map((operation) => operation.finding)).toEqual([...picked]);
    await applyHarden(cluster, 'shop', plan, silent);
    const left = await open();
    expect(left).toContain('public-connect:shop');
    expect(left).toContain('public-table:public.customer_orders');
    expect(left).not.toContain('public-table:public.customers');
    expect(await ask(urls.shop_loader, 'select count(email) from public.customers')).toBe('5000');
    await cluster.withAdmin('shop', (connection) =>
      connection.transaction(() => unharden(connection, silent)),
    );
    expect(await accessLists()).toEqual(before);
  });

  test('nothing is changed where schema writ is not installed', async () => {
    await admin(sql`create database bare`);
    const plan = hardenPlan(await doctor(cluster, 'bare', context));
    await expect(applyHarden(cluster, 'bare', plan, silent)).rejects.toMatchObject({ code: 'guard_refused' });
    await admin(sql`drop database bare with (force)`);
  });
});
