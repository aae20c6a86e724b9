import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { catalogOfQuery, directQuery, isOrdered } from '../../src/fleet/direct-query.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { catalogOf, people, sampleTables, table } from '../policy/fixture.ts';

const shop = parseSecurableName('shop');
let snapshot: Snapshot;
beforeAll(async () => {
  const files = [{ path: 'p.yaml', text: readFileSync('policies/sample.yaml', 'utf8') }];
  const catalog = catalogOf({ shop: 'POSTGRES', lake: 'LAKE', system: 'SYSTEM' }, [
    ...sampleTables(),
    table('shop.other.orders', { id: 'bigint' }),
  ]);
  const compiled = await compileFiles(files, catalog, [], 0);
  if (compiled.snapshot === undefined) throw new Error('the sample does not compile');
  snapshot = compiled.snapshot;
});

test.each([
  ['select id from shop.public.customers', 'select id from "customers"'],
  ['select id from customers', 'select id from customers'],
  ['select c.id from shop.public.customers as c', 'select c.id from "customers" as c'],
  [
    'select shop.public.customers.id, public.customers.email from shop.public.customers',
    'select "customers".id, "customers".email from "customers"',
  ],
  ["select 'ß', id from shop.public.customers -- x", 'select \'ß\', id from "customers" -- x'],
  [
    'with t as (select * from shop.public.customers) select * from t join public.countries on true',
    'with t as (select * from "customers") select * from t join "countries" on true',
  ],
  ['select 1 from shop.public.orders', 'select 1 from "writ_public_direct"."orders"'],
])('%s', (query, direct) => {
  expect(directQuery(snapshot, people.ana, shop, query)).toBe(direct);
});

test('somebody exempt from every rule reads the clear view', () => {
  expect(directQuery(snapshot, people.sam, shop, 'select 1 from shop.public.orders')).toBe(
    'select 1 from "writ_public_direct_clear"."orders"',
  );
});

test('the catalog of a query, its order, and what does not parse', () => {
  expect(catalogOfQuery('select 1 from lake.sales.t')).toBe('lake');
  expect(catalogOfQuery('select 1 from t')).toBeUndefined();
  expect(isOrdered('select 1 order by 1')).toBe(true);
  expect(isOrdered('select * from (select 1 order by 1) t')).toBe(false);
  expect(() => isOrdered('selekt')).toThrow(/syntax error/);
});
