import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CatalogSnapshot } from '../../src/catalog/model.ts';
import type { GroupName, PrincipalName } from '../../src/kernel/principal.ts';
import { type Privilege, privileges } from '../../src/kernel/privilege.ts';
import { parseSecurableName, type SecurableName } from '../../src/kernel/securable-name.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import { whatCan, whoCan } from '../../src/policy/explain.ts';
import type { Expression } from '../../src/policy/expression/model.ts';
import { formatFinding } from '../../src/policy/findings.ts';
import type { AccessChange, ColumnMaskRule, RowFilterRule, Snapshot } from '../../src/policy/model.ts';
import { planPolicy } from '../../src/policy/plan.ts';
import { catalogOf, table } from './fixture.ts';

// Lists and plans answer from the index; each must say what one decision after the other says.

const columns = { id: 'text', email: 'text' } as const;
const plain = ['a.s.x', 'a.s.y', 'a.t.x'].map((name) => table(name, columns));
const view = (name: string, ...reads: string[]) =>
  table(name, columns, 'VIEW', { reads: reads.map((one) => parseSecurableName(one)) });

function catalogWith(...more: ReturnType<typeof table>[]): CatalogSnapshot {
  const name = parseSecurableName('a.s.f');
  const signature = 'integer';
  return {
    ...catalogOf({ a: 'POSTGRES', b: 'LAKE' }, [...plain, ...more]),
    functions: new Map([
      [name, [{ name, signature, kind: 'FUNCTION', securityDefiner: false, engineOwner: 'app' }]],
    ]),
  };
}

const lake = table('b.s.x', columns);
// A view of two tables and a view of that view, of one table, and of a table that is not there.
const catalogs = [
  catalogWith(lake, view('a.s.v', 'a.s.x', 'a.s.y'), view('a.t.v', 'a.s.v', 'b.s.x')),
  catalogWith(view('a.s.v', 'a.s.y', 'a.t.x'), view('a.t.v', 'a.s.v', 'b.s.x')),
  catalogWith(lake, view('a.s.v', 'a.s.x'), view('a.t.v', 'a.t.x')),
];
const people = ['u1@x.io', 'u2@x.io', 'u3@x.io', 'u4@x.io', 'u5@x.io', 'u6@x.io'];
const groups = ['g1', 'g2', 'g3'];
const claimants = ['u4@x.io', 'u5@x.io', 'stranger@x.io'];
const inGroups = [...groups, 'claimed'];
// The others are named nowhere and differ by their groups alone.
const subject = fc.constantFrom('u1@x.io', 'u2@x.io', ...inGroups, 'all users');
const named = fc.subarray(['u1@x.io', 'u2@x.io', ...inGroups], { maxLength: 2 });

const grant = fc.oneof(
  fc.tuple(
    fc.constantFrom('a', 'b'),
    subject,
    fc.constantFrom('USE CATALOG', 'USE SCHEMA', 'SELECT', 'BROWSE', 'ALL PRIVILEGES'),
  ),
  fc.tuple(
    fc.constantFrom('a.s', 'a.t'),
    subject,
    fc.constantFrom('USE SCHEMA', 'SELECT', 'MANAGE', 'CREATE TABLE', 'EXECUTE'),
  ),
  fc.tuple(
    fc.constantFrom('a.s.x', 'a.s.y', 'a.t.x', 'a.s.v', 'a.t.v'),
    subject,
    fc.constantFrom('SELECT', 'MANAGE'),
  ),
);

const rule = (...expressions: string[]) =>
  fc.option(
    fc.record({
      expression: fc.constantFrom(...expressions),
      to: fc.constantFrom('all users', 'u1@x.io', 'u2@x.io', ...inGroups),
      except: named,
      on: fc.constantFrom('metastore', 'a', 'a.s', 'a.s.x'),
      strength: fc.integer({ min: 0, max: 9 }),
    }),
    { freq: 3 },
  );

