import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import { explain, whatCan, whoCan } from '../../src/policy/explain.ts';
import { people, sampleCatalog } from './fixture.ts';

const files = [{ path: 'sample.yaml', text: readFileSync('policies/sample.yaml', 'utf8') }];
const { snapshot } = await compileFiles(files, sampleCatalog(), [people.nina], 0);
if (snapshot === undefined) throw new Error('the sample does not compile');
const customers = parseSecurableName('shop.public.customers');

test('ana: three gates, a filter, two masks as written', () => {
  expect(explain(snapshot, people.ana, 'SELECT', customers).lines).toEqual([
    'ana@acme.test may SELECT on shop.public.customers',
    '  USE CATALOG on shop granted to analysts',
    '  USE SCHEMA on shop granted to analysts',
    '  SELECT on shop granted to analysts',
    '  groups: all users, analysts',
    '  attribute region: EMEA',
    "  row filter own_region (set on metastore): region = any(attribute('region'))",
    "  email masked by mask_email (set on metastore): left(value, 1) || '***@***'",
    "  phone masked by mask_phone (set on metastore): '***' || right(value, 2)",
  ]);
});

test('nina: the gate that failed, and nothing about what lies behind it', () => {
  expect(explain(snapshot, people.nina, 'SELECT', customers).lines).toEqual([
    'nina@acme.test may not SELECT on shop.public.customers',
    '  no USE CATALOG on shop',
    '  groups: all users',
  ]);
});

test('sam: exempt', () => {
  expect(explain(snapshot, people.sam, 'SELECT', customers).lines.at(-1)).toBe(
    '  exempt from every row filter and column mask of the table',
  );
});

test('who can, what can', () => {
  expect(whoCan(snapshot, 'SELECT', customers).map(({ principal }) => principal)).toEqual([
    people.ana,
    people.omar,
    people.sam,
  ]);
  expect(
    whoCan(snapshot, 'MODIFY', parseSecurableName('shop.public.orders')).map(({ principal }) => principal),
  ).toEqual([people.etl]);
  expect(whatCan(snapshot, people.etl, 'SELECT')).toEqual(['shop.public.orders']);
  expect(whatCan(snapshot, people.ana, 'SELECT', { limit: 2 })).toEqual([
    'lake.sales.orders_history',
    'shop.public.countries',
  ]);
  expect(
    whatCan(snapshot, people.ana, 'SELECT', { limit: 1, after: parseSecurableName('shop.public.countries') }),
  ).toEqual(['shop.public.customer_orders']);
});
