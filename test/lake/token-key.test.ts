import { createHmac } from 'node:crypto';
import { rmSync } from 'node:fs';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TokenKey } from '../../src/kernel/token-key.ts';
import type { LakeSession } from '../../src/lake/engine.ts';
import { governedSelect } from '../../src/lake/govern.ts';
import { type GovernedLakeEngine, openLakeEngine } from '../../src/lake/open-engine.ts';
import { WorkerProcess } from '../../src/lake/worker-process.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { people } from '../policy/fixture.ts';
import { lake, makeLake, rowsOf, sampleSnapshot } from './sample.ts';

// The key of token() in a worker: what a person can say never reaches it. The walk is what keeps them apart: a worker
// that is handed the same text without it gives the key, which shows that the attacks are real.

const hex = '8f3c5d0b9a7e46211122334455667788a1b2c3d4e5f60718293a4b5c6d7e8f90';
const key = TokenKey.parse(hex, 'test');
const { inner, outer } = key.blocks();
const tokenOf = (text: string) =>
  createHmac('sha256', Buffer.from(hex, 'hex')).update(text, 'utf8').digest('hex').slice(0, 32);
const holdsKey = (text: string) =>
  [Buffer.from(hex, 'hex'), inner, outer].some((secret) =>
    [0, 8, 16, 24].some((at) => text.toLowerCase().includes(secret.subarray(at, at + 8).toString('hex'))),
  );

let location: string;
let engine: GovernedLakeEngine;
let ana: LakeSession;
let snapshot: Snapshot;
let worker: WorkerProcess;

beforeAll(async () => {
  location = await makeLake();
  snapshot = await sampleSnapshot({ lake: location }, (text) =>
    text.replace(`"left(value, 1) || '***@***'"`, '"token(value)"').replace(/^invariants: .*$/m, ''),
  );
  engine = openLakeEngine({ limits: { spares: 1 }, tokenKey: key });
  ana = await engine.open(lake, people.ana);
  worker = WorkerProcess.start();
  await worker.ready;
  await worker.lock({
    directories: [location],
    temporary: location,
    memory: '256MB',
    temporarySize: '1GB',
    threads: 1,
    database: 'lake',
    schemas: ['sales'],
    tokenKey: { inner: inner.toString('hex'), outer: outer.toString('hex') },
    answers: {},
  });
}, 60_000);

afterAll(async () => {
  worker?.kill();
  await engine?.close();
  rmSync(location, { recursive: true, force: true });
});

async function raw(text: string): Promise<string> {
  const parts: Buffer[] = [];
  const request = { sql: text, governed: { version: '', views: [] }, parameters: [] };
  for await (const batch of worker.run(request, () => undefined)) if (batch.bytes) parts.push(batch.bytes);
  return Buffer.concat(parts).toString('latin1');
}

it('a token is the HMAC, as in Postgres', async () => {
  const rows = await rowsOf(ana, snapshot, 'select order_id, customer_email from orders_history order by 1');
  expect(rows.length).toBe(100);
  for (const [id, email] of rows) expect(email).toBe(tokenOf(`user${id}@acme.test`));
});

it('tokens can be searched, grouped and joined', async () => {
  const text = `select count(*), count(distinct a.customer_email) from orders_history a join orders_history b
    on a.customer_email = b.customer_email where a.customer_email in ($1, $2) or a.region = 'EMEA'`;
  expect(await rowsOf(ana, snapshot, text, [tokenOf('user3@acme.test'), 'x'])).toEqual([['100', '100']]);
});

const namings = [
  'memory.writ.token_key',
  '"memory"."writ"."token_key"',
  'MEMORY.WRIT.TOKEN_KEY',
  'writ.token_key',
  'token_key',
];

