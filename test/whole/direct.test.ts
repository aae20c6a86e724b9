import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Company, startCompany } from './company.ts';

// The wall: ana's --direct credential on the cluster itself, the gateway out of the way. Whatever she tries she sees
// EMEA rows with masked e-mails and phones, or an error.

let company: Company;
let ana: Awaited<ReturnType<Company['connectDirect']>>;
beforeAll(async () => {
  company = await startCompany();
  ana = await company.connectDirect('ana@acme.test', 'shop');
});
afterAll(async () => {
  await ana.end().catch(() => undefined);
  await company.stop();
});

/** Runs it and returns everything that came back, error text included; a transaction that failed is rolled back. */
async function everything(client: pg.Client, text: string): Promise<string> {
  const heard: string[] = [];
  const listener = (notice: { message?: string | undefined }) => heard.push(notice.message ?? '');
  client.on('notice', listener);
  try {
    const result = (await client.query(text)) as unknown as pg.QueryResult | pg.QueryResult[];
    for (const each of Array.isArray(result) ? result : [result]) heard.push(JSON.stringify(each.rows));
  } catch (error) {
    heard.push(JSON.stringify({ ...(error as object), message: (error as Error).message }));
    await client.query('rollback').catch(() => undefined);
  } finally {
    client.off('notice', listener);
  }
  return heard.join('\n');
}

/** Real addresses and phones of people outside EMEA and inside, as the superuser sees them. */
async function secrets(): Promise<{ emails: string[]; phones: string[]; foreignNames: string[] }> {
  const admin = await company.admin();
  const all = await admin.query<{ email: string; phone: string | null; name: string; region: string }>(
    'select email, phone, name, region from public.customers',
  );
  await admin.end();
  const inside = new Set(all.rows.filter((row) => row.region === 'EMEA').map((row) => row.name));
  return {
    emails: all.rows.map((row) => row.email),
    phones: all.rows.flatMap((row) => row.phone ?? []).filter((phone) => phone.length > 5),
    foreignNames: all.rows
      .filter((row) => row.region !== 'EMEA' && !inside.has(row.name))
      .map((row) => row.name),
  };
}

const attempts: readonly [name: string, text: string][] = [
  ['unqualified', 'select * from customers'],
  ['base table', 'select * from public.customers'],
  ['ONLY', 'select * from only public.customers'],
  ['one column of the base', 'select email from public.customers'],
  ['gateway view', 'select * from writ_public.customers'],
  ['direct view', 'select * from writ_public_direct.customers'],
  ['clear view', 'select * from writ_public_clear.customers'],
  ['direct clear view', 'select * from writ_public_direct_clear.customers'],
  ['insert view', 'select * from writ_public_insert.customers'],
  ['application view', 'select * from public.customer_orders'],
  ['copied view', 'select * from customer_orders'],
  ['SET ROLE to the owner', 'set role shop_app; select * from public.customers'],
  ['SET ROLE to writ_owner', 'set role writ_owner; select * from public.customers'],
  ['RESET ROLE', 'reset role; select * from public.customers'],
  ['session authorization', 'set session authorization shop_app; select * from public.customers'],
  ['row_security off', 'set row_security = off; select * from customers'],
  ['COPY base', 'copy public.customers to stdout'],
  ['EXPLAIN ANALYZE', 'explain (analyze, verbose) select email from customers'],
  ['prepared', 'prepare p as select * from customers; execute p; deallocate p'],
  ['query_to_xml', "select query_to_xml('select * from public.customers', true, false, '')"],
  ['table_to_xml', "select table_to_xml('public.customers', true, false, '')"],
  ['query_to_xml of the view', "select query_to_xml('select * from customers', true, false, '')"],
  ['database_to_xml', "select database_to_xml(true, false, '')"],
  ['pg_stats', "select * from pg_stats where tablename in ('customers', 'orders')"],
  ['pg_stats_ext', 'select * from pg_stats_ext'],
  ['pg_statistic', 'select * from pg_statistic'],
  ['large object', "select lo_from_bytea(0, 'x')"],
  ['lo_import', "select lo_import('/etc/passwd')"],
  ['temp table', 'create temp table t as select 1'],
  ['temp view', 'create temp view v as select * from customers'],
  ['function of her own', "create function public.f() returns int language sql as 'select 1'"],
  [
    'DO',
    "do $$ declare r record; begin for r in select * from customers loop raise notice '%', r; end loop; end $$",
  ],
  [
    'DO on the base',
    "do $$ declare r record; begin for r in select * from public.customers loop raise notice '%', r; end loop; end $$",
  ],
  ['error in a cast', 'select email::int from customers'],
  [
    'division in WHERE',
    "select id from customers where 1 / (case when region = 'APAC' then 0 else 1 end) > 0",
  ],
  ['cast in WHERE', 'select id from customers where name::int > 0'],
  ['whole row', 'select c::text from customers c'],
  ['row_to_json', 'select row_to_json(c) from customers c'],
  ['FOR UPDATE', 'select * from customers for update'],
  ['cursor', 'begin; declare c cursor for select * from customers; fetch all from c; commit'],
  ['lease table', 'select * from writ.lease'],
  ['forge a lease', "insert into writ.lease (login, principal) values (session_user, 'sam@acme.test')"],
  ['exempt herself', "insert into writ.exemption values ('ana@acme.test', 'own_region')"],
  ['shadow the lookup', 'set search_path = pg_temp, writ_public_direct; select * from customers'],
  ['pg_read_file', "select pg_read_file('/etc/passwd')"],
  ['COPY PROGRAM', "copy (select 1) to program 'cat'"],
  ['dblink-ish', 'create extension dblink'],
  ['currval', 'select last_value from public.customers_id_seq'],
];

