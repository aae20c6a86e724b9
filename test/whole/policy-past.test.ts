import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Company, startCompany } from './company.ts';

// The policy as it was, asked in the shell; and what one apply may not widen unasked.

let company: Company;
const policies = mkdtempSync(join(tmpdir(), 'writ-past-'));
const file = join(policies, 'sample.yaml');
const whole = readFileSync(join(import.meta.dirname, '..', '..', 'policies', 'sample.yaml'), 'utf8');
/** Without its invariants, which would refuse what the guard is to refuse. */
const sample = whole.slice(0, whole.indexOf('---\nkind: tests'));
const customers = 'shop.public.customers';

beforeAll(async () => {
  writeFileSync(file, sample);
  company = await startCompany({ env: { WRIT_POLICIES: policies } });
});
afterAll(async () => {
  await company.stop();
  rmSync(policies, { recursive: true, force: true });
});

describe('what one apply widens', () => {
  const open = sample.replace(/match: \{ value: \{ pii: email \} \}, to: \[all users\]/, (found) =>
    found.replace('all users', 'nina@acme.test'),
  );
  const accepted = (...args: string[]) => company.writ('policy', 'apply', ...args);

  test('an acceptance names the number that was seen', async () => {
    writeFileSync(file, open);
    const { stdout } = await company.writ('policy', 'plan', '--json');
    expect((JSON.parse(stdout) as { widened: object[] }).widened).toEqual([
      { kind: 'column', on: 'lake.sales.orders_history.customer_email', people: 2 },
      { kind: 'column', on: 'shop.public.customers.email', people: 2 },
    ]);
    expect(await accepted('--accept', 'widened=1')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/2 columns or tables lose a mask or row filter, accepted were 1/),
    });
    expect(await accepted('--accept', 'everything')).toMatchObject({ code: 64 });
    expect((await accepted('--accept', 'widened=2')).code).toBe(0);
    writeFileSync(file, sample);
    expect((await accepted()).code).toBe(0);
  });
});

describe('questions to the past', () => {
  let then: string;
  const narrowed = sample.replace('[ana@acme.test, omar@acme.test, sam@acme.test] }', '[ana@acme.test] }');

  beforeAll(async () => {
    then = new Date().toISOString();
    writeFileSync(file, narrowed);
    const applied = await company.writ('policy', 'apply');
    expect(applied.stderr).toBe('');
    expect(applied.code).toBe(0);
  });

  test('omar could, and cannot; the answer says by which snapshot', async () => {
    const now = await company.writ('policy', 'explain', 'omar@acme.test', 'SELECT', customers);
    expect(now.code).toBe(1);
    const was = await company.writ('policy', 'explain', 'omar@acme.test', 'SELECT', customers, '--at', then);
    expect(was.code).toBe(0);
    expect(was.stdout).toMatch(
      /^as of 20\S+Z: snapshot [0-9a-f]{8}, in force since 20\S+Z until 20\S+Z\n {2}policy apply, by operator\nomar@acme\.test may SELECT/,
    );
  });

  test('who could, with reasons; page by page', async () => {
    const ask = async (...args: string[]) =>
      JSON.parse(
        (await company.writ('policy', 'who-can', 'SELECT', customers, '--json', ...args)).stdout,
      ) as {
        principals: string[];
        items: { text: string }[];
        next?: string;
      };
    expect((await ask()).principals).toEqual(['ana@acme.test']);
    const first = await ask('--at', then, '--limit', '2');
    expect(first.principals).toEqual(['ana@acme.test', 'omar@acme.test']);
    expect(first.items[0]?.text).toMatch(/^allow: USE CATALOG on shop granted to analysts/);
    const rest = await ask('--at', then, '--after', first.next ?? '');
    expect([rest.principals, rest.next]).toEqual([['sam@acme.test'], undefined]);
  });

  test('what somebody can, page by page, now and then', async () => {
    const etl = await company.writ('policy', 'what-can', 'etl', 'SELECT');
    expect(etl.stdout).toBe('shop.public.orders\n');
    const first = await company.writ('policy', 'what-can', 'ana@acme.test', 'SELECT', '--limit', '1');
    expect(first.stdout).toBe('lake.sales.orders_history\n… and more: --after lake.sales.orders_history\n');
    const omar = await company.writ('policy', 'what-can', 'omar@acme.test', 'SELECT', '--at', then);
    expect(omar.stdout).toContain(`\n${customers}\n`);
    expect((await company.writ('policy', 'what-can', 'omar@acme.test', 'SELECT')).stdout.trim()).toBe(
      'nothing',
    );
  });

  test('people ask about themselves, about others only who manages the metastore', async () => {
    const own = await company.writ(
      ...['policy', 'explain', 'omar@acme.test', 'SELECT', customers, '--at', then],
      ...['--as', 'omar@acme.test'],
    );
    expect(own.code).toBe(0);
    for (const args of [
      ['explain', 'ana@acme.test', 'SELECT', customers],
      ['what-can', 'ana@acme.test', 'SELECT'],
      ['who-can', 'SELECT', customers],
    ])
      for (const as of ['omar@acme.test', 'pat@acme.test']) {
        const other = await company.writ('policy', ...args, '--at', then, '--as', as);
        expect([other.code, other.stdout], `${args[0]} as ${as}`).toEqual([1, '']);
      }
    // Whoever manages the catalog may ask who can now.
    const now = await company.writ('policy', 'who-can', 'SELECT', customers, '--as', 'pat@acme.test');
    expect(now.stdout).toBe('ana@acme.test\n');
  });

  test('a time without a zone, before everything, to come', async () => {
    const at = (time: string) => company.writ('policy', 'who-can', 'SELECT', customers, '--at', time);
    expect(await at('2026-01-01T10:00:00')).toMatchObject({
      code: 64,
      stderr: expect.stringMatching(/is no moment/),
    });
    expect(await at('2020-01-01')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no policy is kept from 2020-01-01T00:00:00\.000Z/),
    });
    expect((await at('2100-01-01')).stderr).toMatch(/lies in the future/);
  });
});
