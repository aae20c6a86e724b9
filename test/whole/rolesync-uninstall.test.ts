import { afterAll, beforeAll, expect, test } from 'vitest';
import { uninstallCluster } from '../../src/rolesync/reconcile.ts';
import { catalogFingerprint } from './catalog-fingerprint.ts';
import { type GovernedShop, governedShop, outcome, withModify } from './rolesync-shop.ts';
import { runUnmanagedSuite } from './unmanaged-suite.ts';

// The application's own roles before, while and after; and uninstall leaves nothing.

let company: GovernedShop;
beforeAll(async () => {
  company = await governedShop();
});
afterAll(() => company.stop());

const fingerprint = () => catalogFingerprint(company.adminUrl, 'shop');
const application = () => runUnmanagedSuite(company.adminUrl, company.roleUrls);

test('the application notices nothing, its migrations keep the wall, and afterwards the catalogs are as before', async () => {
  const answers = await application();
  const before = await fingerprint();
  await company.apply(await company.snapshot());
  const snapshot = await company.snapshot(withModify);
  await company.apply(snapshot);
  const ana = await company.login(snapshot, 'ana@acme.test', 'direct');
  const omar = await company.login(snapshot, 'omar@acme.test', 'gateway');
  expect(await application()).toEqual(answers);
  expect(await outcome(ana, `select distinct region, email ~ '\\*' as masked from customers`)).toEqual([
    { region: 'EMEA', masked: true },
  ]);
  expect(await outcome(ana, 'select distinct region from customer_orders')).toEqual([{ region: 'EMEA' }]);
  await ana.query('create temp table mine (id int)');
  expect(await fingerprint()).not.toEqual(before);
  const target = company.target(snapshot);
  const removed = await uninstallCluster(target);
  expect(removed.length).toBeGreaterThan(10);
  await expect(omar.query('select 1')).rejects.toThrow();
  expect(await fingerprint()).toEqual(before);
  expect(await uninstallCluster(target)).toEqual([]);
  expect(await application()).toEqual(answers);
});

test('and it can come back', async () => {
  const snapshot = await company.snapshot();
  await company.apply(snapshot);
  expect((await company.plan(snapshot)).operations).toEqual([]);
});
