import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newEnforcer, newModelFromString, StringAdapter } from 'casbin';
import { formatSecurableName, nameParts, type SecurableName } from '../src/kernel/securable-name.ts';
import type { Grant, Question } from './policy-world.ts';

// The same grants and questions put to others: SELECT on a table, with its three gates. Each holds all grants at once and
// the groups of those who are asked about.

export interface Peer {
  readonly name: string;
  /** @returns µs a question, and how many were allowed */
  ask(): Asked;
  close(): void;
}

export interface Asked {
  readonly us: number;
  readonly allowed: number;
}

export interface PeerWorld {
  readonly grants: readonly Grant[];
  readonly asked: readonly Question[];
  /** Every group of a person, through any chain. */
  readonly groupsOf: (user: string) => readonly string[];
}

const levels = (table: SecurableName): readonly SecurableName[] =>
  [1, 2, 3].map((depth) => formatSecurableName(nameParts(table).slice(0, depth)));

const gates = ['USE CATALOG', 'USE SCHEMA', 'SELECT'] as const;

function timed(asked: readonly Question[], may: (question: Question) => boolean): Asked {
  const start = performance.now();
  let allowed = 0;
  for (const question of asked) if (may(question)) allowed++;
  return { us: ((performance.now() - start) * 1000) / asked.length, allowed };
}

const casbinModel = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.act == p.act && within(r.obj, p.obj) && g(r.sub, p.sub)
`;

export async function casbinPeer({ grants, asked, groupsOf }: PeerWorld): Promise<Peer> {
  const rules = grants.map((grant) => `p, ${grant.to}, ${grant.on}, ${grant.privilege}`);
  const roles = [...new Set(asked.map(([user]) => user))].flatMap((user) =>
    groupsOf(user).map((group) => `g, ${user}, ${group}`),
  );
  const model = newModelFromString(casbinModel);
  const enforcer = await newEnforcer(model, new StringAdapter([...rules, ...roles].join('\n')));
  enforcer.enableLog(false);
  await enforcer.addFunction(
    'within',
    (on: string, above: string) => on === above || on.startsWith(`${above}.`),
  );
  const may = ([user, table]: Question) =>
    levels(table).every((on, i) => enforcer.enforceSync(user, on, gates[i]));
  return { name: 'casbin', ask: () => timed(asked, may), close: () => undefined };
}

type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs');
const types = ['Catalog', 'Schema', 'Table'] as const;

/** One permit a grant, parsed once; with each question only the entities that it is about. */
export function cedarPeer({ grants, asked, groupsOf }: PeerWorld): Peer {
  const cedar = createRequire(import.meta.url)('@cedar-policy/cedar-wasm/nodejs') as Cedar;
  const entity = (type: string, id: string) => `${type}::${JSON.stringify(id)}`;
  const permits = grants.map(({ to, on, privilege }) => {
    const subject = to.includes('@') ? `== ${entity('User', to)}` : `in ${entity('Group', to)}`;
    const place = entity(types[nameParts(on).length - 1] ?? 'Table', on);
    return `permit(principal ${subject}, action == ${entity('Action', privilege)}, resource in ${place});`;
  });
  const id = `bench-${grants.length}`;
  const parsed = cedar.preparsePolicySet(id, { staticPolicies: permits.join('\n') });
  if (parsed.type === 'failure') throw new Error(parsed.errors[0]?.message ?? 'Cedar reads no policies');
  const may = ([user, table]: Question): boolean => {
    const names = levels(table);
    const uids = names.map((name, i) => ({ type: types[i] ?? 'Table', id: name as string }));
    const groups = groupsOf(user).map((group) => ({ type: 'Group', id: group }));
    const principal = { type: 'User', id: user as string };
    const entities = [
      { uid: principal, attrs: {}, parents: groups },
      ...groups.map((uid) => ({ uid, attrs: {}, parents: [] })),
      ...uids.map((uid, i) => ({ uid, attrs: {}, parents: uids.slice(Math.max(0, i - 1), i) })),
    ];
    return uids.every((resource, i) => {
      const action = { type: 'Action', id: gates[i] ?? 'SELECT' };
      const call = { principal, action, resource, context: {}, preparsedPolicySetId: id, entities };
      const answer = cedar.statefulIsAuthorized(call);
      if (answer.type === 'failure') throw new Error(answer.errors[0]?.message ?? 'Cedar failed');
      return answer.response.decision === 'allow';
    });
  };
  return { name: 'cedar', ask: () => timed(asked, may), close: () => undefined };
}

export interface OpaProgram {
  readonly path: string;
  readonly close: () => void;
}

/** Built with Go where it is found. @returns why not, otherwise */
export function buildOpa(source: string): OpaProgram | string {
  if (spawnSync('go', ['version']).error !== undefined) return 'Go is not found: no line for OPA.';
  const folder = mkdtempSync(join(tmpdir(), 'writ-bench-opa-'));
  const close = () => rmSync(folder, { recursive: true, force: true });
  cpSync(source, folder, { recursive: true });
  const built = spawnSync('go', ['build', '-o', 'opa-bench', '.'], { cwd: folder, encoding: 'utf8' });
  if (built.status === 0) return { path: join(folder, 'opa-bench'), close };
  close();
  return `OPA could not be built: ${built.stderr.trim().split('\n').at(-1)}`;
}

/** OPA in a Go program of its own, which times itself. */
export function opaPeer({ path }: OpaProgram, { grants, asked, groupsOf }: PeerWorld): Peer {
  const data: Record<string, Record<string, Record<string, true>>> = {};
  for (const { on, to, privilege } of grants) {
    data[on] ??= {};
    const subjects = data[on];
    subjects[to] ??= {};
    subjects[to][privilege] = true;
  }
  const groups = Object.fromEntries(asked.map(([user]) => [user, groupsOf(user)]));
  const questions = asked.map(([user, table]) => [user, ...levels(table)]);
  const folder = mkdtempSync(join(tmpdir(), 'writ-bench-opa-data-'));
  const file = join(folder, 'world.json');
  writeFileSync(file, JSON.stringify({ grants: data, groups, asked: questions }));
  return {
    name: 'opa',
    ask: () => JSON.parse(execFileSync(path, [file], { encoding: 'utf8' })) as Asked,
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
