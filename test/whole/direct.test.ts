import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Company, endOf, startCompany } from './company.ts';
import { copyOut } from './copy.ts';

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

/**
 * Everything that comes back, error texts and COPY data included. Statements run one by one, so that one that is
 * refused does not keep the next from running; then the session is as it was.
 */
async function everything(client: pg.Client, text: string): Promise<string> {
  const heard: string[] = [];
  const listener = (notice: object) => heard.push(JSON.stringify({ ...notice }));
  client.on('notice', listener);
  const statements = text.includes('$$') ? [text] : text.split(/;\s*/);
  try {
    for (const statement of statements) heard.push(await answer(client, statement));
    await client.query('rollback');
    await client.query('discard all');
  } finally {
    client.off('notice', listener);
  }
  return heard.join('\n');
}

async function answer(client: pg.Client, statement: string): Promise<string> {
  try {
    // node-postgres drops what COPY sends.
    if (/^copy\b.*\bto stdout/i.test(statement)) return (await copyOut(client, statement)).toString();
    return JSON.stringify((await client.query(statement)).rows);
  } catch (error) {
    return JSON.stringify({ ...(error as object), message: (error as Error).message });
  }
}

interface Hidden {
  /** What may never be seen, in whatever format a row is printed. */
  readonly patterns: readonly RegExp[];
  /** Somebody outside EMEA. */
  readonly foreigner: { readonly name: string; readonly email: string; readonly phone: string };
}

const either = (words: Iterable<string>) => `(?:${[...words].join('|')})`;

/** Addresses and phones of everybody, names of people outside EMEA: patterns that the real data are held against. */
async function hidden(): Promise<Hidden> {
  const admin = await company.admin();
  const { rows } = await admin.query<{ email: string; phone: string | null; name: string; region: string }>(
    'select email, phone, name, region from public.customers order by id',
  );
  await admin.end();
  const first = (name: string) => name.split(' ')[0] ?? '';
  const last = new Set(rows.map(({ name }) => name.split(' ')[1] ?? ''));
  const inside = new Set(rows.filter(({ region }) => region === 'EMEA').map(({ name }) => first(name)));
  const foreign = rows.filter(({ region }) => region !== 'EMEA');
  // The sample's first names tell the region, so that a name is found wherever it stands.
  expect(foreign.filter(({ name }) => inside.has(first(name)))).toEqual([]);
  const address = new RegExp(
    `${either(new Set(rows.map(({ name }) => first(name).toLowerCase())))}\\.[a-z]+\\d|@example`,
  );
  const phone = /-555-\d/;
  const name = new RegExp(`${either(new Set(foreign.map((row) => first(row.name))))}.?${either(last)}`);
  for (const row of rows) {
    expect(row.email).toMatch(address);
    if (row.phone !== null) expect(row.phone).toMatch(phone);
    expect(name.test(row.name)).toBe(row.region !== 'EMEA');
  }
  const foreigner = foreign.find((row) => row.phone !== null);
  return {
    patterns: [address, phone, name],
    foreigner: {
      name: foreigner?.name ?? '',
      email: foreigner?.email ?? '',
      phone: foreigner?.phone ?? '',
    },
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
  ['COPY of the view', 'copy customers to stdout'],
  ['COPY of a query', 'copy (select * from customers) to stdout'],
  ['COPY of the base by query', 'copy (select * from public.customers) to stdout'],
  ['COPY of whole rows', 'copy (select c from customers c) to stdout'],
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
    const { patterns, foreigner } = await hidden();
    // What is sought would be found, in each format that the attempts print.
    for (const value of [foreigner.name, foreigner.email, foreigner.phone])
      for (const printed of [
        value,
        `(1,"${value}",x)`,
        `<v>${value}</v>`,
        `{\\"a\\":\\"${value}\\"}`,
        `1\t${value}\n`,
      ])
        expect(
          patterns.some((pattern) => pattern.test(printed)),
          printed,
        ).toBe(true);
    for (const [name, text] of attempts) {
      const seen = await everything(ana, text);
      for (const pattern of patterns) expect(pattern.exec(seen)?.[0], name).toBeUndefined();
    }
  });

  test('COPY and whole rows do show what she may see', async () => {
    const copied = await everything(ana, 'copy (select * from customers) to stdout');
    expect(copied.trim().split('\n').length).toBeGreaterThan(100);
    expect(copied).toMatch(/\*\*\*@\*\*\*/);
    expect(await everything(ana, 'select c::text from customers c')).toMatch(/\*\*\*@\*\*\*/);
    const notices = await everything(
      ana,
      "do $$ declare r record; begin for r in select * from customers limit 3 loop raise notice '%', r; end loop; end $$",
    );
    expect(notices).toMatch(/\*\*\*@\*\*\*/);
  });

  test('a large object that somebody else made is closed to her', async () => {
    const { patterns, foreigner } = await hidden();
    const admin = await company.admin();
    const { rows } = await admin.query<{ id: number }>(
      "select lo_from_bytea(0, convert_to($1, 'UTF8')) as id",
      [`${foreigner.name} ${foreigner.email}`],
    );
    const id = rows[0]?.id;
    const tries = [
      `select convert_from(lo_get(${id}), 'UTF8')`,
      `begin; select convert_from(loread(lo_open(${id}, 262144), 1000), 'UTF8'); commit`,
      'select data from pg_largeobject',
      `select lo_export(${id}, '/tmp/writ-never')`,
      `select lo_put(${id}, 0, 'x')`,
      `select lo_unlink(${id})`,
      `grant select on large object ${id} to public`,
      `alter large object ${id} owner to session_user`,
    ];
    for (const text of tries) {
      const seen = await everything(ana, text);
      expect(seen, text).toMatch(/"code":"42501"/);
      for (const pattern of patterns) expect(pattern.exec(seen)?.[0], text).toBeUndefined();
    }
    await admin.query('select lo_unlink($1)', [id]);
    await admin.end();
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

  test('she cannot connect to other databases', async () => {
    const { credential } = ana;
    const cluster = company.endpoints.clusters['main'];
    for (const database of ['postgres', 'template1']) {
      const client = new pg.Client({
        host: cluster?.host ?? '',
        port: cluster?.port ?? 0,
        database,
        user: credential.user,
        password: credential.password,
      });
      await expect(client.connect(), database).rejects.toMatchObject({ code: '42501' });
    }
  });
});

