import { newEnforcer, newModelFromString } from 'casbin';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GroupName, PrincipalName } from '../../src/kernel/principal.ts';
import { notInAllPrivileges, type Privilege } from '../../src/kernel/privilege.ts';
import { isWithin, type SecurableName } from '../../src/kernel/securable-name.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import { Decider } from '../../src/policy/decide.ts';
import type { GroupEntry, Place } from '../../src/policy/document.ts';
import { createEnforcer } from '../../src/policy/enforcer.ts';
import { formatFinding } from '../../src/policy/findings.ts';
import { type AccessRule, depth, gatesOf, opens } from '../../src/policy/gates.ts';
import { Membership } from '../../src/policy/membership.ts';
import { catalogOf, table } from './fixture.ts';

// Three ways to the same decision: the index, casbin over all rules, and the model's words written down by hand.

const name = (text: string) => text as SecurableName;
const at: Place = { path: '', line: 1, column: 1 };

const users = ['u1@x', 'u2@x', 'u3@x', 'svc'] as unknown as readonly PrincipalName[];
const groups = ['g1', 'g2', 'g3', 'g4'] as unknown as readonly GroupName[];
const securables = [
  'metastore',
  'a',
  'b',
  'a.s',
  'a.t',
  'b.s',
  'a.s.x',
  'a.s.y',
  'a.t.x',
  'b.s.x',
  'a.sx',
  'a.sx.x',
  'a.s.f', // A function.
].map(name);
/** Nothing is granted on a column: it is asked through its table. */
const questions = [...securables, ...['a.s.x.c', 'a.t.x.c', 'b.s.x.c'].map(name)];
const asked: readonly Privilege[] = [
  'USE CATALOG',
  'USE SCHEMA',
  'SELECT',
  'MODIFY',
  'MANAGE',
  'BROWSE',
  'EXECUTE',
  'CREATE TABLE',
  'CREATE CATALOG',
  'EXTERNAL USE SCHEMA',
];
const acts: readonly AccessRule['act'][] = [...asked, 'ALL PRIVILEGES', 'OWNER'];

const rule: fc.Arbitrary<AccessRule> = fc.record({
  subject: fc.constantFrom(...users, ...groups, 'all users' as GroupName),
  on: fc.constantFrom(...securables),
  act: fc.constantFrom(...acts),
});

/** Members of a group are users and groups with a greater number: no cycles. */
const grouping: fc.Arbitrary<GroupEntry[]> = fc.tuple(
  ...groups.map((group, i) =>
    fc.subarray([...users, ...groups.slice(i + 1)]).map((members) => ({
      name: { value: group, at },
      members: members.map((value) => ({ value, at })),
      source: undefined,
    })),
  ),
);

/** Every group of a principal, by plain recursion. */
function groupsByHand(entries: readonly GroupEntry[], who: string): Set<string> {
  const found = new Set<string>(['all users']);
  const climb = (member: string): void => {
    for (const entry of entries)
      if (entry.members.some((one) => one.value === member) && !found.has(entry.name.value)) {
        found.add(entry.name.value);
        climb(entry.name.value);
      }
  };
  climb(who);
  return found;
}

/** The decision as design and Unity Catalog's documentation say it, without gates, index or casbin. */
function allowedByHand(
  rules: readonly AccessRule[],
  entries: readonly GroupEntry[],
  who: PrincipalName,
  privilege: Privilege,
  named: SecurableName,
): boolean {
  const subjects = groupsByHand(entries, who).add(who);
  const mine = rules.filter((one) => subjects.has(one.subject));
  const parts = named === 'metastore' ? [] : named.split('.').slice(0, 3);
  const on = parts.join('.') || 'metastore';
  const up = parts.map((_, i) => parts.slice(0, i + 1).join('.'));
  const has = (act: AccessRule['act'], where: readonly string[]) =>
    mine.some((one) => one.act === act && where.includes(one.on));
  const owns = (where: readonly string[]) => has('OWNER', where);
  const granted = (act: Privilege, where: readonly string[]) =>
    has(act, where) || (!notInAllPrivileges.has(act) && has('ALL PRIVILEGES', where));
  const above = ['metastore', ...up];
  const useCatalog = granted('USE CATALOG', up.slice(0, 1)) || owns(above.slice(0, 2));
  const useSchema = granted('USE SCHEMA', up.slice(0, 2)) || owns(above.slice(0, 3));
  const enter = (parts.length < 2 || useCatalog) && (parts.length < 3 || useSchema);
  if (parts.length === 0)
    return privilege === 'BROWSE'
      ? mine.some((one) => one.on === 'metastore')
      : granted(privilege, ['metastore']) || (owns(['metastore']) && privilege !== 'EXTERNAL USE SCHEMA');
  if (privilege === 'BROWSE') {
    const here = mine.some((one) => one.on === on);
    const create = ['CREATE TABLE', 'CREATE CATALOG'];
    const inherited = mine.some(
      (one) =>
        up.slice(0, -1).includes(one.on) &&
        one.act !== 'USE CATALOG' &&
        one.act !== 'USE SCHEMA' &&
        one.act !== 'OWNER' &&
        !create.slice(0, 1).includes(one.act),
    );
    const usable = parts.length === 2 && has('USE SCHEMA', up.slice(0, 1));
    return here || inherited || usable || owns(above);
  }
  if (privilege === 'USE CATALOG') return useCatalog;
  if (privilege === 'MANAGE') return enter && (granted('MANAGE', up) || owns(above));
  if (privilege === 'USE SCHEMA') return useCatalog && useSchema;
  const ownHere = owns([on]) && (privilege !== 'EXTERNAL USE SCHEMA' || parts.length === 1);
  const catalogDoor = parts.length >= 1 && useCatalog;
  const schemaDoor = parts.length < 2 || useSchema;
  const alsoSelect = privilege !== 'MODIFY' || parts.length < 3 || granted('SELECT', up) || owns([on]);
  return catalogDoor && schemaDoor && alsoSelect && (granted(privilege, up) || ownHere);
}

