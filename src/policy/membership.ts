import { allUsers, type GroupName, type PrincipalName } from '../kernel/principal.ts';
import type { GroupEntry, Place, PrincipalOrGroup } from './document.ts';
import { compareText } from './findings.ts';
import type { Audience } from './model.ts';

// Who is in which group, through any chain. Principals with the same direct groups have the same answers unless they
// are named themselves: they form one class, and everything is computed and kept per class.

/** Principal → groups that their latest sign-in claims. */
export type Claims = ReadonlyMap<PrincipalName, readonly GroupName[]>;

/** Of what was claimed, the groups that the files declare with `source: claim`, by their exact name; sorted. */
export function claimsThatCount(groups: readonly GroupEntry[], claimed: Claims = new Map()): Claims {
  const declared = claimSourced(groups);
  const found = new Map<PrincipalName, readonly GroupName[]>();
  if (declared.size === 0) return found;
  for (const [principal, names] of claimed) {
    const counted = [...new Set(names)].filter((name) => declared.has(name)).sort();
    if (counted.length > 0) found.set(principal, counted);
  }
  return found;
}

/** Groups whose members are who claims them. */
export function claimSourced(groups: readonly GroupEntry[]): ReadonlySet<GroupName> {
  return new Set(groups.filter(({ source }) => source === 'claim').map(({ name }) => name.value));
}

/** What decisions depend on for one principal; shared by all that cannot differ. */
export class PrincipalClass {
  /** Set where the principal is named in a grant, as an owner or in an audience. */
  readonly name: PrincipalName | undefined;
  readonly #closure: Closure;
  readonly #table: GroupTable;

  constructor(name: PrincipalName | undefined, closure: Closure, table: GroupTable) {
    this.name = name;
    this.#closure = closure;
    this.#table = table;
  }

  /** Numbers of all groups, as `Membership.groupId` gives them; ascending. */
  get groupIds(): Int32Array {
    return this.#closure.ids;
  }

