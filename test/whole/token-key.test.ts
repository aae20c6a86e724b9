import { createHmac } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCluster } from '../../src/fleet/open-cluster.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { TokenKey } from '../../src/kernel/token-key.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { applyCluster, driftCluster, uninstallCluster } from '../../src/rolesync/reconcile.ts';
import { people } from '../policy/fixture.ts';
import { type GovernedShop, governedShop, outcome, withModify } from './rolesync-shop.ts';

// The key of token() in a governed database: every way to it, and to tokens of one's own guesses. Each attack is seen to
// work on a weakened database too, so that it can fail for its own reason only.

const hex = '8f3c5d0b9a7e46211122334455667788a1b2c3d4e5f60718293a4b5c6d7e8f90';
const key = TokenKey.parse(hex, 'test');
const tokenOf = (text: string, of = hex) =>
  createHmac('sha256', Buffer.from(of, 'hex')).update(text, 'utf8').digest('hex').slice(0, 32);

const withTokens = (text: string): string =>
  withModify(text).replace(`"left(value, 1) || '***@***'"`, '"token(value)"');

let company: GovernedShop;
let snapshot: Snapshot;
let admin: pg.Client;
type Login = Awaited<ReturnType<GovernedShop['login']>>;
let direct: Login;
let gateway: Login;

beforeAll(async () => {
  company = await governedShop(key);
  snapshot = await company.snapshot(withTokens);
  await company.apply(snapshot);
  admin = await company.admin();
  await admin.query('analyze');
  direct = await company.login(snapshot, 'ana@acme.test', 'direct');
  gateway = await company.login(snapshot, 'ana@acme.test', 'gateway');
});
afterAll(() => company.stop());

const doors = [
  ['direct', () => direct, 'writ_public_direct'],
  ['gateway', () => gateway, 'writ_public'],
] as const;

/** Any 8 bytes of the key or of a padded block, as Postgres, Node or base64 would print them. */
function holdsKey(text: string): boolean {
  const { inner, outer } = key.blocks();
  const secrets = [Buffer.from(hex, 'hex'), inner.subarray(0, 32), outer.subarray(0, 32)];
  const lower = text.toLowerCase();
  return secrets.some(
    (secret) =>
      text.includes(secret.toString('base64').slice(0, 20)) ||
      [0, 8, 16, 24].some((at) => lower.includes(secret.subarray(at, at + 8).toString('hex'))) ||
      [0, 8, 16, 24].some((at) =>
        text.includes(JSON.stringify([...secret.subarray(at, at + 8)]).slice(1, -1)),
      ),
  );
}

/** Everything that comes back: rows, notices, the error with all its fields. */
async function everything(client: pg.Client, text: string): Promise<string> {
  const heard: string[] = [];
  const listen = (notice: unknown) => heard.push(JSON.stringify(notice), String(notice));
  client.on('notice', listen);
  try {
    const result: unknown = await client.query(text);
    heard.push(...[result].flat().map((one) => JSON.stringify((one as pg.QueryResult).rows)));
  } catch (error) {
    heard.push(String(error), JSON.stringify(error));
  } finally {
    client.off('notice', listen);
  }
  return heard.join('\n');
}

test('a token is the HMAC, the same for every reader who is masked; NULL stays NULL', async () => {
  await admin.query(`alter table public.customers alter email drop not null`);
  await admin.query(`update public.customers set email = null where id = 9`);
  const rows = await gateway.query<{ id: number; email: string | null }>(
    `select id, email from writ_public.customers`,
  );
  const clear = await admin.query<{ id: number; email: string | null }>(
    `select id, email from public.customers`,
  );
  const emails = new Map(clear.rows.map((row) => [row.id, row.email]));
  expect(rows.rows.length).toBeGreaterThan(3);
  for (const { id, email } of rows.rows) {
    const own = emails.get(id) ?? null;
    expect(email).toBe(own === null ? null : tokenOf(own));
  }
  const odd = ['', 'ß€😀\u0301', 'a\u0001b', 'x'.repeat(100_000), '\\x41', "'"];
  for (const email of odd) {
    await admin.query(`update public.customers set email = $1 where id = 3`, [email]);
    const { rows: shown } = await direct.query(`select email from writ_public_direct.customers where id = 3`);
    expect(shown).toEqual([{ email: tokenOf(email) }]);
  }
});