const model = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && covers(p.obj, p.act, r.obj, r.act)
`;

/** Plain casbin over every rule at once, with its own role manager. */
async function fullCasbin(rules: readonly AccessRule[], entries: readonly GroupEntry[]) {
  const enforcer = await newEnforcer(newModelFromString(model));
  enforcer.enableLog(false);
  await enforcer.addFunction(
    'covers',
    (on: SecurableName, act: AccessRule['act'], wanted: SecurableName, gate: Privilege) =>
      isWithin(wanted, on) && opens(act, depth(on), gate, depth(wanted)),
  );
  const seen = new Set<string>();
  for (const one of rules) {
    const key = JSON.stringify([one.subject, one.on, one.act]);
    if (!seen.has(key)) await enforcer.addPolicy(one.subject, one.on, one.act);
    seen.add(key);
  }
  for (const user of users) await enforcer.addGroupingPolicy(user, 'all users');
  for (const entry of entries)
    for (const member of entry.members) await enforcer.addGroupingPolicy(member.value, entry.name.value);
  return (who: PrincipalName, privilege: Privilege, on: SecurableName): boolean =>
    gatesOf(privilege, on).every((gate) => enforcer.enforceSync(who, gate.on, gate.privilege));
}

// As files say it: the cluster of a is main, which is labelled; b has none.

const now = Date.parse('2026-05-05T12:00:00Z');
const past = '2026-05-05T12:00:00Z';
const future = '2026-05-05T12:00:01Z';
const both = 'tier: production, name: other';
const written = fc.record({
  subject: fc.constantFrom(...users, ...groups, 'all users' as GroupName),
  what: fc.oneof(
    fc.tuple(
      fc.constantFrom('a', 'b'),
      fc.constantFrom<Privilege>(
        'USE CATALOG',
        'USE SCHEMA',
        'SELECT',
        'MANAGE',
        'BROWSE',
        'EXECUTE',
        'ALL PRIVILEGES',
      ),
    ),
    fc.tuple(
      fc.constantFrom('a.s', 'b.s'),
      fc.constantFrom<Privilege>('USE SCHEMA', 'SELECT', 'CREATE TABLE'),
    ),
    fc.tuple(fc.constantFrom('a.s.x', 'b.s.x'), fc.constantFrom<Privilege>('SELECT', 'MODIFY', 'MANAGE')),
    fc.tuple(fc.constant('a.s.f'), fc.constant<Privilege>('EXECUTE')),
    fc.tuple(fc.constant('metastore'), fc.constant<Privilege>('CREATE CATALOG')),
  ),
  expires: fc.option(fc.constantFrom(past, future)),
  clusters: fc.option(
    fc.constantFrom('tier: production', 'tier: test', 'name: main', 'tier: production, name: main', both),
    { freq: 2 },
  ),
});

async function compiled(text: string) {
  const tables = ['a.s.x', 'a.s.y', 'a.t.x', 'b.s.x', 'a.sx.x'].map((one) => table(one, { c: 'text' }));
  const f = {
    name: name('a.s.f'),
    signature: '',
    kind: 'FUNCTION',
    securityDefiner: false,
    engineOwner: 'app',
  } as const;
  const catalog = { ...catalogOf({ a: 'POSTGRES', b: 'LAKE' }, tables), functions: new Map([[f.name, [f]]]) };
  const labels = new Map([['main', new Map([['tier', 'production']])]]);
  const { snapshot, findings } = await compileFiles([{ path: 'p.yaml', text }], catalog, users, now, labels);
  if (snapshot === undefined) throw new Error(findings.map(formatFinding).join('\n'));
  return snapshot;
}

describe('decisions', () => {
  test('index, full casbin and the model by hand agree', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(rule, { maxLength: 14 }), grouping, async (rules, entries) => {
        const membership = new Membership(entries, new Set(rules.map((one) => one.subject)));
        const decider = new Decider(rules, membership, await createEnforcer());
        const full = await fullCasbin(rules, entries);
        // Forgets after every few answers.
        const forgetful = new Decider(rules, membership, await createEnforcer(), 7);
        for (const who of users) {
          const [asking, forgetting] = [decider.asking(who), forgetful.asking(who)];
          for (const on of questions)
            for (const privilege of asked) {
              const decision = decider.decide(who, privilege, on);
              const indexed = decision.effect === 'allow';
              const question = `${who} ${privilege} on ${on}`;
              expect([question, indexed]).toEqual([question, full(who, privilege, on)]);
              expect([question, indexed]).toEqual([
                question,
                allowedByHand(rules, entries, who, privilege, on),
              ]);
              expect([question, asking(privilege, on), forgetting(privilege, on)]).toEqual([
                question,
                indexed,
                indexed,
              ]);
              expect([question, forgetful.decide(who, privilege, on)]).toEqual([question, decision]);
              expect(forgetful.kept).toBeLessThan(7 + 40);
            }
        }
      }),
      { numRuns: 60 },
    );
  }, 120_000);

  test('ten thousand groups, each in the next: all are counted, through the files too', async () => {
    const chain = Array.from({ length: 10_000 }, (_, i) => `n${i}`);
    const last = chain.at(-1) ?? '';
    const text = [
      'kind: principals',
      'groups:',
      ...chain.map((group, i) => `  ${group}: { members: [${chain[i - 1] ?? 'u1@x'}] }`),
      '---',
      'kind: grants',
      `grants: [{ on: a, to: ${last}, privileges: [USE CATALOG] }]`,
    ].join('\n');
    const snapshot = await compiled(text);
    const u1 = 'u1@x' as unknown as PrincipalName;
    expect(snapshot.groupsOf(u1)).toEqual(new Set([...chain, 'all users']));
    const decision = snapshot.decide(u1, 'USE CATALOG', name('a'));
    expect(decision.effect).toBe('allow');
    const [reason] = decision.because;
    expect(reason?.kind === 'grant' && reason.via).toEqual(chain.slice(0, -1));
    expect(snapshot.decide('u2@x' as unknown as PrincipalName, 'USE CATALOG', name('a')).effect).toBe('deny');
  });

  test('grants that have expired, and those for other clusters, count for nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(written, { minLength: 1, maxLength: 10 }),
        grouping,
        async (grants, entries) => {
          const text = [
            'kind: principals',
            'groups:',
            ...entries.map(
              (one) => `  ${one.name.value}: { members: [${one.members.map(({ value }) => value)}] }`,
            ),
            'servicePrincipals: { svc: {} }',
            '---',
            'kind: grants',
            'grants:',
            ...grants.map(
              ({ subject, what: [on, act], expires, clusters }) =>
                `  - { on: ${on}, to: ${subject}, privileges: [${act}]${expires === null ? '' : `, expires: ${expires}`}${clusters === null ? '' : `, clusters: { ${clusters} }`} }`,
            ),
          ].join('\n');
          const snapshot = await compiled(text);
          const counts = grants.filter(
            ({ what: [on], expires, clusters }) =>
              expires !== past &&
              (clusters === null || (on.startsWith('a') && clusters !== 'tier: test' && clusters !== both)),
          );
          const rules = counts.map(({ subject, what: [on, act] }) => ({ subject, on: name(on), act }));
          for (const who of users)
            for (const on of questions)
              for (const privilege of asked) {
                const question = `${who} ${privilege} on ${on}`;
                const effect = snapshot.decide(who, privilege, on).effect;
                expect([question, effect === 'allow']).toEqual([
                  question,
                  allowedByHand(rules, entries, who, privilege, on),
                ]);
              }
          const next = grants.some(({ expires }) => expires === future) ? Date.parse(future) : Infinity;
          expect(snapshot.nextExpiry).toBe(next);
        },
      ),
      { numRuns: 60 },
    );
  }, 120_000);

  test('a name with quotes, wildcards and expression syntax is a name and nothing else', async () => {
    const odd = [
      '"; true || "',
      'r.sub',
      '*',
      "x' == 'x",
      '__proto__',
    ] as unknown as readonly PrincipalName[];
    const rules: AccessRule[] = [{ subject: '*' as PrincipalName, on: name('a'), act: 'USE CATALOG' }];
    const decider = new Decider(rules, new Membership([], new Set(['*'])), await createEnforcer());
    expect(odd.map((who) => decider.decide(who, 'USE CATALOG', name('a')).effect)).toEqual([
      'deny',
      'deny',
      'allow',
      'deny',
      'deny',
    ]);
  });
});
