import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { formatReason } from '../../src/kernel/decision.ts';
import type { PrincipalName } from '../../src/kernel/principal.ts';
import { parsePrivilege } from '../../src/kernel/privilege.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import { formatFinding } from '../../src/policy/findings.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { people, sampleCatalog } from './fixture.ts';

const now = Date.parse('2026-03-03T12:00:00Z');
const sample = [{ path: 'sample.yaml', text: readFileSync('policies/sample.yaml', 'utf8') }];

async function compileSample(): Promise<Snapshot> {
  const { snapshot, findings } = await compileFiles(sample, sampleCatalog(), [people.nina], now);
  expect(findings.map(formatFinding)).toEqual([]);
  if (snapshot === undefined) throw new Error('the sample does not compile');
  return snapshot;
}

const snapshot = await compileSample();

type Case = readonly [privilege: string, on: string, effect: 'allow' | 'deny', because: readonly string[]];

function cases(who: string, principal: PrincipalName, list: readonly Case[]): void {
  describe(who, () => {
    test.each(list)('%s on %s: %s', (privilege, on, effect, because) => {
      const decision = snapshot.decide(principal, parsePrivilege(privilege), parseSecurableName(on));
      expect([decision.effect, decision.because.map(formatReason)]).toEqual([effect, because]);
    });
  });
}

const analystsOn = (catalog: string) => [
  `USE CATALOG on ${catalog} granted to analysts`,
  `USE SCHEMA on ${catalog} granted to analysts`,
];

cases('ana, an analyst, reads shop and lake', people.ana, [
  ['USE CATALOG', 'shop', 'allow', ['USE CATALOG on shop granted to analysts']],
  ['SELECT', 'shop.public.customers', 'allow', [...analystsOn('shop'), 'SELECT on shop granted to analysts']],
  [
    'SELECT',
    'shop.public.customers.email',
    'allow',
    [...analystsOn('shop'), 'SELECT on shop granted to analysts'],
  ],
  [
    'SELECT',
    'lake.sales.orders_history',
    'allow',
    [...analystsOn('lake'), 'SELECT on lake granted to analysts'],
  ],
  ['MODIFY', 'shop.public.customers', 'deny', ['no MODIFY on shop.public.customers']],
  ['SELECT', 'system.access.audit', 'deny', ['no USE CATALOG on system']],
  ['MANAGE', 'shop', 'deny', ['no MANAGE on shop']],
  ['BROWSE', 'shop.public.orders', 'allow', ['SELECT on shop granted to analysts gives BROWSE']],
  ['CREATE CATALOG', 'metastore', 'deny', ['no CREATE CATALOG on metastore']],
]);

cases('pat owns the catalogs: MANAGE, no data', people.pat, [
  ['USE CATALOG', 'shop', 'allow', ['platform owns shop']],
  [
    'MANAGE',
    'shop.public.customers',
    'allow',
    ['platform owns shop', 'platform owns shop', 'platform owns shop'],
  ],
  ['SELECT', 'shop.public.customers', 'deny', ['no SELECT on shop.public.customers']],
  ['MODIFY', 'shop.public.customers', 'deny', ['no SELECT on shop.public.customers']],
  ['SELECT', 'system.access.audit', 'deny', ['no SELECT on system.access.audit']],
  ['BROWSE', 'lake.sales', 'allow', ['platform owns lake']],
]);

cases('carla reads the audit only', people.carla, [
  [
    'SELECT',
    'system.access.audit',
    'allow',
    [
      'USE CATALOG on system granted to auditors',
      'USE SCHEMA on system.access granted to auditors',
      'SELECT on system.access granted to auditors',
    ],
  ],
  ['SELECT', 'shop.public.customers', 'deny', ['no USE CATALOG on shop']],
]);

cases('nina has nothing', people.nina, [
  ['USE CATALOG', 'shop', 'deny', ['no USE CATALOG on shop']],
  ['SELECT', 'shop.public.customers', 'deny', ['no USE CATALOG on shop']],
  ['BROWSE', 'shop', 'deny', ['no BROWSE on shop']],
]);

