import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { compileFiles } from '../../src/policy/compile.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { parsePolicyFiles } from '../../src/policy/parse.ts';
import { runDecisionTests } from '../../src/policy/run-tests.ts';
import { formatTestReport, passed, type TestReport } from '../../src/policy/test-report.ts';
import { testbedOf } from '../../src/policy/testbed.ts';
import { withoutTests } from '../../src/policy/without-tests.ts';
import { sampleCatalog } from './fixture.ts';

const sample = { path: 'sample.yaml', text: readFileSync('policies/sample.yaml', 'utf8') };
let snapshot: Snapshot;
beforeAll(async () => {
  const compiled = await compileFiles([sample], sampleCatalog(), [], 0);
  if (compiled.snapshot === undefined) throw new Error('the sample does not compile');
  snapshot = compiled.snapshot;
});

function run(test: string) {
  const text = `kind: tests\ntests:\n  - ${test}\n`;
  const { documents } = parsePolicyFiles([{ path: 't.yaml', text }]);
  return runDecisionTests(snapshot, documents.tests);
}

test.each([
  ['{ as: ana@acme.test, can: SELECT, on: shop.public.customers }', []],
  ['{ as: ana@acme.test, can: SELECT, on: shop.public.customers, because: analysts }', []],
  ['{ as: ana@acme.test, can: SELECT, on: shop.public.customers, because: own_region }', []],
  ['{ as: pat@acme.test, can: MANAGE, on: shop, because: platform owns }', []],
  ['{ as: nina@acme.test, cannot: SELECT, on: shop.public.customers, because: use_catalog }', []],
  [
    '{ as: nina@acme.test, cannot: SELECT, on: shop.public.customers, because: USE SCHEMA }',
    ['not because of "USE SCHEMA": deny: no USE CATALOG on shop'],
  ],
  ['{ as: nina@acme.test, can: SELECT, on: shop.public.customers }', ['deny: no USE CATALOG on shop']],
  ['{ as: pat@acme.test, cannot: MANAGE, on: shop }', ['allow: platform owns shop']],
])('%s', (text, problems) => {
  const [result] = run(text);
  expect(result?.problems).toEqual(problems);
  expect(result?.ok).toBe(problems.length === 0);
});

test('the report: a line each, rows side by side once for engines that agree, what holds and for how many', async () => {
  const { invariants } = await compileFiles([sample], sampleCatalog(), [], 0);
  const at = { path: 'p.yaml', line: 3, column: 1 };
  const ana = [...snapshot.principals].find((name) => name === 'ana@acme.test');
  if (ana === undefined) throw new Error('no ana');
  const rowsShown = [
    ['1.50', 'x'],
    ['1', 'ann@x.io'],
  ];
  const report: TestReport = {
    findings: [],
    tests: [
      ...run('{ as: pat@acme.test, can: MANAGE, on: shop }'),
      {
        at,
        as: ana,
        what: 'select id, email from customers',
        ok: false,
        problems: ['Postgres, gateway: other rows', 'Postgres, direct: other rows'],
        expected: [
          [1.5, 'x'],
          [1, 'a***'],
          [3, null],
        ],
        answers: [
          { engine: 'Postgres, gateway', ok: false, rows: rowsShown },
          { engine: 'Postgres, direct', ok: false, rows: rowsShown },
        ],
      },
    ],
    invariants,
    principals: 6,
    groups: 5,
    notes: ['view shop.public.v is not there: no such function'],
  };
  expect(passed(report)).toBe(false);
  expect(formatTestReport(report)).toBe(`ok    t.yaml:3 pat@acme.test: can MANAGE on shop
FAIL  p.yaml:3 ana@acme.test: select id, email from customers [Postgres, gateway; Postgres, direct]
        Postgres, gateway: other rows
        Postgres, direct: other rows
        expected | Postgres, gateway; Postgres, direct
        1.5, x   | 1.50, x
        1, a***  ≠ 1, ann@x.io
        3, NULL  <
ok    sample.yaml:43 holds: columns tagged pii (3 columns, 2 tables) unmasked only for stewards – proven for 6 principals and any future member of 5 groups
note  view shop.public.v is not there: no such function
2 tests: 1 ok, 1 failed; 1 invariant: 1 holds, 0 broken`);
});

test('files that do not compile: the errors, and that nothing was run', () => {
  const finding = {
    severity: 'error',
    rule: 'unknown-principal',
    message: 'no such group',
    path: 'a.yaml',
    line: 3,
    column: 5,
  } as const;
  const report: TestReport = {
    findings: [finding],
    tests: [],
    invariants: [],
    principals: 0,
    groups: 0,
    notes: [],
  };
  expect(passed(report)).toBe(false);
  expect(formatTestReport(report)).toMatch(/^a\.yaml:3:5 .*no such group\n1 error; nothing was run$/);
});

test('what must be there: tables with rows or named by the policy, views that can stand on them, no system tables', () => {
  const { documents } = parsePolicyFiles([sample]);
  const bed = testbedOf(documents, sampleCatalog());
  expect(bed.tables.map(({ info, rows }) => [info.name, rows.length])).toEqual([
    ['shop.public.customers', 2],
    ['shop.public.orders', 0],
    ['lake.sales.orders_history', 0],
  ]);
  expect(bed.views.map(({ name }) => name)).toEqual([
    'shop.public.customer_orders',
    'shop.public.customer_orders_daily',
  ]);
});

test('without its tests the policy is the same', async () => {
  const bare = withoutTests([sample]);
  expect(bare[0]?.text).not.toMatch(/kind: tests/);
  const { snapshot: same } = await compileFiles(bare, sampleCatalog(), [], 0);
  expect(same?.policies).toEqual(snapshot.policies);
  expect([...(same?.principals ?? [])].sort()).toEqual([...snapshot.principals].sort());
});

test.each([
  [
    'shop.public.customers: [{ id: 1, emial: x }]',
    /no such column shop\.public\.customers\.emial, did you mean "email"\?/,
  ],
  ['shop.public.customer_orders: []', /customer_orders is a view: give rows to what it reads/],
  ['system.access.audit: []', /a table of the system catalog/],
])('rows that nothing could be filled with: %s', async (table, message) => {
  const text = `kind: tests\ntables:\n  ${table}\n`;
  const { findings } = await compileFiles([sample, { path: 't.yaml', text }], sampleCatalog(), [], 0);
  expect(findings.map((one) => one.message).join('\n')).toMatch(message);
});