/** A group's members are people and groups with a greater number: no cycles. */
const parts = fc.record({
  members: fc.tuple(...groups.map((_, i) => fc.subarray([...people, ...groups.slice(i + 1), 'claimed']))),
  claims: fc.subarray(claimants),
  grants: fc.uniqueArray(grant, { maxLength: 8, selector: String }),
  everybodyReads: fc.boolean(),
  owner: fc.option(
    fc.tuple(fc.constantFrom('metastore', 'a', 'a.s', 'a.s.x'), fc.constantFrom('u1@x.io', 'g1')),
  ),
  assume: fc.option(fc.tuple(fc.constantFrom('app', 'batch'), subject)),
  filter: rule("is_member('g1')", "id = 'p' or is_member('g2')", "is_member('claimed')", 'true', "id = 'p'"),
  weak: rule('left(value, 1)', 'left( value , 1 )', 'value', "case when is_member('g3') then value end"),
  strong: rule(
    "'*'",
    "case when is_member('claimed') then value end",
    "case when is_member('g1') then id end",
  ),
  regions: fc.subarray(['EMEA', 'APAC']),
  /** A group that is called as a person is: the person is not the group. */
  namesake: fc.boolean(),
  catalog: fc.constantFrom(...catalogs),
});
type Parts = typeof parts extends fc.Arbitrary<infer P> ? P : never;

const keys: readonly (keyof Parts)[] = [
  'members',
  'claims',
  'grants',
  'everybodyReads',
  'owner',
  'assume',
  'filter',
  'weak',
  'strong',
  'regions',
  'namesake',
  'catalog',
];

/** Two that have most in common, so that much must be found to be the same. */
const pair = fc
  .tuple(parts, parts, fc.subarray([...keys], { minLength: 1, maxLength: 3 }))
  .map(([first, other, taken]): [Parts, Parts] => [
    first,
    { ...first, ...Object.fromEntries(taken.map((key) => [key, other[key]])) },
  ]);

function policyLine(name: string, of: NonNullable<Parts['filter']>, what: string, match: string): string {
  return `  - { name: ${name}, on: ${of.on}, ${what}: "${of.expression}", match: { ${match} }, to: ${of.to}, except: [${of.except.join(', ')}]`;
}

function policyLines({ filter, weak, strong }: Parts): readonly string[] {
  const masked = 'value: { pii: email }, id: { pii: id }';
  // The second is mostly the stronger one.
  const lines = [
    ...(filter === null ? [] : [`${policyLine('f', filter, 'rowFilter', 'id: { pii: id }')} }`]),
    ...(weak === null
      ? []
      : [`${policyLine('weak', weak, 'columnMask', masked)}, strength: ${weak.strength} }`]),
    ...(strong === null
      ? []
      : [`${policyLine('strong', strong, 'columnMask', masked)}, strength: ${strong.strength + 5} }`]),
  ];
  // Two that could tie do not compile.
  const tie = weak !== null && strong !== null && weak.strength === strong.strength + 5;
  return tie ? lines.slice(0, -1) : lines;
}

function textOf(of: Parts): string {
  const { members, grants, everybodyReads, owner, assume, regions, namesake } = of;
  const rules = policyLines(of);
  return [
    'kind: principals',
    'groups:',
    ...groups.map((group, i) => `  ${group}: { members: [${members[i]?.join(', ')}] }`),
    '  claimed: { source: claim }',
    ...(namesake ? ['  u2@x.io: { members: [u3@x.io] }'] : []),
    `attributes: { u1@x.io: { region: [${regions.join(', ')}] } }`,
    '---',
    'kind: tags',
    'tags: { pii: {} }',
    'assign:',
    '  - { on: [a.s.x.email, a.t.x.email], tags: { pii: email } }',
    '  - { on: [a.s.x.id, a.s.y.id, a.t.x.id], tags: { pii: id } }',
    '---',
    'kind: grants',
    ...(owner === null ? [] : [`owners: [{ on: ${owner[0]}, owner: ${owner[1]} }]`]),
    'grants:',
    '  - { on: a, to: [u3@x.io, g1], privileges: [USE CATALOG] }',
    ...(everybodyReads
      ? ['  - { on: a, to: all users, privileges: [USE CATALOG, USE SCHEMA, SELECT] }']
      : []),
    ...grants.map(([on, to, privilege]) => `  - { on: ${on}, to: ${to}, privileges: [${privilege}] }`),
    ...(assume === null ? [] : [`  - { on: a, to: ${assume[1]}, assume: ${assume[0]} }`]),
    ...(rules.length === 0 ? [] : ['---', 'kind: policies', 'policies:', ...rules]),
  ].join('\n');
}