cases('etl loads orders', people.etl, [
  [
    'MODIFY',
    'shop.public.orders',
    'allow',
    [
      'USE CATALOG on shop granted to loaders',
      'USE SCHEMA on shop.public granted to loaders',
      'SELECT on shop.public.orders granted to loaders',
      'MODIFY on shop.public.orders granted to loaders',
    ],
  ],
  ['SELECT', 'shop.public.customers', 'deny', ['no SELECT on shop.public.customers']],
  ['USE CATALOG', 'lake', 'deny', ['no USE CATALOG on lake']],
]);

cases('the local operator administers and reads nothing', 'operator' as PrincipalName, [
  ['MANAGE', 'shop.public.customers', 'allow', ['operator owns metastore']],
  ['SELECT', 'shop.public.customers', 'deny', ['no SELECT on shop.public.customers']],
  ['USE CATALOG', 'shop', 'deny', ['no USE CATALOG on shop']],
]);

describe('filters and masks of the sample', () => {
  const bound = (who: PrincipalName, table: string) => {
    const rules = snapshot.boundRules(who, parseSecurableName(table));
    return {
      filters: rules.filters.map((rule) => rule.policy),
      masks: [...rules.masks].map(([column, rule]) => `${column}: ${rule.policy}`),
      exempt: rules.exemptFromAll,
    };
  };

  test.each([
    [people.ana, 'shop.public.customers', ['own_region'], ['email: mask_email', 'phone: mask_phone'], false],
    [people.omar, 'shop.public.orders', ['own_region'], [], false],
    [people.ana, 'lake.sales.orders_history', ['own_region'], ['customer_email: mask_email'], false],
    [people.sam, 'shop.public.customers', [], [], true],
    [people.etl, 'shop.public.orders', [], [], true],
    [people.etl, 'shop.public.customers', [], ['email: mask_email', 'phone: mask_phone'], false],
    [people.nina, 'shop.public.customers', ['own_region'], ['email: mask_email', 'phone: mask_phone'], false],
    [people.ana, 'shop.public.countries', [], [], false],
  ])('%s on %s', (who, table, filters, masks, exempt) => {
    expect(bound(who, table)).toEqual({ filters, masks, exempt });
  });

  test('views have no rules of their own, tables without tagged columns none', () => {
    expect(
      [...snapshot.catalog.tables.keys()].filter((name) => snapshot.tableRules(name) !== undefined),
    ).toEqual(['shop.public.customers', 'shop.public.orders', 'lake.sales.orders_history']);
  });

  test('attributes, groups, owners, tags', () => {
    expect(snapshot.attributes(people.ana).get('region')).toEqual(['EMEA']);
    expect(snapshot.attributes(people.sam).get('region')).toBeUndefined();
    expect([...snapshot.groupsOf(people.sam)].sort()).toEqual(['all users', 'analysts', 'stewards']);
    expect(snapshot.owner(parseSecurableName('shop.public.orders'))).toBe('platform');
    expect([...snapshot.tags(parseSecurableName('shop.public.customers.email'))]).toEqual([['pii', 'email']]);
    expect(snapshot.principals.has(people.nina)).toBe(true);
    expect(snapshot.nextExpiry).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('identity of a snapshot', () => {
  test('the same content under other file names and in another order has the same id', async () => {
    const parts = sample[0]?.text.split('---\n').map((text, i) => ({ path: `${i}.yaml`, text })) ?? [];
    const one = await compileFiles(parts, sampleCatalog(), [], now);
    const renamed = parts.map(({ path, text }) => ({ path: `other-${path}`, text })).reverse();
    const other = await compileFiles(renamed, sampleCatalog(), [], now);
    expect(one.snapshot?.id).toMatch(/^[0-9a-f]{64}$/);
    expect(other.snapshot?.id).toBe(one.snapshot?.id);
    expect(other.snapshot?.id).not.toBe(snapshot.id);
  });
});
