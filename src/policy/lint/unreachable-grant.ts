import { allUsers } from '../../kernel/principal.ts';
import type { Privilege } from '../../kernel/privilege.ts';
import {
  formatSecurableName,
  metastore,
  nameParts,
  type SecurableName,
} from '../../kernel/securable-name.ts';
import type { GrantEntry, Placed, PolicyDocuments, PrincipalOrGroup } from '../document.ts';
import type { Findings } from '../findings.ts';
import { type AccessRule, depth, opens } from '../gates.ts';
import { type AdviceInput, type Containers, isLive, liveRules } from './advice.ts';

// Grants behind a gate that nobody whom they are for can pass. Who a group may come to hold is imagined generously: a
// finding means that no membership the files or a sign-in can bring about would open the gate.

/** A gate before a grant, and who holds what opens it. */
interface Before {
  readonly words: string;
  readonly grant: string;
  readonly openers: readonly ReadonlySet<PrincipalOrGroup>[];
}

export function checkUnreachableGrants(input: AdviceInput, above: Containers, findings: Findings): void {
  const openers = new Openers(liveRules(input));
  const people = new People(input.documents, above);
  const known = new Map<string, Before | undefined>();
  const shut = (privilege: Privilege, on: SecurableName, to: PrincipalOrGroup): Before | undefined => {
    const gates = openers.before(privilege, on);
    if (gates.length === 0) return undefined;
    const key = JSON.stringify([to, gates.map((gate) => gate.words)]);
    if (!known.has(key)) known.set(key, people.stoppedBy(to, gates));
    return known.get(key);
  };
  for (const grant of input.documents.grants)
    if (isLive(grant, input.now)) checkGrant(grant, shut, people, findings);
}

function checkGrant(
  grant: GrantEntry,
  shut: (privilege: Privilege, on: SecurableName, to: PrincipalOrGroup) => Before | undefined,
  people: People,
  findings: Findings,
): void {
  for (const on of grant.on)
    for (const to of grant.to) {
      const stopped = new Map<Before, Privilege[]>();
      for (const { value } of grant.privileges) {
        const gate = shut(value, on.value, to.value);
        if (gate !== undefined) stopped.set(gate, [...(stopped.get(gate) ?? []), value]);
      }
      for (const [gate, privileges] of stopped) report(privileges, on, to, gate, people, findings);
    }
}

function report(
  privileges: readonly Privilege[],
  on: Placed<SecurableName>,
  to: Placed<PrincipalOrGroup>,
  gate: Before,
  people: People,
  findings: Findings,
): void {
  const who = people.isGroup(to.value) ? `no member of ${to.value} passes` : `${to.value} does not pass`;
  const message = `${privileges.join(', ')} on ${on.value} lets nobody in: ${who} ${gate.words}`;
  findings.warning('unreachable-grant', to.at, message, `${to.value} needs ${gate.grant}`);
}

/** Who holds what opens each gate, by securable. */
class Openers {
  readonly #everywhere = new Set<PrincipalOrGroup>();
  readonly #exact = new Map<string, Set<PrincipalOrGroup>>();
  readonly #below = new Map<string, Set<PrincipalOrGroup>>();

  constructor(rules: readonly AccessRule[]) {
    for (const rule of rules) this.#note(rule);
  }