async function compile(of: Parts): Promise<Snapshot> {
  const text = textOf(of);
  const known = [...people, 'stranger@x.io'] as unknown as PrincipalName[];
  const claims = new Map(
    of.claims.map((who) => [who as unknown as PrincipalName, ['claimed' as GroupName]] as const),
  );
  const { snapshot, findings } = await compileFiles(
    [{ path: 'p.yaml', text }],
    of.catalog,
    known,
    0,
    undefined,
    claims,
  );
  if (snapshot === undefined) throw new Error(`${findings.map(formatFinding).join('\n')}\n${text}`);
  return snapshot;
}

const names = (list: readonly string[]) => list.map((name) => parseSecurableName(name));
const asked: readonly (readonly [on: readonly SecurableName[], asked: readonly Privilege[]])[] = [
  [names(['a', 'b']), ['USE CATALOG', 'CREATE SCHEMA', 'MANAGE']],
  [names(['a.s', 'a.t', 'b.s']), ['USE SCHEMA', 'CREATE TABLE', 'CREATE FUNCTION', 'MANAGE']],
  [
    names(['a.s.x', 'a.s.y', 'a.t.x', 'b.s.x', 'a.s.v', 'a.t.v']),
    ['SELECT', 'MODIFY', 'MANAGE', 'APPLY TAG', 'REFRESH'],
  ],
  [names(['a.s.f']), ['EXECUTE', 'MANAGE']],
];

function may(snapshot: Snapshot, who: PrincipalName, privilege: Privilege, on: SecurableName): boolean {
  const { catalogs, schemas, tables, functions } = snapshot.catalog;
  const exists = [catalogs, schemas, tables, functions].some((all) => all.has(on));
  return exists && snapshot.decide(who, privilege, on).effect === 'allow';
}

/** What a plan must say of one thing; each word once, in no order. */
interface Words {
  readonly gains: Set<string>;
  readonly loses: Set<string>;
  readonly changes: Set<string>;
}
type Told = Map<string, Words>;

function wordsOn(told: Told, on: string): Words {
  const words = told.get(on) ?? { gains: new Set(), loses: new Set(), changes: new Set() };
  told.set(on, words);
  return words;
}

/** What one person gains and loses, one question after the other. */
function byHand(from: Snapshot, to: Snapshot, who: PrincipalName): Told {
  const told: Told = new Map();
  const turn = (on: string, word: string, was: boolean, is: boolean) => {
    if (was !== is) wordsOn(told, on)[is ? 'gains' : 'loses'].add(word);
  };
  for (const [all, list] of asked)
    for (const on of all) {
      for (const one of list) turn(on, one, may(from, who, one, on), may(to, who, one, on));
      if (may(from, who, 'SELECT', on) && may(to, who, 'SELECT', on)) rowsByHand(told, from, to, who, on);
    }
  const values = (snapshot: Snapshot) => snapshot.attributes(who).get('region') ?? [];
  for (const one of ['EMEA', 'APAC'])
    turn('metastore', `attribute region "${one}"`, values(from).includes(one), values(to).includes(one));
  const roles = (snapshot: Snapshot) => snapshot.assumableRoles(who, parseSecurableName('a'));
  for (const role of ['app', 'batch'])
    turn('a', `may act as ${role}`, roles(from).includes(role), roles(to).includes(role));
  return told;
}

type Rule = RowFilterRule | ColumnMaskRule;

/** Everything that binds on a relation and on whatever it reads. */
function bound(snapshot: Snapshot, who: PrincipalName, on: SecurableName, found = new Map<string, Rule>()) {
  const { filters, masks } = snapshot.boundRules(who, on);
  for (const one of filters) found.set(`${on} rows ${one.policy}`, one);
  for (const [column, one] of masks) found.set(`${on} values ${column}`, one);
  for (const read of snapshot.catalog.tables.get(on)?.reads ?? []) bound(snapshot, who, read, found);
  return found;
}

