import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PrincipalName } from '../../src/kernel/principal.ts';
import { type Privilege, privileges } from '../../src/kernel/privilege.ts';
import { parseSecurableName, type SecurableName } from '../../src/kernel/securable-name.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import { whatCan, whoCan } from '../../src/policy/explain.ts';
import { formatFinding } from '../../src/policy/findings.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { planPolicy } from '../../src/policy/plan.ts';
import { catalogOf, table } from './fixture.ts';

// Lists and plans answer from the index; each must say what one decision after the other says.

const tables = ['a.s.x', 'a.s.y', 'a.t.x', 'b.s.x'].map((name) => table(name, { id: 'text', email: 'text' }));
const catalogs = [
  catalogOf({ a: 'POSTGRES', b: 'LAKE' }, tables),
  catalogOf({ a: 'POSTGRES', b: 'LAKE' }, tables.slice(0, 3)),
];
const people = ['u1@x.io', 'u2@x.io', 'u3@x.io'];
const groups = ['g1', 'g2', 'g3'];
const containers = ['a', 'b', 'a.s', 'a.t', 'b.s'];
const subject = fc.constantFrom(...people, ...groups, 'all users');

const grant = fc.oneof(
  fc.tuple(
    fc.constant('a'),
    subject,
    fc.constantFrom('USE CATALOG', 'USE SCHEMA', 'SELECT', 'BROWSE', 'ALL PRIVILEGES'),
  ),
  fc.tuple(
    fc.constantFrom('a.s', 'a.t'),
    subject,
    fc.constantFrom('USE SCHEMA', 'SELECT', 'MANAGE', 'CREATE TABLE'),
  ),
  fc.tuple(fc.constantFrom('a.s.x', 'a.s.y', 'a.t.x'), subject, fc.constantFrom('SELECT', 'MODIFY')),
);

/** A group's members are people and groups with a greater number: no cycles. */
const policy = fc
  .record({
    members: fc.tuple(...groups.map((_, i) => fc.subarray([...people, ...groups.slice(i + 1)]))),
    grants: fc.uniqueArray(grant, { maxLength: 8, selector: String }),
    owner: fc.option(
      fc.tuple(fc.constantFrom('metastore', 'a', 'a.s', 'a.s.x'), fc.constantFrom('u1@x.io', 'g1')),
    ),
    spared: fc.option(fc.subarray([...people, ...groups])),
    regions: fc.subarray(['EMEA', 'APAC']),
    catalog: fc.constantFrom(...catalogs),
  })
  .map((parts) => ({ catalog: parts.catalog, text: textOf(parts) }));

function textOf({
  members,
  grants,
  owner,
  spared,
  regions,
}: {
  readonly members: readonly (readonly string[])[];
  readonly grants: readonly (readonly [string, string, string])[];
  readonly owner: readonly [string, string] | null;
  readonly spared: readonly string[] | null;
  readonly regions: readonly string[];
}): string {
  return [
    'kind: principals',
    'groups:',
    ...groups.map((group, i) => `  ${group}: { members: [${members[i]?.join(', ')}] }`),
    `attributes: { u1@x.io: { region: [${regions.join(', ')}] } }`,
    '---',
    'kind: tags',
    'tags: { pii: {} }',
    'assign: [{ on: [a.s.x.email, a.t.x.email], tags: { pii: email } }]',
    '---',
    'kind: grants',
    ...(owner === null ? [] : [`owners: [{ on: ${owner[0]}, owner: ${owner[1]} }]`]),
    'grants:',
    '  - { on: a, to: u3@x.io, privileges: [USE CATALOG] }',
    ...grants.map(([on, to, privilege]) => `  - { on: ${on}, to: ${to}, privileges: [${privilege}] }`),
    ...(spared === null
      ? []
      : [
          '---',
          'kind: policies',
          `policies: [{ name: m, on: metastore, columnMask: "left(value, 1)", match: { value: { pii: email } }, to: all users, except: [${spared.join(', ')}] }]`,
        ]),
  ].join('\n');
}

async function compile({ text, catalog }: { text: string; catalog: (typeof catalogs)[number] }) {
  const known = [...people, 'stranger@x.io'] as unknown as PrincipalName[];
  const { snapshot, findings } = await compileFiles([{ path: 'p.yaml', text }], catalog, known, 0);
  if (snapshot === undefined) throw new Error(`${findings.map(formatFinding).join('\n')}\n${text}`);
  return snapshot;
}

const asked: ReadonlyMap<number, readonly Privilege[]> = new Map([
  [1, ['USE CATALOG', 'CREATE SCHEMA', 'MANAGE']],
  [2, ['USE SCHEMA', 'CREATE TABLE', 'CREATE FUNCTION', 'MANAGE']],
  [3, ['SELECT', 'MODIFY', 'MANAGE', 'APPLY TAG', 'REFRESH']],
]);

const may = (snapshot: Snapshot, who: PrincipalName, privilege: Privilege, on: SecurableName) =>
  (snapshot.catalog.tables.has(on) ||
    snapshot.catalog.schemas.has(on) ||
    snapshot.catalog.catalogs.has(on)) &&
  snapshot.decide(who, privilege, on).effect === 'allow';

/** Whether somebody may or sees less, one question after the other. */
function lost(from: Snapshot, to: Snapshot, who: PrincipalName): boolean {
  const all = [...containers, ...tables.map((one) => one.name)].map((name) => parseSecurableName(name));
  const lostPrivilege = all.some((on) =>
    asked.get(on.split('.').length)?.some((one) => may(from, who, one, on) && !may(to, who, one, on)),
  );
  const masked = (snapshot: Snapshot, on: SecurableName) => snapshot.boundRules(who, on).masks.has('email');
  const lostColumn = all.some(
    (on) => may(from, who, 'SELECT', on) && may(to, who, 'SELECT', on) && !masked(from, on) && masked(to, on),
  );
  const values = (snapshot: Snapshot) => snapshot.attributes(who).get('region') ?? [];
  return lostPrivilege || lostColumn || values(from).some((value) => !values(to).includes(value));
}

test('whose rights shrank: exactly those whom a question answers with less', async () => {
  await fc.assert(
    fc.asyncProperty(policy, policy, async (first, second) => {
      const [from, to] = [await compile(first), await compile(second)];
      const { shrunk } = planPolicy(from, to);
      const everybody = [...new Set([...from.principals, ...to.principals])];
      const fewer = everybody.filter((who) => lost(from, to, who));
      expect([...shrunk].sort()).toEqual(fewer.sort());
    }),
    { numRuns: 150 },
  );
}, 120_000);

test('what somebody can and who can are the decisions, one by one, and pages make up the whole', async () => {
  await fc.assert(
    fc.asyncProperty(policy, fc.integer({ min: 1, max: 4 }), async (one, limit) => {
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
