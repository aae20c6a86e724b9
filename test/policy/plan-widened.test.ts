import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compileFiles } from '../../src/policy/compile.ts';
import { formatFinding } from '../../src/policy/findings.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { planPolicy } from '../../src/policy/plan.ts';
import { sampleCatalog } from './fixture.ts';

// What a guard counts as shown more openly: a mask or filter that goes by any means, or stays and hides nothing.

const now = Date.parse('2026-03-03T12:00:00Z');
const sample = readFileSync('policies/sample.yaml', 'utf8').replace(/^invariants: .*$/m, '');
const email = "left(value, 1) || '***@***'";
const ofEmail = 'value: { pii: email } }, to: [all users], except: [stewards]';
const ofRegion = 'region: { residency: region } }, to: [all users], except: [stewards, loaders]';
type Edit = readonly [from: string, to: string];

async function compile(text: string): Promise<Snapshot> {
  const { snapshot, findings } = await compileFiles([{ path: 'p.yaml', text }], sampleCatalog(), [], now);
  if (snapshot === undefined) throw new Error(findings.map(formatFinding).join('\n'));
  return snapshot;
}

function edited(text: string, edits: readonly Edit[]): string {
  return edits.reduce((changed, [from, to]) => {
    expect(changed).toContain(from);
    return changed.replace(from, to);
  }, text);
}

async function widened(edits: readonly Edit[], before: readonly Edit[] = []): Promise<readonly string[]> {
  const from = edited(sample, before);
  const plan = planPolicy(await compile(from), await compile(edited(from, edits)));
  return plan.widened.map(({ kind, on, people }) => `${kind} ${on} ${people}`);
}

const emails = ['column lake.sales.orders_history.customer_email 2', 'column shop.public.customers.email 2'];
const asksForStewards = `case when is_member('stewards') then value else '*' end`;
const bound: readonly Edit[] = [
  [email, asksForStewards],
  [ofEmail, 'value: { pii: email } }, to: [all users], except: []'],
];
const allStewards: Edit = ['members: [sam@acme.test] }', 'members: [sam@acme.test, analysts] }'];

test.each<
  readonly [what: string, edits: readonly Edit[], before: readonly Edit[], counted: readonly string[]]
>([
  ['the value', [[email, 'value']], [], emails],
  ['the value in other words', [[email, "coalesce(value, '') || ''"]], [], emails],
  ['most of the value', [[email, 'left(value, 200)']], [], emails],
  ['a branch that readers come to', [[email, "case when is_member('analysts') then value end"]], [], emails],
  ['a branch that no reader comes to', [[email, "case when is_member('auditors') then value end"]], [], []],
  ['an exception', [[ofEmail, 'value: { pii: email } }, to: [all users], except: [analysts]']], [], emails],
  [
    'nobody bound any more',
    [[ofEmail, 'value: { pii: email } }, to: [auditors], except: [stewards]']],
    [],
    emails,
  ],
  [
    'the tag goes',
    [
      ['shop.public.customers.email, lake', 'lake'],
      ['["*email*", "*phone*"]', '["*phone*"]'],
    ],
    [],
    ['column shop.public.customers.email 2'],
  ],
  [
    'a stronger mask that hides nothing',
    [
      [
        '  - { name: mask_email',
        '  - { name: open, on: metastore, columnMask: value, match: { value: { pii: email } }, to: [all users], strength: 5 }\n  - { name: mask_email',
      ],
    ],
    [],
    // The steward, who is under a mask now, sees no more than before.
    ['column lake.sales.orders_history.customer_email 2', 'column shop.public.customers.email 2'],
  ],
  [
    'members of a group that a mask asks for',
    [allStewards],
    bound,
    [
      ...emails,
      'column shop.public.customers.phone 2',
      'table lake.sales.orders_history 2',
      'table shop.public.customers 2',
      'table shop.public.orders 2',
    ],
  ],
  [
    'a group that only a mask asks for',
    [['auditors: { members: [carla@acme.test] }', 'auditors: { members: [carla@acme.test, ana@acme.test] }']],
    [[email, "case when is_member('auditors') then value else '*' end"]],
    ['column lake.sales.orders_history.customer_email 1', 'column shop.public.customers.email 1'],
  ],
  [
    'a filter that is true',
    [["region = any(attribute('region'))", '1 < 2']],
    [],
    ['table lake.sales.orders_history 2', 'table shop.public.customers 2', 'table shop.public.orders 2'],
  ],
  [
    'rows of a table that is read through a view alone',
    [[ofRegion, 'region: { residency: region } }, to: [all users], except: [stewards, loaders, auditors]']],
    [
      [
        'grants:\n',
        'grants:\n  - { on: shop, to: auditors, privileges: [USE CATALOG, USE SCHEMA] }\n  - { on: shop.public.customer_orders, to: auditors, privileges: [SELECT] }\n',
      ],
    ],
    ['table shop.public.customers 1', 'table shop.public.orders 1'],
  ],
  ['something stricter', [[email, "'*'"]], [], []],
])('%s', async (_, edits, before, counted) => {
  expect([...(await widened(edits, before))].sort()).toEqual(counted);
});
