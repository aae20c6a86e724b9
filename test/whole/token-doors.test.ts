import { createHmac } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TokenKey } from '../../src/kernel/token-key.ts';
import { type Company, startCompany } from './company.ts';

// token() through the doors of a whole instance: one key for all catalogs, and no byte of it in any file, log, record,
// plan or answer. The server logs every statement, and every parameter, while the key is written.

const policies = mkdtempSync(join(tmpdir(), 'writ-policies-'));
const env = { WRIT_POLICIES: policies, WRIT_LOG_LEVEL: 'trace' };
let company: Company;
let shop: pg.Client;
let lake: pg.Client;
let hex: string;
const outputs: string[] = [];

beforeAll(async () => {
  const sample = readFileSync(join(import.meta.dirname, '..', '..', 'policies', 'sample.yaml'), 'utf8');
  writeFileSync(
    join(policies, 'sample.yaml'),
    sample
      .replace(`"left(value, 1) || '***@***'"`, '"token(value)"')
      .replace('grants:\n', 'grants:\n  - { on: shop, to: analysts, privileges: [MODIFY] }\n')
      .replace(/^---\nkind: tests[\s\S]*$/m, ''),
  );
  company = await startCompany({ env, keepHome: true });
  hex = readFileSync(join(company.home, 'token-key'), 'utf8').trim();
  const admin = await company.admin();
  await admin.query("alter system set log_statement = 'all'");
  await admin.query('alter system set log_min_duration_statement = 0');
  await admin.query('alter system set log_parameter_max_length = -1');
  await admin.query('select pg_reload_conf()');
  await admin.query('delete from writ.token_key');
  outputs.push(...Object.values(await company.writ('policy', 'plan')).map(String));
  outputs.push(...Object.values(await company.writ('policy', 'plan', '--json')).map(String));
  outputs.push(...Object.values(await company.writ('sync', 'drift')).map(String));
  outputs.push(...Object.values(await company.writ('sync', 'apply', '--json')).map(String));
  expect((await admin.query('select from writ.token_key')).rowCount).toBe(1);
  await admin.end();
  shop = await company.connect('ana@acme.test', 'shop');
  lake = await company.connect('ana@acme.test', 'lake');
});
afterAll(async () => {
  await Promise.allSettled([shop?.end(), lake?.end()]);
  await company?.stop();
  for (const folder of [policies, company.home]) rmSync(folder, { recursive: true, force: true });
});

function holdsKey(text: string): boolean {
  const { inner, outer } = TokenKey.parse(hex, 'test').blocks();
  const lower = text.toLowerCase();
  return [Buffer.from(hex, 'hex'), inner, outer].some((secret) =>
    [0, 8, 16, 24].some((at) => {
      const part = secret.subarray(at, at + 8);
      return lower.includes(part.toString('hex')) || text.includes(part.toString('latin1'));
    }),
  );
}

const tokenOf = (text: string) =>
  createHmac('sha256', Buffer.from(hex, 'hex')).update(text, 'utf8').digest('hex').slice(0, 32);

test('the key is a private file of 32 random bytes', () => {
  expect(hex).toMatch(/^[0-9a-f]{64}$/);
  expect(statSync(join(company.home, 'token-key')).mode & 0o777).toBe(0o600);
});

test('shop and lake give the same token for the same address', async () => {
  const admin = await company.admin();
  const { rows: clear } = await admin.query<{ email: string }>(
    `select email from customers where region = 'EMEA' order by id limit 50`,
  );
  await admin.end();
  const shown = (await shop.query<{ email: string }>('select email from customers')).rows;
  const tokens = new Set(shown.map(({ email }) => email));
  for (const { email } of clear) expect(tokens).toContain(tokenOf(email));
  const { rows } = await lake.query<{ token: string }>(
    'select distinct customer_email as token from sales.orders_history',
  );
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.filter(({ token }) => tokens.has(token)).length).toBeGreaterThan(0);
});