/** Another connection of the same login. */
async function withPassword(credential: { user: string }, password: string): Promise<pg.Client> {
  const cluster = company.endpoints.clusters['main'];
  const client = new pg.Client({
    host: cluster?.host ?? '',
    port: cluster?.port ?? 0,
    database: 'shop',
    user: credential.user,
    password,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

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

  test('she may change her password, as anybody in Postgres; it opens nothing more, and the lease still ends it', async () => {
    const client = await company.connectDirect('ana@acme.test', 'shop');
    const { credential } = client;
    await client.query(`alter role ${credential.user} password 'known-now'`);
    await client.query(`alter role ${credential.user} in database shop set search_path = public`);
    for (const more of [
      "valid until 'infinity'",
      'createrole',
      'superuser',
      'bypassrls',
      'connection limit 99',
    ])
      await expect(client.query(`alter role ${credential.user} ${more}`), more).rejects.toMatchObject({
        code: '42501',
      });
    await client.end();
    const { patterns } = await hidden();
    const again = await withPassword(credential, 'known-now');
    await expect(again.query('select * from customers')).rejects.toMatchObject({ code: '42501' });
    const seen = await everything(again, 'select * from writ_public_direct.customers');
    expect(seen).toMatch(/EMEA/);
    for (const pattern of patterns) expect(pattern.exec(seen)?.[0]).toBeUndefined();
    const admin = await company.admin();
    await admin.query("update writ.lease set expires_at = now() - interval '1 second' where login = $1", [
      credential.user,
    ]);
    const read = 'select count(*) from writ_public_direct.customers';
    await expect(again.query(read)).rejects.toMatchObject({ code: '28000' });
    await again.end();
    expect((await company.writ('revoke', credential.id)).code).toBe(0);
    await expect(withPassword(credential, 'known-now')).rejects.toMatchObject({ code: '28P01' });
    await admin.end();
  });

  test('a revoked credential’s open session is ended', async () => {
    const client = await company.connectDirect('omar@acme.test', 'shop');
    const { credential } = client;
    const ended = endOf(client);
    expect((await company.writ('revoke', credential.id)).code).toBe(0);
    expect(await ended).toBe('57P01');
    const admin = await company.admin();
    expect((await admin.query('select 1 from pg_roles where rolname = $1', [credential.user])).rows).toEqual(
      [],
    );
    await admin.end();
  });
});

describe('ways around', () => {
  test('while one is open, direct credentials are refused by its name; hardening closes it', async () => {
    const admin = await company.admin();
    await admin.query(
      "create function public.leak() returns text language sql security definer as 'select email from public.customers limit 1'",
    );
    const refused = await company.writ('credentials', 'shop', '--direct', '--as', 'ana@acme.test');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/ways around the policy/);
    expect(refused.stderr).toMatch(/public-definer:public\.leak/);
    expect((await company.writ('cluster', 'doctor', 'main')).code).toBe(1);
    expect((await company.writ('cluster', 'harden', 'main')).code).toBe(2);
    expect((await company.writ('cluster', 'harden', 'main', '--apply')).code).toBe(0);
    const client = await company.connectDirect('ana@acme.test', 'shop');
    await expect(client.query('select public.leak()')).rejects.toMatchObject({ code: '42501' });
    await client.end();
    await admin.query('drop function public.leak()');
    await admin.end();
  });
});
