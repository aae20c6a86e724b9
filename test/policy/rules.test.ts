import { describe, expect, test } from 'vitest';
import { formatReason } from '../../src/kernel/decision.ts';
import { parsePrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import { formatFinding } from '../../src/policy/findings.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { catalogOf, table } from './fixture.ts';

// Tags, match, when, strength, nesting, labels: one small catalog, one question each.

const catalog = catalogOf({ shop: 'POSTGRES', lake: 'LAKE' }, [
  table('shop.hr.people', { id: 'bigint', mail: 'text', other_mail: 'text', born: 'date', pay: 'integer' }),
  table('shop.pub.news', { id: 'bigint', mail: 'text' }),
  table('shop.hr.people_view', { mail: 'text' }, 'VIEW', { reads: [parseSecurableName('shop.hr.people')] }),
  table('lake.hr.people', { id: 'bigint', mail: 'text' }),
]);

const base = `
kind: principals
groups:
  inner: { members: [ina@x.io] }
  middle: { members: [inner] }
  outer: { members: [middle, otto@x.io] }
  claimed: { source: claim }
---
kind: tags
tags: { pii: {}, level: { values: [high, low] } }
assign:
  - { on: [shop.hr.people.mail, shop.hr.people.other_mail, shop.pub.news.mail, lake.hr.people.mail], tags: { pii: email } }
  - { on: shop.hr.people.born, tags: { pii: birth } }
  - { on: shop, tags: { level: low } }
  - { on: shop.hr, tags: { level: high } }
`;

const [ina, otto, nobody] = ['ina@x.io', 'otto@x.io', 'nobody@x.io'].map(parsePrincipalName);
if (ina === undefined || otto === undefined || nobody === undefined) throw new Error('names');

async function compile(
  text: string,
  labels?: ReadonlyMap<string, ReadonlyMap<string, string>>,
): Promise<Snapshot> {
  const files = [
    { path: 'base.yaml', text: base },
    { path: 'p.yaml', text },
  ];
  const { snapshot, findings } = await compileFiles(files, catalog, [], 0, labels);
  if (snapshot === undefined) throw new Error(findings.map(formatFinding).join('\n'));
  return snapshot;
}

const policies = (...entries: string[]) =>
  `kind: policies\npolicies:\n${entries.map((entry) => `  - ${entry}`).join('\n')}`;
const grants = (...entries: string[]) =>
  `kind: grants\ngrants:\n${entries.map((entry) => `  - ${entry}`).join('\n')}`;
const people = parseSecurableName('shop.hr.people');

/** table → policies of its filters and columns of its masks, for one principal. */
function rules(snapshot: Snapshot, who = nobody ?? ina): Record<string, string[]> {
  return Object.fromEntries(
    [...snapshot.catalog.tables.keys()].flatMap((name) => {
      const bound = snapshot.boundRules(who ?? otto ?? parsePrincipalName('x'), name);
      const found = [
        ...bound.filters.map((rule) => rule.policy),
        ...[...bound.masks].map(([column, rule]) => `${column} ${rule.policy}`),
      ];
      return found.length === 0 ? [] : [[name, found]];
    }),
  );
}

describe('which tables a policy covers', () => {
  test.each<[string, string, Record<string, string[]>]>([
    [
      'value finds several columns: each is masked; views have none of their own',
      `{ name: m, on: shop, columnMask: "'x'", match: { value: { pii: email } }, to: all users }`,
      { 'shop.hr.people': ['mail m', 'other_mail m'], 'shop.pub.news': ['mail m'] },
    ],
    [
      'one of several values, in a schema',
      `{ name: m, on: shop.hr, columnMask: "null", match: { value: { pii: [birth, phone] } }, to: all users }`,
      { 'shop.hr.people': ['born m'] },
    ],
    [
      'a second name that finds nothing: the policy does not apply to that table',
      `{ name: m, on: metastore, columnMask: "case when b is null then value end", match: { value: { pii: email }, b: { pii: birth } }, to: all users }`,
      { 'shop.hr.people': ['mail m', 'other_mail m'] },
    ],
    [
      'when: inherited tags, the lower overrides',
      `{ name: f, on: metastore, rowFilter: "is_member('outer')", when: { level: low }, to: all users }`,
      { 'shop.pub.news': ['f'] },
    ],
    [
      'when: any value',
      `{ name: f, on: metastore, rowFilter: "false", when: { level: true }, to: all users }`,
      { 'shop.hr.people': ['f'], 'shop.pub.news': ['f'] },
    ],
    [
      'a list of scopes',
      `{ name: f, on: [lake, shop.pub], rowFilter: "false", to: all users }`,
      { 'shop.pub.news': ['f'], 'lake.hr.people': ['f'] },
    ],
    ['an audience that leaves them out', `{ name: f, on: metastore, rowFilter: "false", to: outer }`, {}],
    [
      'clusters by name: only Postgres',
      `{ name: f, on: metastore, rowFilter: "false", to: all users, clusters: { name: main } }`,
      { 'shop.hr.people': ['f'], 'shop.pub.news': ['f'] },
    ],
    [
      'clusters by another label',
      `{ name: f, on: metastore, rowFilter: "false", to: all users, clusters: { stage: prod } }`,
      {},
    ],
  ])('%s', async (_what, policy, expected) => {
    expect(rules(await compile(policies(policy)))).toEqual(expected);
  });

  test('labels come from outside', async () => {
    const labels = new Map([['main', new Map([['stage', 'prod']])]]);
    const policy = `{ name: f, on: shop.pub, rowFilter: "false", to: all users, clusters: { stage: prod } }`;
    expect(rules(await compile(policies(policy), labels))).toEqual({ 'shop.pub.news': ['f'] });
  });
});

describe('which of several masks wins', () => {
  const mask = (name: string, more: string) =>
    `{ name: ${name}, columnMask: "'${name}'", match: { value: { pii: email } }, ${more} }`;
  test.each<[string, string[], string]>([
    [
      'the greater strength, though set below',
      [mask('high', 'on: metastore, to: all users'), mask('low', 'on: shop.hr, to: all users, strength: 5')],
      'low',
    ],
    [
      'of equal strength the one set higher up',
      [mask('below', 'on: shop.hr, to: all users'), mask('above', 'on: metastore, to: all users')],
      'above',
    ],
    [
      'the strongest that binds the person',
      [mask('strong', 'on: shop, to: outer, strength: 9'), mask('weak', 'on: shop, to: all users')],
      'weak',
    ],
    [
      'a negative strength loses',
      [
        mask('weaker', 'on: metastore, to: all users, strength: -1'),
        mask('plain', 'on: shop.hr, to: all users'),
      ],
      'plain',
    ],
  ])('%s', async (_what, list, winner) => {
    const snapshot = await compile(policies(...list));
    expect(snapshot.boundRules(nobody, people).masks.get('mail')?.policy).toBe(winner);
  });
});

describe('several row filters', () => {
  test('all that bind hold together', async () => {
    const snapshot = await compile(
      policies(
        `{ name: g, on: shop.hr, rowFilter: "false", to: [outer] }`,
        `{ name: f, on: metastore, rowFilter: "true", to: all users, except: inner }`,
      ),
    );
    expect(rules(snapshot, otto)[people]).toEqual(['f', 'g']);
    expect(rules(snapshot, ina)[people]).toEqual(['g']);
    expect(rules(snapshot, nobody)[people]).toEqual(['f']);
    expect(snapshot.boundRules(ina, people).exemptFromAll).toBe(false);
  });
});

describe('grants', () => {
  const why = async (text: string, who = ina, on = 'shop.hr.people') => {
    const decision = (await compile(text)).decide(who ?? nobody, 'SELECT', parseSecurableName(on));
    return [decision.effect, ...decision.because.map(formatReason)];
  };

  test('through nested groups, with the way', async () => {
    expect(await why(grants('{ on: shop, to: outer, privileges: ALL PRIVILEGES }'))).toEqual([
      'allow',
      'ALL PRIVILEGES on shop granted to outer (through inner → middle) gives USE CATALOG',
      'ALL PRIVILEGES on shop granted to outer (through inner → middle) gives USE SCHEMA',
      'ALL PRIVILEGES on shop granted to outer (through inner → middle) gives SELECT',
    ]);
  });

  test('an owner of the table still needs its schema', async () => {
    const owner = 'kind: grants\nowners: [{ on: shop.hr.people, owner: inner }]\n';
    expect(await why(`${owner}grants: [{ on: shop, to: inner, privileges: USE CATALOG }]`)).toEqual([
      'deny',
      'no USE SCHEMA on shop.hr',
    ]);
    expect(
      (await why(`${owner}grants: [{ on: shop, to: inner, privileges: [USE CATALOG, USE SCHEMA] }]`)).at(-1),
    ).toBe('inner owns shop.hr.people');
  });

  test('MANAGE gives no data, BROWSE opens no door', async () => {
    expect(
      await why(grants('{ on: shop, to: inner, privileges: [USE_CATALOG, use schema, MANAGE, BROWSE] }')),
    ).toEqual(['deny', 'no SELECT on shop.hr.people']);
    expect(await why(grants('{ on: shop, to: inner, privileges: [BROWSE, SELECT] }'))).toEqual([
      'deny',
      'no USE CATALOG on shop',
    ]);
  });

  test('ALL PRIVILEGES excludes MANAGE', async () => {
    const snapshot = await compile(grants('{ on: shop, to: inner, privileges: ALL_PRIVILEGES }'));
    const effects = (['MODIFY', 'CREATE TABLE', 'MANAGE', 'EXTERNAL USE SCHEMA'] as const).map(
      (privilege) => snapshot.decide(ina, privilege, parseSecurableName('shop.hr')).effect,
    );
    expect(effects).toEqual(['allow', 'allow', 'deny', 'deny']);
  });

  test('what lies beside is not reached: shop.hr is no prefix of shop.hr2', async () => {
    expect(
      await why(
        grants(
          '{ on: shop.hr, to: inner, privileges: ALL PRIVILEGES }',
          '{ on: shop, to: inner, privileges: USE CATALOG }',
        ),
        ina,
        'shop.hr2.people',
      ),
    ).toEqual(['deny', 'no USE SCHEMA on shop.hr2']);
  });

  test('expired grants give nothing; the next expiry is known', async () => {
    const text = grants(
      '{ on: shop, to: inner, privileges: ALL PRIVILEGES, expires: 1969-12-30 }',
      '{ on: lake, to: inner, privileges: ALL PRIVILEGES, expires: 1970-01-02T00:00:00Z }',
      '{ on: lake, to: outer, privileges: SELECT, expires: 1970-01-03 }',
    );
    expect(await why(text)).toEqual(['deny', 'no USE CATALOG on shop']);
    expect((await compile(text)).nextExpiry).toBe(24 * 60 * 60 * 1000);
  });
});
