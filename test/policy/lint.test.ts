import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { CatalogSnapshot } from '../../src/catalog/model.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { formatFinding, lintPolicy, lintWithoutCatalog } from '../../src/policy/lint.ts';
import { type LintRuleId, lintRules, listLintRules, notChecked } from '../../src/policy/lint-rules.ts';
import { catalogOf, sampleTables, table } from './fixture.ts';

// Every rule has a folder here with a file that breaks it, where `# here` marks the line, and one that keeps it.

const now = Date.parse('2026-03-03T12:00:00Z');
const folder = new URL('./lint/', import.meta.url);
const file = (rule: string, name: string) => readFileSync(new URL(`${rule}/${name}.yaml`, folder), 'utf8');

/** The sample company; its orders have a trigger, its customers' key carries deletions on into them. */
function catalog(): CatalogSnapshot {
  const tables = sampleTables().map((one) => {
    if (one.name === 'shop.public.orders') return { ...one, triggers: ['keep_totals'] };
    if (one.name !== 'shop.public.customers') return one;
    const orders = parseSecurableName('shop.public.orders');
    return {
      ...one,
      cascades: [{ constraint: 'orders_customer_fkey', table: orders, actions: ['ON DELETE CASCADE'] }],
    };
  });
  return catalogOf({ shop: 'POSTGRES', lake: 'LAKE', system: 'SYSTEM' }, [
    ...tables,
    table('shop.public.odd', { id: 'bigint', weight: 'double' }),
  ]);
}

const lint = (text: string) => lintPolicy([{ path: 'p.yaml', text }], catalog(), [], now);
const text = async (policy: string) => (await lint(policy)).map(formatFinding);

test('every rule has its folder, and every folder its rule', () => {
  expect(readdirSync(folder).sort()).toEqual(Object.keys(lintRules).sort());
});

describe.each(listLintRules())('$id', ({ id, severity }) => {
  test('the failing file yields this rule, here, and nothing else', async () => {
    const broken = file(id, 'fail');
    const found = (await lint(broken)).filter((one) => severity === 'note' || one.severity !== 'note');
    const here = broken.split('\n').findIndex((line) => line.includes('# here')) + 1;
    expect(found.map((one) => [one.rule, one.line, one.severity])).toEqual([[id, here, severity]]);
  });

  test('the passing file yields none, and no other error or warning', async () => {
    const found = await lint(file(id, 'pass'));
    expect(found.filter((one) => one.rule === id || one.severity !== 'note').map(formatFinding)).toEqual([]);
  });
});

describe('the sample', () => {
  const sample = readFileSync('policies/sample.yaml', 'utf8');

  test('has no finding but notes', async () => {
    expect((await lint(sample)).filter((one) => one.severity !== 'note')).toEqual([]);
    expect(await text(sample)).toEqual([
      'p.yaml:30:65 note widening MODIFY lets loaders lock tables of shop.public.orders (LOCK TABLE … ACCESS EXCLUSIVE), because Postgres permits that with DELETE',
    ]);
  });

  test('without a catalog: what the files say themselves, and which rules were not checked', async () => {
    const alone = (policy: string) => lintWithoutCatalog([{ path: 'p.yaml', text: policy }], now);
    expect(await alone(sample)).toEqual([]);
    expect((await alone(file('shadowed-grant', 'fail'))).map((one) => one.rule)).toEqual(['shadowed-grant']);
    expect((await alone(file('unreachable-grant', 'fail'))).map((one) => one.rule)).toEqual([
      'unreachable-grant',
    ]);
    const left = notChecked({ catalog: false, errors: false });
    for (const id of left) expect((await alone(file(id, 'fail'))).map((one) => one.rule)).not.toContain(id);
    expect(left).toContain('filtered-writer' satisfies LintRuleId);
    expect(notChecked({ catalog: true, errors: false })).toEqual([]);
    expect(notChecked({ catalog: true, errors: true })).toContain('shadowed-grant' satisfies LintRuleId);
  });
});