const reads = [
  'select * from writ.token_key',
  'select inner_block from writ.token_key',
  'select count(*) from writ.token_key',
  'select k from writ.token_key k',
  'table writ.token_key',
  'copy writ.token_key to stdout',
  'copy (select outer_block from writ.token_key) to stdout',
  `select query_to_xml('select * from writ.token_key', true, true, '')`,
  `select table_to_xml('writ.token_key', true, true, '')`,
  `do $$ begin perform inner_block from writ.token_key; end $$`,
  `explain analyze select * from writ.token_key where inner_block > '\\x00'`,
  `insert into writ.token_key values (true, '', '')`,
  `update writ.token_key set inner_block = ''`,
  'delete from writ.token_key',
  'truncate writ.token_key',
  'do $$ begin lock table writ.token_key; end $$',
  'create temp table copied as select * from writ.token_key',
  'create temp table heir () inherits (writ.token_key)',
  'analyze verbose writ.token_key',
  `select pg_read_binary_file(pg_relation_filepath('writ.token_key'))`,
  `select * from pg_catalog.pg_statistic`,
  'set role writ_owner',
  'set session authorization writ_owner',
] as const;

describe.each(doors)('through the %s door', (_door, loginOf, schema) => {
  test.each(reads)('%s', async (text) => {
    const client = loginOf();
    const got = await outcome(client, text);
    // ANALYZE of what is not one's own is skipped with a warning.
    if (text.startsWith('analyze')) expect(got).toEqual([]);
    else expect(got).toBe('42501');
    expect(holdsKey(await everything(client, text))).toBe(false);
  });

  test('a view over the key is made by nobody who can read it', async () => {
    const client = loginOf();
    await outcome(client, 'create temp view own as select * from writ.token_key');
    expect(await outcome(client, 'select * from pg_temp.own')).toSatisfy((code: unknown) =>
      ['42501', '42P01'].includes(String(code)),
    );
  });

  test('neither plans, definitions, statistics, debugging nor errors show it', async () => {
    const client = loginOf();
    const email = `${schema}.customers`;
    const texts = [
      `explain (verbose, analyze, buffers, settings) select email from ${email} where email > 'a'`,
      `explain (verbose, format json) select max(email), count(*) from ${email} group by email`,
      `select pg_get_viewdef('${email}'::regclass, true)`,
      `select * from pg_views where schemaname like 'writ%'`,
      `select ev_action::text from pg_rewrite where ev_class = '${email}'::regclass`,
      `select * from information_schema.views`,
      `select * from pg_stats where schemaname = 'writ'`,
      `select * from pg_stats_ext`,
      `select pg_get_expr(adbin, adrelid) from pg_attrdef`,
      `select prosrc from pg_proc where pronamespace = 'writ'::regnamespace`,
      `select query from pg_stat_activity`,
      `select source::text from writ.compiled_view`,
      `set client_min_messages = debug5; set debug_print_parse = on; set debug_print_rewritten = on; set debug_print_plan = on; set debug_pretty_print = on; select email from ${email}`,
      `reset all; select email::integer from ${email}`,
      `select 1 / (length(email) - 32) from ${email}`,
      `select email::bytea::text, ('\\x' || email)::bytea from ${email}`,
      `select xmlparse(document email) from ${email}`,
    ];
    for (const text of texts) {
      const got = await everything(client, text);
      expect(got.length, text).toBeGreaterThan(0);
      expect(holdsKey(got), text).toBe(false);
    }
  });

  test('own functions and operators, however cheap, see tokens and nothing else', async () => {
    const client = loginOf();
    const body = `language plpgsql cost 0.0000001 as $$ begin raise notice '% %', $1, $1::text; return $2; end $$`;
    const own = [
      `create function pg_temp.leak(text, boolean) returns boolean ${body}`,
      `create function pg_temp.leakb(bytea, bytea) returns bytea ${body}`,
      `create operator pg_temp.|| (leftarg = bytea, rightarg = bytea, function = pg_temp.leakb)`,
      `create function pg_temp.sha256(bytea) returns bytea language plpgsql as $$ begin raise notice '%', $1; return $1; end $$`,
      `create function pg_temp.convert_to(text, name) returns bytea language plpgsql as $$ begin raise notice '%', $1; return $1::bytea; end $$`,
    ];
    for (const text of own) await outcome(client, text);
    const got = [
      await everything(client, `set search_path = pg_temp, pg_catalog`),
      await everything(client, `select email from ${schema}.customers where pg_temp.leak(email, true)`),
      await everything(client, `select email from ${schema}.customers c where pg_temp.leak(c::text, true)`),
      await everything(
        client,
        `select email from ${schema}.customers where name::text = '' or pg_temp.leak(name, false)`,
      ),
      await everything(client, `reset search_path`),
    ].join('\n');
    expect(holdsKey(got)).toBe(false);
    expect(got).not.toContain('@');
  });

  test('no function of schema writ takes a value to hash', async () => {
    const { rows } = await loginOf().query<{ name: string }>(`
      select p.oid::regprocedure::text as name from pg_proc p
      where pronamespace = 'writ'::regnamespace and has_function_privilege(p.oid, 'execute') order by 1`);
    expect(rows.map((row) => row.name)).toEqual([
      'writ.attribute(text)',
      'writ.exempt(text)',
      'writ.is_member(text)',
      'writ.lease_live()',
      'writ.principal()',
    ]);
  });

  test('who may write the table cannot write the column: no guess comes back as a token', async () => {
    const client = loginOf();
    const guess = 'guess@acme.test';
    const ins = `${schema}_insert.customers`;
    const attempts = [
      `update ${schema}.customers set email = '${guess}' where id = 6`,
      `update ${schema}.customers set email = default where id = 6`,
      `update ${schema}.customers set (name, email) = ('x', '${guess}') where id = 6`,
      `insert into ${ins} (name, email, region) values ('x', '${guess}', 'EMEA') returning email`,
      `insert into ${ins} (name, region) values ('x', 'EMEA') on conflict (id) do update set email = '${guess}'`,
      `merge into ${schema}.customers c using (select 6 as id) s on c.id = s.id when matched then update set email = '${guess}'`,
      `merge into ${ins} c using (select 0 as id) s on c.id = s.id when not matched then insert (name, email, region) values ('x', '${guess}', 'EMEA')`,
      `insert into public.customers (name, email, region) values ('x', '${guess}', 'EMEA')`,
      `update public.customers set email = '${guess}'`,
      `copy ${ins} (name, email, region) from stdin`,
      `copy public.customers (name, email, region) from stdin`,
    ];
    for (const text of attempts)
      expect(['0A000', '42501', '42809', '42601'], text).toContain(await outcome(client, text));
    const { rows } = await admin.query(`select from public.customers where email = $1`, [guess]);
    expect(rows).toEqual([]);
  });
});

