import type { GroupName, PrincipalName } from '../kernel/principal.ts';
import type { Privilege } from '../kernel/privilege.ts';
import { type SecurableName, withAncestors } from '../kernel/securable-name.ts';
import { type AccessRule, depth } from './gates.ts';
import type { Snapshot } from './model.ts';
import type { Alike } from './plan-effects.ts';

// Which decisions can differ between two snapshots at all. A decision follows from the rules, on the securable and above
// it, of somebody and of the groups that they are in: where none of these came or went, it is the same.

type BySubject = ReadonlyMap<string, readonly AccessRule[]>;

/** Rules that stand in one list and not in the other, by subject. */
export function changedRules(from: readonly AccessRule[], to: readonly AccessRule[]): BySubject {
  const [before, after] = withoutEqualEnds(from, to);
  const [was, is] = [new Set(before.map(keyOf)), new Set(after.map(keyOf))];
  return bySubject([
    ...before.filter((rule) => !is.has(keyOf(rule))),
    ...after.filter((rule) => !was.has(keyOf(rule))),
  ]);
}

/** Most changes leave most of the text as it was: what is equal at both ends needs no set. */
function withoutEqualEnds(
  from: readonly AccessRule[],
  to: readonly AccessRule[],
): readonly [readonly AccessRule[], readonly AccessRule[]] {
  const shortest = Math.min(from.length, to.length);
  const equal = (a: AccessRule | undefined, b: AccessRule | undefined) =>
    a?.subject === b?.subject && a?.on === b?.on && a?.act === b?.act;
  let start = 0;
  while (start < shortest && equal(from[start], to[start])) start++;
  let end = 0;
  while (end < shortest - start && equal(from[from.length - 1 - end], to[to.length - 1 - end])) end++;
  return [from.slice(start, from.length - end), to.slice(start, to.length - end)];
}

const keyOf = ({ subject, on, act }: AccessRule): string => `${act}\0${on}\0${subject}`;

function bySubject(rules: readonly AccessRule[]): BySubject {
  const found = new Map<string, AccessRule[]>();
  for (const rule of rules) append(found, rule.subject, rule);
  return found;
}

/** What may have changed for principals of one class in both snapshots. */
export interface Touched {
  readonly alikes: Iterable<Alike>;
  /** Where they may do more than pass through, before or after, and rows may be shown otherwise: elsewhere they read nothing. */
  readonly rows: () => Iterable<Alike>;
  /** Whether they are in the same groups before and after, and named where they were. */
  readonly sameGroups: boolean;
  /** Whether what exists before and after is decided the same. */
  readonly sameRules: boolean;
}

/** Answers for one class after the other what may have changed for it. */
export class TouchedFinder {
  readonly #from: Snapshot | undefined;
  readonly #to: Snapshot;
  readonly #changed: BySubject;
  /** Securable → those alike ones that lie within it. */
  readonly #within = new Map<SecurableName, Alike[]>();
  /** What came or went itself: it may differ for everybody. Before the first policy only rules can differ. */
  readonly #newOrGone: readonly Alike[];
  /** Of these the ones that anybody sees under a row filter or a mask, and those where such rules differ. */
  readonly #ruled = new Map<SecurableName, Alike[]>();
  readonly #ruledOtherwise = new Map<SecurableName, Alike[]>();
  /** Of these the catalogs and schemas. */
  readonly #containers = new Map<SecurableName, Alike[]>();
  readonly #places = new Map<string, readonly SecurableName[]>();
  #ofBoth: BySubject | undefined;

