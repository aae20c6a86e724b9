import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDevEnvironment } from '../../src/dev/environment.ts';
import { catalogFingerprint } from './catalog-fingerprint.ts';
import { type Company, endOf, startCompany } from './company.ts';
import { type Answers, runUnmanagedSuite } from './unmanaged-suite.ts';

// The application's own roles before Writ comes, while it governs (and hardened the cluster), and after it left.

const home = mkdtempSync(join(tmpdir(), 'writ-unmanaged-'));
let company: Company;
let before: Answers;
let untouched: Awaited<ReturnType<typeof catalogFingerprint>>;
let adminUrl = '';
let roleUrls: Readonly<Record<string, string>>;

beforeAll(async () => {
  const environment = await startDevEnvironment({ home, clusterPort: 0, idpPort: 0 });
  before = await runUnmanagedSuite(environment.cluster.adminUrl, environment.roleUrls);
  untouched = await catalogFingerprint(environment.cluster.adminUrl, 'shop');
  roleUrls = environment.roleUrls;
  await environment.stop();
  company = await startCompany({ home });
  adminUrl = company.endpoints.clusters['main']?.adminUrl ?? '';
  const port = new URL(adminUrl).port;
  roleUrls = Object.fromEntries(Object.entries(roleUrls).map(([role, url]) => [role, moved(url, port)]));
});
afterAll(() => company.stop());

const moved = (url: string, port: string) => {
  const there = new URL(url);
  there.port = port;
  return there.href;
};

/** docs/differences.md: a hardened cluster's roles are listed as members of the role that holds what PUBLIC had. */
const withoutDocumented = (answers: Answers): unknown =>
  JSON.parse(JSON.stringify(answers), (_key, value: unknown) =>
    Array.isArray(value)
      ? value.filter((each: { role?: string } | null) => each?.role !== 'unmanaged_by_writ')
      : value,
  );

test('while governed: the same answers, and the policy still holds after their migrations', async () => {
  const during = await runUnmanagedSuite(adminUrl, roleUrls as Parameters<typeof runUnmanagedSuite>[1]);
  expect(withoutDocumented(during)).toEqual(JSON.parse(JSON.stringify(before)));
  const ana = await company.psql('ana@acme.test', 'shop', 'select distinct region from customers');
  expect(ana.stdout.trim()).toBe('EMEA');
  expect((await company.writ('sync', 'drift')).stdout).not.toMatch(/critical/);
});

test('a role that is made after hardening connects as any other', async () => {
  const admin = await company.admin();
  await admin.query("create role newcomer login password 'p'");
  await expect
    .poll(
      async () => {
        const { rows } = await admin.query(
          "select has_database_privilege('newcomer', 'shop', 'connect') as may",
        );
        return rows[0].may as boolean;
      },
      { timeout: 10_000 },
    )
    .toBe(true);
  await admin.query('drop role newcomer');
  await admin.end();
});

test('uninstall leaves the catalogs as before the first apply, and the application as it was', async () => {
  const ana = await company.connectDirect('ana@acme.test', 'shop');
  const ended = endOf(ana);
  const uninstalled = await company.writ('sync', 'uninstall', 'main');
  expect(uninstalled.stderr).toBe('');
  expect(uninstalled.code).toBe(0);
  expect(await ended).toBe('57P01');
  expect(await catalogFingerprint(adminUrl, 'shop')).toEqual(untouched);
  expect(await runUnmanagedSuite(adminUrl, roleUrls as Parameters<typeof runUnmanagedSuite>[1])).toEqual(
    before,
  );
  const after = await company.psql('ana@acme.test', 'shop', 'select 1 from customers');
  expect(after.code).not.toBe(0);
});