describe('the walk refuses', () => {
  it.each([
    ...namings.map((name) => `select * from ${name}`),
    ...namings.map((name) => `select (select inner_block from ${name})`),
    'select encode(k.inner_block) from memory.writ.token_key k',
    'select token_key from memory.writ.token_key',
    'from memory.writ.token_key',
    'table memory.writ.token_key',
    'select memory.writ.token_key.inner_block from orders_history',
    'select k.inner_block from orders_history as base',
    'select count(*) from orders_history where exists (from memory.writ.token_key k where k.inner_block > $1::blob)',
    'select * from orders_history positional join memory.writ.token_key',
    'with x as (select * from memory.writ.token_key) select * from x',
    'select * from (pivot memory.writ.token_key on inner_block using count(*))',
    'pivot memory.writ.token_key on inner_block using count(*)',
    'unpivot memory.writ.token_key on inner_block, outer_block',
    "select * from query('from memory.writ.token_key')",
    "select * from query_table('memory.writ.token_key')",
    "select * from query_table(['memory.writ.token_key'])",
    'describe memory.writ.token_key',
    'summarize memory.writ.token_key',
    'show tables from memory.writ',
    'show all tables',
    "pragma table_info('memory.writ.token_key')",
    "pragma storage_info('memory.writ.token_key')",
    "select * from pragma_storage_info('memory.writ.token_key')",
    'select * from duckdb_tables()',
    'select sql from duckdb_views()',
    'select macro_definition from duckdb_functions()',
    'select * from duckdb_columns()',
    'select * from duckdb_databases()',
    'select * from duckdb_prepared_statements()',
    'select * from duckdb_logs',
    'select * from information_schema.views',
    'select view_definition from system.information_schema.views',
    'select * from pg_catalog.pg_views',
    'select * from sqlite_master',
    'explain select customer_email from orders_history',
    'explain analyze select customer_email from orders_history',
    'pragma enable_profiling',
    'pragma enable_verification',
    "copy memory.writ.token_key to 'LAKE/key.csv'",
    'copy from database memory to lake',
    "export database memory to 'LAKE'",
    'create view v as select * from memory.writ.token_key',
    'insert into orders_history (customer_email) select outer_block from memory.writ.token_key',
    'delete from memory.writ.token_key',
    'use memory.writ',
    "set search_path = 'memory.writ'",
    'detach memory',
    'select stats(customer_email) from orders_history',
    'select token(customer_email) from orders_history',
    "select token('guess@acme.test')",
    "select writ_token('guess@acme.test')",
  ])('%s', async (text) => {
    const thrown = await rowsOf(ana, snapshot, text.replace('LAKE', location)).then(
      () => undefined,
      (error: { sqlstate?: string }) => error,
    );
    expect(thrown).toMatchObject({ sqlstate: expect.stringMatching(/0A000|42P01|42601|42883|42703/) });
    expect(holdsKey(JSON.stringify([thrown, String(thrown)]))).toBe(false);
  });
});

it.each([
  'select hex(inner_block) from memory.writ.token_key',
  "select hex(inner_block) from query('from memory.writ.token_key')",
  "select hex(outer_block) from query_table('memory.writ.token_key')",
])('without the walk the worker answers: %s', async (text) => {
  expect(holdsKey(await raw(text))).toBe(true);
});

it('the text of the governed view has no key in it', () => {
  const table = [...snapshot.catalog.tables.values()].find(
    ({ name }) => name === 'lake.sales.orders_history',
  );
  const catalog = snapshot.catalog.catalogs.get(lake);
  if (table === undefined || catalog === undefined) throw new Error('no table');
  const { text } = governedSelect(table, { snapshot, principal: people.ana, catalog, asOperator: false });
  expect(text).toContain('token_key');
  expect(holdsKey(text)).toBe(false);
});

it.each([
  'select customer_email::int from orders_history',
  'select customer_email::blob from orders_history',
  'select 1 / (length(customer_email) - 32) + customer_email::tinyint from orders_history',
  'select nosuch from orders_history',
  "select strptime(customer_email, '%Y') from orders_history",
  'select customer_email.inner_block from orders_history',
])('an error has neither key nor value: %s', async (text) => {
  const heard = await rowsOf(ana, snapshot, text).then(
    (rows) => JSON.stringify(rows),
    (error: Error & { cause?: unknown }) =>
      `${JSON.stringify(error)} ${String(error)} ${String(error.cause)}`,
  );
  expect(holdsKey(heard)).toBe(false);
  expect(heard).not.toContain('user');
});

it('an engine without a key reads no token, nor the value', async () => {
  const keyless = openLakeEngine({ limits: { spares: 0 } });
  try {
    const session = await keyless.open(lake, people.ana);
    await expect(
      rowsOf(session, snapshot, 'select customer_email from orders_history'),
    ).rejects.toBeInstanceOf(Error);
    expect(
      (await rowsOf(session, await sampleSnapshot({ lake: location }), 'select 1 from orders_history'))
        .length,
    ).toBe(100);
  } finally {
    await keyless.close();
  }
});

it('the key prints as nothing', () => {
  expect(`${key} ${JSON.stringify({ key })} ${inspect(key)}`).toBe(
    '[token key] {"key":"[token key]"} [token key]',
  );
  expect(() => TokenKey.parse('abc-secret', 'the file')).toThrow(/^(?!.*abc-secret).*the file/s);
});