  constructor(from: Snapshot | undefined, to: Snapshot, all: readonly Alike[]) {
    this.#from = from;
    this.#to = to;
    this.#changed = changedRules(from?.access ?? [], to.access);
    this.#newOrGone = from === undefined ? [] : all.filter((alike) => alike.existed !== alike.exists);
    for (const alike of all)
      for (const above of withAncestors(alike.first)) {
        append(this.#within, above, alike);
        if (alike.ruled.length > 0) append(this.#ruled, above, alike);
        if (alike.changed.length > 0) append(this.#ruledOtherwise, above, alike);
        if (depth(alike.first) < 3) append(this.#containers, above, alike);
      }
  }

  of(principal: PrincipalName): Touched {
    const before = this.#from?.groupsOf(principal) ?? new Set<GroupName>();
    const after = this.#to.groupsOf(principal);
    const joinedOrLeft: string[] = [...before, ...after].filter(
      (group) => !(before.has(group) && after.has(group)),
    );
    // What names a group does not name the person who is called the same: all of it came or went for them.
    if (isGroup(this.#from, principal) !== isGroup(this.#to, principal)) joinedOrLeft.push(principal);
    const rules = [...this.#rulesOf(this.#changed, principal, before, after)];
    if (joinedOrLeft.length > 0)
      for (const group of joinedOrLeft) for (const rule of this.#both().get(group) ?? []) rules.push(rule);
    const alikes = new Set(this.#newOrGone);
    const sameGroups = joinedOrLeft.length === 0;
    const reachable = (within: ReadonlyMap<SecurableName, readonly Alike[]>) =>
      this.#reachable(principal, new Set([...before, ...after]), within);
    for (const on of outermost(rules.filter((rule) => !isPassage(rule))))
      for (const alike of this.#within.get(on) ?? []) alikes.add(alike);
    const ways = this.#changedPassages(principal, rules);
    for (const on of ways) for (const alike of this.#containers.get(on) ?? []) alikes.add(alike);
    if (ways.size > 0)
      for (const alike of reachable(this.#within))
        if (withAncestors(alike.first).some((on) => ways.has(on))) alikes.add(alike);
    const rows = () => reachable(sameGroups ? this.#ruledOtherwise : this.#ruled);
    return { alikes, rows, sameGroups, sameRules: sameGroups && rules.length === 0 };
  }

  /**
   * Catalogs and schemas with other USE rules that also answer otherwise. Where both answers are as they were, everything
   * below is as well: what its own rules say did not change, or is a place of its own.
   */
  #changedPassages(principal: PrincipalName, rules: readonly AccessRule[]): ReadonlySet<SecurableName> {
    const places = new Set(rules.filter(isPassage).map((rule) => rule.on));
    if (places.size === 0) return places;
    const before = this.#from?.asking(principal);
    const after = this.#to.asking(principal);
    const differs = (on: SecurableName) =>
      passages.some((privilege) => (before?.(privilege, on) === true) !== after(privilege, on));
    return new Set([...places].filter(differs));
  }

  /** A way through a catalog or schema leads to something only where another rule gives it. */
  #reachable(
    principal: PrincipalName,
    groups: ReadonlySet<string>,
    within: ReadonlyMap<SecurableName, readonly Alike[]>,
  ): ReadonlySet<Alike> {
    const found = new Set<Alike>();
    if (within.size === 0) return found;
    for (const subject of [principal, ...groups])
      for (const on of this.#placesOf(subject)) for (const alike of within.get(on) ?? []) found.add(alike);
    return found;
  }

  #placesOf(subject: string): readonly SecurableName[] {
    const known = this.#places.get(subject);
    if (known !== undefined) return known;
    const rules = (this.#both().get(subject) ?? []).filter((rule) => !isPassage(rule));
    const found = [...new Set(rules.map((rule) => rule.on))];
    this.#places.set(subject, found);
    return found;
  }

  *#rulesOf(
    rules: BySubject,
    principal: PrincipalName,
    before: ReadonlySet<string>,
    after: ReadonlySet<string>,
  ): Generator<AccessRule> {
    if (rules.size === 0) return;
    yield* rules.get(principal) ?? [];
    for (const group of before) yield* rules.get(group) ?? [];
    for (const group of after) if (!before.has(group)) yield* rules.get(group) ?? [];
  }

  #both(): BySubject {
    this.#ofBoth ??= bySubject([...(this.#from?.access ?? []), ...this.#to.access]);
    return this.#ofBoth;
  }
}

function isGroup(snapshot: Snapshot | undefined, name: string): boolean {
  return snapshot?.groups.has(name as GroupName) === true;
}

const passages: readonly Privilege[] = ['USE CATALOG', 'USE SCHEMA'];

function isPassage({ act }: AccessRule): boolean {
  return act === 'USE CATALOG' || act === 'USE SCHEMA';
}

function append<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** Each place once, and none that lies within another. */
function outermost(rules: readonly AccessRule[]): readonly SecurableName[] {
  const places = [...new Set(rules.map((rule) => rule.on))];
  if (places.length === 1) return places;
  const all = new Set(places);
  return places.filter(
    (on) =>
      !withAncestors(on)
        .slice(1)
        .some((above) => all.has(above)),
  );
}