function rowsByHand(told: Told, from: Snapshot, to: Snapshot, who: PrincipalName, on: SecurableName): void {
  const [before, after] = [bound(from, who, on), bound(to, who, on)];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(key), after.get(key)];
    const [table, kind, last] = key.split(' ');
    const column = table === on ? last : `${table}.${last}`;
    const { policy } = is ?? was ?? { policy: '' };
    const now = is === undefined ? 'no longer' : 'now';
    if (was === undefined || is === undefined)
      wordsOn(told, on)[is === undefined ? 'gains' : 'loses'].add(
        kind === 'rows'
          ? `rows: ${now} filtered by ${policy}`
          : `${column} unmasked (${policy} ${now} applies)`,
      );
    else if (said(was) !== said(is))
      wordsOn(told, on).changes.add(kind === 'rows' ? 'sees other rows' : `sees other values of ${column}`);
    for (const group of groupsIn(is?.expression))
      if (isIn(from, who, group) !== isIn(to, who, group))
        wordsOn(told, on).changes.add(`rules that ask for group ${group} answer otherwise`);
  }
}

const said = ({ expression, bindings }: Rule) => JSON.stringify([expression, [...bindings]]);
const isIn = (snapshot: Snapshot, who: PrincipalName, group: string) =>
  snapshot.groupsOf(who).has(group as GroupName);
const groupsIn = (expression: Expression | undefined): readonly string[] =>
  [...(JSON.stringify(expression) ?? '').matchAll(/"group":"(\w+)"/g)].map(([, group = '']) => group);

/** What a plan said of one person, as `byHand` puts it. */
function toldOf(changes: readonly AccessChange[], who: PrincipalName): Told {
  const told: Told = new Map();
  for (const change of changes.filter(({ principal }) => principal === who)) {
    const words = wordsOn(told, change.table);
    for (const one of change.gains) words.gains.add(one);
    for (const one of change.loses) words.loses.add(one);
    for (const one of change.changes ?? []) words.changes.add(one.replace(/^(sees other [^:]*):.*$/, '$1'));
  }
  return told;
}

test('each is told exactly what one question after the other answers; who is answered with less shrank', async () => {
  await fc.assert(
    fc.asyncProperty(pair, async ([first, second]) => {
      const [from, to] = [await compile(first), await compile(second)];
      const plan = planPolicy(from, to);
      const shrunk = [...plan.shrunk].sort();
      const everybody = [...new Set([...from.principals, ...to.principals])];
      const hand = new Map(everybody.map((who) => [who, byHand(from, to, who)]));
      const fewer = everybody.filter((who) =>
        [...(hand.get(who)?.values() ?? [])].some(({ loses, changes }) => loses.size + changes.size > 0),
      );
      expect(shrunk).toEqual(fewer.sort());
      for (const who of everybody) expect([who, toldOf(plan.changes, who)]).toEqual([who, hand.get(who)]);
      // The order in which a plan is read has no say.
      const wordsFirst = planPolicy(from, to);
      const expanded = wordsFirst.shared.flatMap(({ principals, ...change }) =>
        principals.map((principal) => ({ principal, ...change })),
      );
      expect(wordsFirst.summary).toBe(plan.summary);
      expect([...wordsFirst.shrunk].sort()).toEqual(shrunk);
      expect(plan.changes).toEqual(expanded);
    }),
    { numRuns: 400 },
  );
}, 120_000);

test('what somebody can and who can are the decisions, one by one, and pages make up the whole', async () => {
  await fc.assert(
    fc.asyncProperty(parts, fc.integer({ min: 1, max: 4 }), async (one, limit) => {
      const snapshot = await compile(one);
      const names = [...snapshot.catalog.tables.keys()].sort();
      for (const privilege of privileges) {
        for (const who of snapshot.principals) {
          const allowed = names.filter((on) => snapshot.decide(who, privilege, on).effect === 'allow');
          expect(whatCan(snapshot, who, privilege)).toEqual(allowed);
          const pages: SecurableName[] = [];
          for (let page = whatCan(snapshot, who, privilege, { limit }); page.length > 0; ) {
            pages.push(...page);
            page = whatCan(snapshot, who, privilege, {
              limit,
              after: page.at(-1) ?? page[0] ?? ('' as never),
            });
          }
          expect(pages).toEqual(allowed);
        }
        for (const on of names)
          expect(whoCan(snapshot, privilege, on).map(({ principal }) => principal)).toEqual(
            [...snapshot.principals]
              .filter((who) => snapshot.decide(who, privilege, on).effect === 'allow')
              .sort(),
          );
      }
    }),
    { numRuns: 40 },
  );
}, 120_000);
