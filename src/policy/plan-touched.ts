import type { GroupName, PrincipalName } from '../kernel/principal.ts';
import { type SecurableName, withAncestors } from '../kernel/securable-name.ts';
import type { AccessRule } from './gates.ts';
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
  for (const rule of rules) {
    const own = found.get(rule.subject);
    if (own === undefined) found.set(rule.subject, [rule]);
    else own.push(rule);
  }
  return found;
}

/** What may have changed for principals of one class in both snapshots. */
export interface Touched {
  readonly alikes: Iterable<Alike>;
  /** Whether they are in the same groups before and after. */
  readonly sameGroups: boolean;
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
  #ofBoth: BySubject | undefined;

  constructor(from: Snapshot | undefined, to: Snapshot, all: readonly Alike[]) {
    this.#from = from;
    this.#to = to;
    this.#changed = changedRules(from?.access ?? [], to.access);
    this.#newOrGone = from === undefined ? [] : all.filter((alike) => alike.existed !== alike.exists);
    for (const alike of all)
      for (const above of withAncestors(alike.first)) {
        const list = this.#within.get(above);
        if (list === undefined) this.#within.set(above, [alike]);
        else list.push(alike);
      }
  }

  of(principal: PrincipalName): Touched {
    const before = this.#from?.groupsOf(principal) ?? new Set<GroupName>();
    const after = this.#to.groupsOf(principal);
    const joinedOrLeft = [...before, ...after].filter((group) => !(before.has(group) && after.has(group)));
    const rules = [...this.#rulesOf(this.#changed, principal, before, after)];
    if (joinedOrLeft.length > 0)
      for (const group of joinedOrLeft) for (const rule of this.#both().get(group) ?? []) rules.push(rule);
    const alikes = new Set(this.#newOrGone);
    for (const on of outermost(rules)) for (const alike of this.#within.get(on) ?? []) alikes.add(alike);
    return { alikes, sameGroups: joinedOrLeft.length === 0 };
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