test('the application reads no key, and no view of its own shows it to anybody', async () => {
  const owner = await company.application('shop_app');
  for (const text of [
    'select * from writ.token_key',
    'create view public.peek as select * from writ.token_key',
  ])
    expect(await outcome(owner, text), text).toBe('42501');
  // Not even one that a superuser made: what reads past the catalog is offered to nobody.
  await admin.query(
    'create view public.peek as select c.id, c.email, k.inner_block from public.customers c, writ.token_key k',
  );
  await admin.query('alter view public.peek owner to shop_app');
  const seen = await company.snapshot(withTokens);
  await company.apply(seen);
  expect(seen.decide(people.ana, 'SELECT', parseSecurableName('shop.public.peek')).effect).toBe('allow');
  for (const [, loginOf, schema] of doors)
    for (const name of [`${schema}.peek`, 'public.peek', 'peek'])
      expect(await outcome(loginOf(), `select * from ${name}`), name).toMatch(/42P01|42501/);
  await admin.query('drop view public.peek');
  await company.apply(snapshot);
});

describe('the attacks work where the wall is missing', () => {
  test('a grant on the table is read, is drift, and is taken back', async () => {
    await admin.query('grant select on writ.token_key to writ_managed');
    expect(
      holdsKey(await everything(gateway, `select encode(inner_block, 'hex') as inner from writ.token_key`)),
    ).toBe(true);
    expect(
      holdsKey(
        await everything(gateway, `select most_common_vals, inner_block::text from pg_stats, writ.token_key`),
      ),
    ).toBe(true);
    expect((await driftCluster(company.target(snapshot))).map(({ severity }) => severity)).toContain(
      'critical',
    );
    await company.apply(snapshot);
    expect(await outcome(gateway, 'select * from writ.token_key')).toBe('42501');
  });

  test('a key in the text of a view stands in its definition, its plan and the debug output', async () => {
    const { inner } = key.blocks();
    await admin.query(`create schema weak; create view weak.customers as select encode(sha256('\\x${inner.toString('hex')}'::bytea || convert_to(email, 'UTF8')), 'hex') as email from public.customers;
      grant usage on schema weak to writ_managed; grant select on weak.customers to writ_managed`);
    const debugged = `set client_min_messages = log; set debug_print_plan = on; select email from weak.customers`;
    expect(holdsKey(await everything(gateway, `select pg_get_viewdef('weak.customers'::regclass)`))).toBe(
      true,
    );
    expect(holdsKey(await everything(gateway, 'explain verbose select email from weak.customers'))).toBe(
      true,
    );
    const shown = await everything(gateway, debugged);
    // A plan as a tree has a constant's bytes as signed numbers.
    const bytes = [...inner.subarray(0, 8)].map((byte) => (byte > 127 ? byte - 256 : byte)).join(' ');
    expect(shown).toContain(bytes);
    await gateway.query('reset all');
    await admin.query('drop schema weak cascade');
  });

  test('the same debug output of the governed view has no such bytes', async () => {
    const { inner, outer } = key.blocks();
    const shown = await everything(
      gateway,
      `set client_min_messages = log; set debug_print_parse = on; set debug_print_rewritten = on; set debug_print_plan = on; select email from writ_public.customers`,
    );
    await gateway.query('reset all');
    expect(shown).toContain('SUBPLAN');
    for (const block of [inner, outer]) {
      const bytes = [...block.subarray(0, 8)].map((byte) => (byte > 127 ? byte - 256 : byte)).join(' ');
      expect(shown).not.toContain(bytes);
    }
  });

  test('a function over the key hashes guesses', async () => {
    await admin.query(`create function writ.token(text) returns text language sql security definer as
      $$ select encode(substring(sha256(k.outer_block || sha256(k.inner_block || convert_to($1, 'UTF8'))), 1, 16), 'hex') from writ.token_key k $$`);
    expect(await outcome(gateway, `select writ.token('guess') as t`)).toEqual([{ t: tokenOf('guess') }]);
    await admin.query('drop function writ.token(text)');
    expect(await outcome(gateway, `select writ.token('guess') as t`)).toBe('42883');
  });
});