describe('through the gateway', () => {
  test.each([
    'select * from writ.token_key',
    'select inner_block::text from writ.token_key',
    'copy writ.token_key to stdout',
    'explain (verbose, analyze) select email from customers',
    `select pg_get_viewdef('customers'::regclass)`,
    `select * from pg_views where schemaname like 'writ%'`,
    `select * from pg_stats where schemaname = 'writ'`,
    `set client_min_messages = log; set debug_print_plan = on; select email from customers`,
    `select email::integer from customers`,
    `update customers set email = 'guess@acme.test'`,
    `insert into customers (name, email, region) values ('x', 'guess@acme.test', 'EMEA') returning email`,
  ])('%s', async (text) => {
    const client = await company.connect('ana@acme.test', 'shop');
    const heard: string[] = [];
    client.on('notice', (notice) => heard.push(JSON.stringify(notice)));
    const result = await client.query(text).catch((error: unknown) => ({ rows: [], error }));
    heard.push(JSON.stringify(result), String('error' in result ? result.error : ''));
    expect(holdsKey(heard.join('\n'))).toBe(false);
    if (/^(select .*token_key|copy|update|insert)/.test(text)) expect(result).toHaveProperty('error');
    expect(heard.join('\n')).not.toContain(tokenOf('guess@acme.test'));
    await client.end();
  });
});

test('no output, log, record or file of the home has a byte of it', async () => {
  for (const text of outputs) expect(holdsKey(text)).toBe(false);
  expect(outputs.join('')).toContain('set the key of token()');
  outputs.push(company.output());
  const served = ['/api/v1/catalog', '/api/v1/policy', '/api/v1/sync', '/metrics', '/openapi.json'];
  for (const path of served) outputs.push(await (await fetch(`${company.endpoints.http}${path}`)).text());
  for (const text of outputs) expect(holdsKey(text)).toBe(false);
  const files = readdirSync(company.home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const holding = files
    .filter((file) => holdsKey(readFileSync(file, 'latin1')))
    .map((file) => relative(company.home, file));
  // Postgres' own table and its write-ahead log, besides the key itself: nothing else.
  expect(holding).toContain('token-key');
  expect(holding.filter((file) => file !== 'token-key' && !/\/(base|pg_wal)\//.test(file))).toEqual([]);
  expect(files.map((file) => relative(company.home, file))).toContain('cluster.log');
  expect(readFileSync(join(company.home, 'cluster.log'), 'utf8')).toContain('insert into writ.token_key');
});

test('where the server logs parameters and nobody silenced it, they are there', async () => {
  const admin = await company.admin();
  await admin.query('select $1::text as planted', ['planted-parameter-in-the-log']);
  await admin.end();
  expect(readFileSync(join(company.home, 'cluster.log'), 'utf8')).toContain('planted-parameter-in-the-log');
});

async function tokensOfBoth(): Promise<readonly (readonly string[])[]> {
  const of = async (catalog: string, text: string) => {
    const client = await company.connect('ana@acme.test', catalog);
    const { rows } = await client.query<{ token: string }>(text);
    await client.end();
    return rows.map(({ token }) => token);
  };
  return [
    await of('shop', 'select email as token from customers order by id'),
    await of('lake', 'select customer_email as token from sales.orders_history order by order_id limit 20'),
  ];
}

test('the key survives a restart; another one in its place is everywhere after a start and sync apply', {
  timeout: 120_000,
}, async () => {
  await Promise.allSettled([shop.end(), lake.end()]);
  const before = await tokensOfBoth();
  const restart = async () => {
    await company.stop();
    company = await startCompany({ home: company.home, env, keepHome: true });
  };
  await restart();
  expect(await tokensOfBoth()).toEqual(before);
  await company.stop();
  const file = join(company.home, 'token-key');
  writeFileSync(file, `${hex.split('').toReversed().join('')}\n`);
  company = await startCompany({ home: company.home, env, keepHome: true });
  expect((await company.writ('sync', 'drift')).stdout).toContain('set the key of token()');
  expect((await company.writ('sync', 'apply')).code).toBe(0);
  const [newShop = [], newLake = []] = await tokensOfBoth();
  for (const token of [...newShop, ...newLake]) expect(before.flat()).not.toContain(token);
  expect(newShop.some((token) => newLake.includes(token))).toBe(true);
});