const people = `kind: principals
groups:
  staff: { members: [leads, omar@acme.test, etl] }
  leads: { members: [ana@acme.test] }
  guests: { source: claim }
servicePrincipals: { etl: {} }
---
kind: grants
grants:
`;
const grants = (...entries: string[]) => people + entries.map((entry) => `  - { ${entry} }\n`).join('');
const rulesOf = async (rule: LintRuleId, policy: string) =>
  (await lint(policy)).filter((one) => one.rule === rule).map((one) => `${one.line} ${one.message}`);

describe('shadowed grants', () => {
  const use = 'on: shop, to: all users, privileges: [USE CATALOG, USE SCHEMA]';

  test.each<[string, string[], string[]]>([
    [
      'through a chain of groups, an ancestor, several privileges at once',
      [
        'on: shop, to: staff, privileges: [SELECT, MODIFY]',
        'on: shop.public.countries, to: ana@acme.test, privileges: [SELECT, MODIFY]',
      ],
      [
        '12 SELECT, MODIFY on shop.public.countries to ana@acme.test is already given by SELECT, MODIFY on shop to staff (p.yaml:11:21)',
      ],
    ],
    [
      'an exact duplicate, once',
      ['on: shop, to: staff, privileges: [SELECT]', 'on: shop, to: [staff], privileges: [SELECT]'],
      ['12 SELECT on shop to staff is already given by SELECT on shop to staff (p.yaml:11:21)'],
    ],
    [
      'of two alike the one that ends first',
      [
        'on: shop, to: staff, privileges: [SELECT], expires: 2026-06-01',
        'on: shop, to: staff, privileges: [SELECT]',
      ],
      ['11 SELECT on shop to staff is already given by SELECT on shop to staff (p.yaml:12:21)'],
    ],
    [
      'within one grant',
      ['on: [shop, shop.public], to: staff, privileges: [SELECT]'],
      ['11 SELECT on shop.public to staff is already given by SELECT on shop to staff (p.yaml:11:36)'],
    ],
    [
      'an assumed role',
      ['on: shop, to: staff, assume: shop_app', 'on: shop, to: leads, assume: shop_app'],
      [
        '12 assume shop_app on shop to leads is already given by assume shop_app on shop to staff (p.yaml:11:21)',
      ],
    ],
    [
      'a group does not shadow what contains it',
      ['on: shop, to: leads, privileges: [SELECT]', 'on: shop, to: staff, privileges: [SELECT]'],
      ['11 SELECT on shop to leads is already given by SELECT on shop to staff (p.yaml:12:21)'],
    ],
    [
      'MANAGE is not in ALL PRIVILEGES',
      ['on: shop, to: staff, privileges: [ALL PRIVILEGES]', 'on: shop, to: staff, privileges: [MANAGE]'],
      [],
    ],
    [
      'a grant for some clusters shadows none for all',
      [
        'on: shop, to: staff, privileges: [SELECT], clusters: { name: main }',
        'on: shop, to: leads, privileges: [SELECT]',
      ],
      [],
    ],
    [
      'siblings',
      [
        'on: shop.public.orders, to: staff, privileges: [SELECT]',
        'on: shop.public.order_totals, to: staff, privileges: [SELECT]',
      ],
      [],
    ],
  ])('%s', async (_what, entries, expected) => {
    expect(await rulesOf('shadowed-grant', grants(use, ...entries))).toEqual(expected);
  });
});