  get groups(): ReadonlySet<GroupName> {
    return new Set(Array.from(this.#closure.ids, (id) => this.#table.names[id] ?? allUsers));
  }

  isIn(group: string): boolean {
    const id = this.#table.ids.get(group);
    return id !== undefined && positionOf(this.#closure.ids, id) >= 0;
  }

  /** Groups passed on a shortest way to a group, nearest to the principal first; the group itself left out. */
  via(group: GroupName): readonly GroupName[] {
    const { ids, below } = this.#closure;
    const passed: GroupName[] = [];
    for (let id = this.#table.ids.get(group); id !== undefined; ) {
      const under = below[positionOf(ids, id)] ?? directly;
      if (under === directly) break;
      passed.push(this.#table.names[under] ?? allUsers);
      id = under;
    }
    return passed.reverse();
  }
}

/** Every group through any chain. Two numbers a group: people are many and chains may be long. */
interface Closure {
  readonly ids: Int32Array;
  /** For each of `ids` the group below it on a shortest way. */
  readonly below: Int32Array;
}

interface GroupTable {
  readonly names: readonly GroupName[];
  readonly ids: ReadonlyMap<string, number>;
}

const directly = -1;

export class Membership {
  /** Member (principal or group) → numbers of the groups that list it, ascending. */
  readonly #direct = new Map<string, number[]>();
  readonly #named: ReadonlySet<string>;
  readonly #table: GroupTable;
  readonly #closures = new Map<string, Closure>();
  readonly #unnamed = new Map<Closure, PrincipalClass>();
  readonly #classOf = new Map<PrincipalName, PrincipalClass>();

  /** `named`: principals that rules name, whose class is their own. `claims`: memberships beside the files'. */
  constructor(groups: readonly GroupEntry[], named: ReadonlySet<string>, claims: Claims = new Map()) {
    this.#named = named;
    const declared = new Set(groups.map((group) => group.name.value));
    declared.delete(allUsers);
    const names = [...declared].sort(compareText);
    names.push(allUsers);
    const ids = new Map<string, number>(names.map((name, id) => [name, id]));
    this.#table = { names, ids };
    for (const group of groups)
      for (const member of group.members) this.#list(member.value, group.name.value);
    for (const [principal, claimed] of claims) for (const group of claimed) this.#list(principal, group);
    for (const [member, listed] of this.#direct)
      this.#direct.set(
        member,
        [...new Set(listed)].sort((a, b) => a - b),
      );
  }

  #list(member: string, group: GroupName): void {
    const id = this.#table.ids.get(group);
    if (id === undefined) return;
    const listed = this.#direct.get(member);
    if (listed === undefined) this.#direct.set(member, [id]);
    else listed.push(id);
  }

  /** Numbers go from 0 up, by name; `all users` is last. Undefined for what is no group. */
  groupId(name: string): number | undefined {
    return this.#table.ids.get(name);
  }

  get groupCount(): number {
    return this.#table.names.length;
  }

  /** Kept for those whom the policy knows, so that strangers who come and go take no memory. */
  classOf(principal: PrincipalName): PrincipalClass {
    const known = this.#classOf.get(principal);
    if (known !== undefined) return known;
    // A group may be called by a mail address: whoever signs in by that address is not the group.
    const isGroup = this.#table.ids.has(principal);
    const direct = isGroup ? undefined : this.#direct.get(principal);
    const named = !isGroup && this.#named.has(principal);
    const found = this.#class(named ? principal : undefined, direct ?? []);
    if (named || direct !== undefined) this.#classOf.set(principal, found);
    return found;
  }

  /** A person who does not exist (yet): in these groups, by themselves named or not. */
  imagined(name: PrincipalName | undefined, groups: readonly GroupName[]): PrincipalClass {
    const ids = groups.map((group) => this.#table.ids.get(group)).filter((id) => id !== undefined);
    return this.#class(name, ids);
  }

  #class(name: PrincipalName | undefined, direct: readonly number[]): PrincipalClass {
    const key = direct.join(',');
    const closure = this.#closures.get(key) ?? this.#close(direct);
    this.#closures.set(key, closure);
    if (name !== undefined) return new PrincipalClass(name, closure, this.#table);
    const found = this.#unnamed.get(closure) ?? new PrincipalClass(undefined, closure, this.#table);
    this.#unnamed.set(closure, found);
    return found;
  }

  #close(direct: readonly number[]): Closure {
    const below = new Map<number, number>(direct.map((group) => [group, directly]));
    // A map goes on to what is added while it is walked: breadth first.
    for (const next of below.keys())
      for (const above of this.#direct.get(this.#table.names[next] ?? '') ?? [])
        if (!below.has(above)) below.set(above, next);
    const everybody = this.#table.names.length - 1;
    if (!below.has(everybody)) below.set(everybody, directly);
    const ids = Int32Array.from(below.keys()).sort();
    return { ids, below: ids.map((id) => below.get(id) ?? directly) };
  }
}

/** Where a number stands in an ascending list, or -1. */
export function positionOf(list: Int32Array, wanted: number, from = 0, to = list.length): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return low < to && list[low] === wanted ? low : -1;
}

/** Whether a class is named or in a group of the list. */
export function isAmong(who: PrincipalClass, names: readonly PrincipalOrGroup[]): boolean {
  return names.some((name) => name === who.name || who.isIn(name));
}

/** In `to` and not in `except`. */
export function binds(audience: Audience, who: PrincipalClass): boolean {
  return isAmong(who, audience.to) && !isAmong(who, audience.except);
}

/** Each cycle of groups once, as a path that returns to its start. */
export function groupCycles(
  groups: readonly GroupEntry[],
): readonly { path: readonly string[]; at: Place }[] {
  const members = new Map(groups.map((group) => [group.name.value as string, group]));
  const state = new Map<string, 'open' | 'done'>();
  const cycles: { path: readonly string[]; at: Place }[] = [];
  for (const start of members.keys()) walk(start);
  return cycles;

  // An own stack: nesting may be deep.
  function walk(start: string): void {
    if (state.has(start)) return;
    const path: { name: string; next: number }[] = [{ name: start, next: 0 }];
    state.set(start, 'open');
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const member = members.get(top.name)?.members[top.next++];
      if (member === undefined) {
        state.set(top.name, 'done');
        path.pop();
      } else if (members.has(member.value)) enter(member.value, member.at, path);
    }
  }

  function enter(name: string, at: Place, path: { name: string; next: number }[]): void {
    const seen = state.get(name);
    if (seen === undefined) {
      state.set(name, 'open');
      path.push({ name, next: 0 });
    } else if (seen === 'open') {
      const from = path.findIndex((step) => step.name === name);
      cycles.push({ path: [...path.slice(from).map((step) => step.name), name], at });
    }
  }
}