  #note({ subject, on, act }: AccessRule): void {
    const at = depth(on);
    if (on === metastore) {
      if (act === 'OWNER') this.#everywhere.add(subject);
      return;
    }
    const parts = nameParts(on);
    for (const [gate, gateDepth] of gatesByDepth) {
      if (at > gateDepth || !opens(act, at, gate, gateDepth)) continue;
      add(this.#exact, `${gate} ${on}`, subject);
      for (let n = 1; n < at; n++)
        add(this.#below, `${gate} ${formatSecurableName(parts.slice(0, n))}`, subject);
    }
  }

  /** The gates before the one that the privilege itself opens, in the order in which they are asked. */
  before(privilege: Privilege, on: SecurableName): readonly Before[] {
    if (on === metastore || privilege === 'BROWSE' || privilege === 'USE CATALOG') return [];
    const parts = nameParts(on);
    const own = privilege === 'ALL PRIVILEGES' || privilege === 'MANAGE';
    const gates: Before[] = [];
    if (parts.length > 1 || !own) gates.push(this.#gate('USE CATALOG', parts, 1));
    const inSchema = privilege !== 'USE SCHEMA' && privilege !== 'CREATE SCHEMA';
    if (inSchema && (parts.length > 2 || !own)) gates.push(this.#gate('USE SCHEMA', parts, 2));
    if (privilege === 'MODIFY') gates.push(this.#gate('SELECT', parts, 3));
    return gates;
  }

  #gate(gate: Privilege, parts: readonly string[], gateDepth: number): Before {
    const path = parts.slice(0, gateDepth);
    const on = formatSecurableName(path);
    const names = path.map((_, i) => formatSecurableName(path.slice(0, i + 1)));
    const openers = [this.#everywhere, ...names.map((name) => this.#exact.get(`${gate} ${name}`) ?? nobody)];
    const wide = path.length < gateDepth;
    if (wide) openers.push(this.#below.get(`${gate} ${on}`) ?? nobody);
    const words = `${gate} on ${on}${wide ? ' or anything in it' : ''}`;
    return { words, grant: `${gate} on ${on}`, openers };
  }
}

const gatesByDepth = [
  ['USE CATALOG', 1],
  ['USE SCHEMA', 2],
  ['SELECT', 3],
] as const;

const nobody: ReadonlySet<PrincipalOrGroup> = new Set();

function add(map: Map<string, Set<PrincipalOrGroup>>, key: string, subject: PrincipalOrGroup): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([subject]));
  else set.add(subject);
}

/** Who stands behind a name: existing members, and people who may come to be members. */
class People {
  readonly #above: Containers;
  readonly #members: ReadonlyMap<PrincipalOrGroup, PolicyDocuments['groups'][number]>;
  /** What a sign-in may add to any user: groups whose members the files do not say. */
  readonly #bySignIn: readonly PrincipalOrGroup[];

  constructor({ groups }: PolicyDocuments, above: Containers) {
    this.#above = above;
    this.#members = new Map(groups.map((group) => [group.name.value, group]));
    const sourced = groups.filter((group) => group.source !== undefined);
    this.#bySignIn = [...new Set(sourced.flatMap((group) => above.of(group.name.value)))];
  }

  isGroup(name: PrincipalOrGroup): boolean {
    return name === allUsers || this.#members.has(name);
  }

  /** @returns the first gate that stops everybody; undefined when somebody passes them all */
  stoppedBy(to: PrincipalOrGroup, gates: readonly Before[]): Before | undefined {
    let left = this.#behind(to);
    if (left === 'anybody') return gates.find(({ openers }) => openers.every((set) => set.size === 0));
    for (const gate of gates) {
      left = left.filter((names) => names.some((name) => gate.openers.some((set) => set.has(name))));
      if (left.length === 0) return gate;
    }
    return undefined;
  }

  /** Each as the names that a rule could mean them by. Members from outside the files may be anybody. */
  #behind(to: PrincipalOrGroup): readonly (readonly PrincipalOrGroup[])[] | 'anybody' {
    if (to === allUsers) return 'anybody';
    const people: (readonly PrincipalOrGroup[])[] = [];
    const seen = new Set([to]);
    for (const name of seen) {
      const group = this.#members.get(name);
      if (group?.source !== undefined) return 'anybody';
      // Service principals sign in with what the files say of them.
      const isService = group === undefined && !name.includes('@');
      people.push(isService ? this.#above.of(name) : [...this.#above.of(name), ...this.#bySignIn]);
      for (const member of group?.members ?? []) seen.add(member.value);
    }
    return people;
  }
}