describe('unreachable grants', () => {
  test.each<[string, string[], string[]]>([
    [
      'no gate at all',
      [
        'on: shop, to: leads, privileges: [USE CATALOG]',
        'on: shop.public.orders, to: etl, privileges: [SELECT]',
      ],
      ['11 SELECT on shop.public.orders lets nobody in: etl does not pass USE CATALOG on shop'],
    ],
    [
      'nothing in the catalog is open',
      ['on: shop, to: staff, privileges: [USE CATALOG]', 'on: shop, to: staff, privileges: [SELECT]'],
      ['11 SELECT on shop lets nobody in: no member of staff passes USE SCHEMA on shop or anything in it'],
    ],
    [
      'one schema of it is',
      [
        'on: shop, to: staff, privileges: [USE CATALOG]',
        'on: shop.public, to: leads, privileges: [USE SCHEMA]',
        'on: shop, to: staff, privileges: [SELECT]',
      ],
      [],
    ],
    [
      'gates that no one person passes together',
      [
        'on: shop, to: omar@acme.test, privileges: [USE CATALOG]',
        'on: shop, to: leads, privileges: [USE SCHEMA]',
        'on: shop.public, to: staff, privileges: [SELECT]',
      ],
      [
        '11 USE SCHEMA on shop lets nobody in: no member of leads passes USE CATALOG on shop',
        '12 SELECT on shop.public lets nobody in: no member of staff passes USE SCHEMA on shop.public',
      ],
    ],
    [
      'a claim may bring a user in, a service principal not',
      [
        'on: shop, to: guests, privileges: [USE CATALOG, USE SCHEMA]',
        'on: shop, to: [ana@acme.test, etl], privileges: [SELECT]',
      ],
      ['11 SELECT on shop lets nobody in: etl does not pass USE CATALOG on shop'],
    ],
    [
      'MODIFY needs SELECT',
      [
        'on: shop, to: staff, privileges: [USE CATALOG, USE SCHEMA]',
        'on: shop.public.orders, to: staff, privileges: [MODIFY]',
      ],
      [
        '11 MODIFY on shop.public.orders lets nobody in: no member of staff passes SELECT on shop.public.orders',
      ],
    ],
    [
      'who may administer needs no gate on the catalog itself',
      [
        'on: shop, to: leads, privileges: [MANAGE, BROWSE]',
        'on: lake, to: etl, privileges: [ALL PRIVILEGES]',
      ],
      [],
    ],
    [
      'all users: whoever passes',
      [
        'on: shop, to: leads, privileges: [USE CATALOG, USE SCHEMA]',
        'on: shop, to: all users, privileges: [SELECT]',
      ],
      [],
    ],
  ])('%s', async (_what, entries, expected) => {
    expect(await rulesOf('unreachable-grant', grants(...entries))).toEqual(expected);
  });

  test('an owner opens what lies below', async () => {
    const owned = people.replace('grants:\n', 'owners: [{ on: shop, owner: leads }]\ngrants:\n');
    const policy = `${owned}  - { on: shop.public.orders, to: ana@acme.test, privileges: [SELECT] }\n`;
    expect(await rulesOf('unreachable-grant', policy)).toEqual([]);
  });

  test('the hint is the grant that would open it', async () => {
    const [first] = (await lint(file('unreachable-grant', 'fail'))).map((one) => one.hint);
    expect(first).toBe('staff needs USE SCHEMA on shop.public');
  });
});

describe('filtered writers', () => {
  test('a trigger that reads, and a key that deletes what is hidden', async () => {
    const failing = file('filtered-writer', 'fail');
    expect(await rulesOf('filtered-writer', failing)).toEqual([
      expect.stringContaining(
        'ana@acme.test may write shop.public.orders: trigger keep_totals runs with the rights of the writer, from whom own hides rows',
      ),
    ]);
    const both = failing.replace(
      'shop.public.orders, to: staff',
      '[shop.public.customers, shop.public.orders], to: staff',
    );
    expect(await rulesOf('filtered-writer', both)).toEqual(
      [
        expect.stringContaining('trigger keep_totals'),
        expect.stringContaining(
          'ana@acme.test may write shop.public.customers: foreign key orders_customer_fkey (ON DELETE CASCADE) then also changes rows of shop.public.orders that own hides from the writer',
        ),
      ].toReversed(),
    );
  });
});
