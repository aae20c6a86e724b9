import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { createSampleShop, type ShopRole } from '../../src/dev/sample/shop.ts';
import { catalogFingerprint } from '../whole/catalog-fingerprint.ts';
import { runUnmanagedSuite } from '../whole/unmanaged-suite.ts';

// The instruments themselves: they must be steady without governance, and notice what governance could do wrong.

const home = mkdtempSync(join(tmpdir(), 'writ-suite-'));
let server: EmbeddedPostgres;
let urls: Record<ShopRole, string>;

beforeAll(async () => {
  server = await startEmbeddedPostgres({ home, port: 0 });
  urls = await createSampleShop(server.adminUrl, join(home, 'cluster-roles.json'));
});
afterAll(async () => {
  await server.stop();
  rmSync(home, { recursive: true });
});

async function asAdmin(...statements: string[]): Promise<void> {
  const url = new URL(server.adminUrl);
  url.pathname = '/shop';
  const client = new Client({ connectionString: url.href });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

describe('the unmanaged suite', () => {
  it('gives the same answers every time and leaves the catalogs as they were', async () => {
    const fingerprint = await catalogFingerprint(server.adminUrl, 'shop');
    const first = await runUnmanagedSuite(server.adminUrl, urls);
    expect(await runUnmanagedSuite(server.adminUrl, urls)).toEqual(first);
    expect(await catalogFingerprint(server.adminUrl, 'shop')).toEqual(fingerprint);
    expect(first).toMatchObject({
      application: {
        uniqueViolation: { code: '23505', detail: 'Key (email)=(bob.meyer1@example.com) already exists.' },
        totals: [],
        totalsAfterCascade: [],
      },
      load: { loader: { copied: 'COPY 300' }, totals: { wrong: [] } },
      migration: { clean: true, released: { tooLong: { code: '22001' } } },
      report: { noCustomers: { code: '42501' } },
      ownPolicy: { report: [{ region: 'EMEA' }] },
    });
    expect(first['dumpAfterwards']).toEqual(first['dump']);
  });

  it('notices row security on the tables of the application', async () => {
    const before = await runUnmanagedSuite(server.adminUrl, urls);
    await asAdmin(
      'alter table customers enable row level security',
      'create policy open on customers using (true)',
    );
    await expect(runUnmanagedSuite(server.adminUrl, urls)).rejects.toThrow('row-level security');
    await asAdmin('drop policy open on customers', 'alter table customers disable row level security');
    expect(await runUnmanagedSuite(server.adminUrl, urls)).toEqual(before);
  });
});

describe('the catalog fingerprint', () => {
  it.each([
    ['a role', ['create role left_over'], ['drop role left_over']],
    ['a membership', ['grant pg_monitor to shop_report'], ['revoke pg_monitor from shop_report']],
    [
      'a column grant',
      ['grant select (email) on customers to shop_report'],
      ['revoke select (email) on customers from shop_report'],
    ],
    [
      'a revoked default',
      ['revoke temporary on database shop from public'],
      ['grant temporary on database shop to public'],
    ],
    [
      'a setting',
      ['alter role shop_app in database shop set search_path = x'],
      ['alter role shop_app in database shop reset search_path'],
    ],
    [
      'a revoked system function',
      ['revoke execute on function pg_catalog.pg_sleep(float8) from public'],
      ['grant execute on function pg_catalog.pg_sleep(float8) to public'],
    ],
    [
      'a default privilege',
      ['alter default privileges for role shop_app grant select on tables to shop_report'],
      ['alter default privileges for role shop_app revoke select on tables from shop_report'],
    ],
    ['a schema', ['create schema left_over'], ['drop schema left_over']],
    [
      'an event trigger',
      [
        "create function left_over() returns event_trigger language plpgsql as 'begin end'",
        'create event trigger left_over on ddl_command_end execute function left_over()',
      ],
      ['drop event trigger left_over', 'drop function left_over()'],
    ],
  ])('notices %s, and its undoing', async (_what, change, undo) => {
    const before = await catalogFingerprint(server.adminUrl, 'shop');
    await asAdmin(...change);
    expect(await catalogFingerprint(server.adminUrl, 'shop')).not.toEqual(before);
    await asAdmin(...undo);
    expect(await catalogFingerprint(server.adminUrl, 'shop')).toEqual(before);
  });
});