describe('the reconciler', () => {
  test('plans, words, drift and the record hold a fingerprint and not the key', async () => {
    await admin.query('delete from writ.token_key');
    const plan = await company.plan(snapshot);
    expect(plan.operations.map(({ words }) => words)).toEqual([
      `set the key of token() (fingerprint ${key.fingerprint().slice(0, 16)})`,
    ]);
    const records: string[] = [];
    const audit = {
      ...company.target(snapshot).audit,
      append: (event: unknown) => void records.push(JSON.stringify(event)),
    };
    const done = await applyCluster({ ...company.target(snapshot), audit: audit as never });
    expect(records.join('\n')).toContain('writ.token_key');
    expect(holdsKey(JSON.stringify([plan, done, records]))).toBe(false);
    expect((await company.plan(snapshot)).operations).toEqual([]);
  });

  test('no row: tokens are NULL, never the value', async () => {
    await admin.query('delete from writ.token_key');
    const { rows } = await gateway.query(`select distinct email from writ_public.customers`);
    expect(rows).toEqual([{ email: null }]);
    await company.apply(snapshot);
  });

  test('blocks that were changed in place are seen by their fingerprint', async () => {
    await admin.query(`update writ.token_key set outer_block = inner_block`);
    expect((await driftCluster(company.target(snapshot))).map(({ summary }) => summary)).toEqual([
      expect.stringContaining('set the key of token()') as string,
    ]);
    await company.apply(snapshot);
  });

  test('another key changes the tokens', async () => {
    const other = hex.replaceAll('8', '7');
    const cluster = openCluster({
      name: 'main',
      adminUrl: company.adminUrl,
      tokenKey: TokenKey.parse(other, 'test'),
    });
    await admin.query(`update public.customers set email = 'k@x.io' where id = 3`);
    await applyCluster({ ...company.target(snapshot), cluster });
    await cluster.close();
    const shown = `select email from writ_public.customers where id = 3`;
    expect((await gateway.query(shown)).rows).toEqual([{ email: tokenOf('k@x.io', other) }]);
    await company.apply(snapshot);
    expect((await gateway.query(shown)).rows).toEqual([{ email: tokenOf('k@x.io') }]);
  });

  test('an older schema writ gets the table', async () => {
    await company.apply(await company.snapshot(withModify));
    await admin.query('drop table writ.token_key cascade');
    await company.apply(snapshot);
    expect((await gateway.query(`select email from writ_public.customers where id = 3`)).rows).toEqual([
      { email: tokenOf('k@x.io') },
    ]);
  });

  test('without a mask that needs it the key leaves the database, and uninstall leaves nothing', async () => {
    await company.apply(await company.snapshot(withModify));
    expect((await admin.query('select from writ.token_key')).rows).toEqual([]);
    await company.apply(snapshot);
    const { cluster, catalog, audit } = company.target(snapshot);
    await uninstallCluster({ cluster, catalog, audit });
    expect((await admin.query(`select to_regclass('writ.token_key') as there`)).rows).toEqual([
      { there: null },
    ]);
  });
});
