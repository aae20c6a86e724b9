import { allUsers, type GroupName, type PrincipalName } from '../kernel/principal.ts';
import type { GroupEntry, Place, PrincipalOrGroup } from './document.ts';
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
export interface PrincipalClass {
  /** Set where the principal is named in a grant, as an owner or in an audience. */
  readonly name: PrincipalName | undefined;
  readonly groups: ReadonlySet<GroupName>;
  /** Group → groups passed on the shortest way to it (the group itself left out). */
  readonly via: ReadonlyMap<GroupName, readonly GroupName[]>;
}

export class Membership {
  /** Member (principal or group) → groups that list it. */
  readonly #direct = new Map<string, GroupName[]>();
  readonly #named: ReadonlySet<string>;
  readonly #groups: ReadonlySet<string>;
  readonly #classes = new Map<string, PrincipalClass>();
  readonly #classOf = new Map<PrincipalName, PrincipalClass>();

  /** `named`: principals that rules name, whose class is their own. `claims`: memberships beside the files'. */
  constructor(groups: readonly GroupEntry[], named: ReadonlySet<string>, claims: Claims = new Map()) {
    this.#named = named;
    this.#groups = new Set(groups.map((group) => group.name.value));
    for (const group of groups)
      for (const member of group.members) this.#list(member.value, group.name.value);
    for (const [principal, claimed] of claims) for (const group of claimed) this.#list(principal, group);
  }

  #list(member: string, group: GroupName): void {
    const listed = this.#direct.get(member);
    if (listed === undefined) this.#direct.set(member, [group]);
    else if (!listed.includes(group)) listed.push(group);
  }

  classOf(principal: PrincipalName): PrincipalClass {
    const known = this.#classOf.get(principal);
    if (known !== undefined) return known;
    // A group may be called by a mail address: whoever signs in by that address is not the group.
    const isGroup = this.#groups.has(principal);
    const direct = isGroup ? [] : (this.#direct.get(principal) ?? []).toSorted();
    const name = !isGroup && this.#named.has(principal) ? principal : undefined;
    const key = JSON.stringify([name ?? null, direct]);
    const found = this.#classes.get(key) ?? this.#close(name, direct);
    this.#classes.set(key, found);
    this.#classOf.set(principal, found);
    return found;
  }

  /** A person who does not exist (yet): in these groups, by themselves named or not. */
  imagined(name: PrincipalName | undefined, groups: readonly GroupName[]): PrincipalClass {
    return this.#close(name, groups);
  }

  #close(name: PrincipalName | undefined, direct: readonly GroupName[]): PrincipalClass {
    const via = new Map<GroupName, readonly GroupName[]>(direct.map((group) => [group, []]));
    const open = [...direct];
    for (let next = open.shift(); next !== undefined; next = open.shift()) {
      for (const above of this.#direct.get(next) ?? []) {
        if (via.has(above)) continue;
        via.set(above, [...(via.get(next) ?? []), next]);
        open.push(above);
      }
    }
    if (!via.has(allUsers)) via.set(allUsers, []);
    return { name, groups: new Set(via.keys()), via };
  }
}

/** Whether a class is named or in a group of the list. */
export function isAmong(who: PrincipalClass, names: readonly PrincipalOrGroup[]): boolean {
  return names.some((name) => name === who.name || who.groups.has(name as GroupName));
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