describe('as ana, directly', () => {
  test('no attempt shows an unmasked e-mail or phone, or anybody of another region', async () => {
    const { emails, phones, foreignNames } = await secrets();
    expect(foreignNames.length).toBeGreaterThan(10);
    for (const [name, text] of attempts) {
      const seen = await everything(ana, text);
      expect(
        emails.find((email) => seen.includes(email)),
        name,
      ).toBeUndefined();
      expect(
        phones.find((phone) => seen.includes(phone)),
        name,
      ).toBeUndefined();
      expect(
        foreignNames.find((person) => seen.includes(`"${person}"`)),
        name,
      ).toBeUndefined();
    }
  });

  test('the ordinary read works, so the others were refused for a reason', async () => {
    const { rows } = await ana.query('select distinct region from customers');
    expect(rows).toEqual([{ region: 'EMEA' }]);
    const { rows: emails } = await ana.query('select email, phone from customers limit 5');
    for (const row of emails) expect(row.email).toMatch(/^.\*\*\*@\*\*\*$/);
    await expect(ana.query('select * from public.customers')).rejects.toMatchObject({ code: '42501' });
    await expect(ana.query('set role shop_app')).rejects.toMatchObject({ code: '42501' });
    await expect(ana.query('create temp table t (a int)')).rejects.toMatchObject({ code: '42501' });
  });

  test('partitions, materialized views and definer functions of the application', async () => {
    const admin = await company.admin();
    const { rows: relations } = await admin.query<{ name: string }>(
      "select oid::regclass::text as name from pg_class where relnamespace = 'public'::regnamespace and (relispartition or relkind in ('m', 'v')) and relkind <> 'i'",
    );
    const { rows: functions } = await admin.query<{ call: string }>(
      `select 'public.' || quote_ident(p.proname) || '(' || coalesce((select string_agg('null::' || t::regtype, ',') from unnest(p.proargtypes) t), '') || ')' as call
         from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosecdef and p.prorettype <> 'trigger'::regtype`,
    );
    await admin.end();
    expect(relations.length).toBeGreaterThan(2);
    expect(functions.length).toBeGreaterThan(0);
    for (const { name } of relations)
      await expect(
        ana.query(`select * from public.${name.replace(/^public\./, '')}`),
        name,
      ).rejects.toMatchObject({ code: '42501' });
    for (const { call } of functions)
      await expect(ana.query(`select ${call}`), call).rejects.toMatchObject({ code: '42501' });
  });

  test('she cannot connect to other databases, and changing her password opens nothing', async () => {
    const { credential } = ana;
    const { default: pgModule } = await import('pg');
    const cluster = company.endpoints.clusters['main'];
    for (const database of ['postgres', 'template1']) {
      const client = new pgModule.Client({
        host: cluster?.host ?? '',
        port: cluster?.port ?? 0,
        database,
        user: credential.user,
        password: credential.password,
      });
      await expect(client.connect(), database).rejects.toMatchObject({ code: '42501' });
    }
    await ana.query(`alter role ${credential.user} password 'known-now'`).catch(() => undefined);
    await expect(ana.query(`alter role ${credential.user} valid until 'infinity'`)).rejects.toMatchObject({
      code: '42501',
    });
  });
});

describe('leases', () => {
  test('a lease that ended stops the next statement with 28000, prepared ones too, also while the gateway is stopped', async () => {
    const client = await company.connectDirect('omar@acme.test', 'shop');
    await client.query({ name: 'mine', text: 'select count(*) from customers' });
    const admin = await company.admin();
    company.process.kill('SIGSTOP');
    try {
      await admin.query("update writ.lease set expires_at = now() - interval '1 second' where login = $1", [
        client.credential.user,
      ]);
      await expect(client.query('select count(*) from customers')).rejects.toMatchObject({ code: '28000' });
      await expect(
        client.query({ name: 'mine', text: 'select count(*) from customers' }),
      ).rejects.toMatchObject({ code: '28000' });
      await expect(client.query('select count(*) from countries')).rejects.toMatchObject({ code: '28000' });
    } finally {
      company.process.kill('SIGCONT');
      await admin.end();
      await client.end().catch(() => undefined);
    }
  });

  test('a revoked credential’s open session is ended', async () => {
    const client = await company.connectDirect('omar@acme.test', 'shop');
    const { credential } = client;
    expect((await company.writ('revoke', credential.id)).code).toBe(0);
    await expect(client.query('select count(*) from customers')).rejects.toThrow();
    const admin = await company.admin();
    expect((await admin.query('select 1 from pg_roles where rolname = $1', [credential.user])).rows).toEqual(
      [],
    );
    await admin.end();
  });
});
