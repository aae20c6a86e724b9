import type { PrincipalName } from '../kernel/principal.ts';
import { metastore, type SecurableName } from '../kernel/securable-name.ts';
import { compareText } from './findings.ts';
import type { AccessChange, PolicyPlan, SharedChange, Snapshot, Widened } from './model.ts';
import {
  type Alike,
  askingBoth,
  compared,
  describeEffect,
  type Effect,
  type Leaning,
  leaningOf,
  opened,
  privilegeEffects,
  shrinks,
} from './plan-effects.ts';
import { RowChanges } from './plan-rows.ts';
import { PeopleCount, summarize } from './plan-summary.ts';
import { TouchedFinder } from './plan-touched.ts';

const maximumChanges = 10_000;

/**
 * Effects that are the same for principals of one class. Classes have nobody in common and each goes by one list, so that
 * people are counted by lists; `effects` is one list wherever it says the same.
 */
export interface SharedEffects {
  readonly principals: readonly PrincipalName[];
  readonly on: SecurableName;
  readonly effects: readonly Effect[];
}

/**
 * Who gains and loses what between two snapshots, in words of access; `from` undefined: everything is new. Principals who
 * cannot differ are computed once. Pure.
 */
export function planPolicy(from: Snapshot | undefined, to: Snapshot): PolicyPlan {
  return new Plan(from, to);
}

/**
 * Whose sessions end must be known fast, the words can wait: each part is computed when it is read, once. Who shrank is
 * looked for class by class, and no further than the first effect that shrinks.
 */
class Plan implements PolicyPlan {
  readonly from: string | undefined;
  readonly to: string;
  readonly #sides: readonly [Snapshot | undefined, Snapshot];
  #all: readonly SharedEffects[] | undefined;
  #shrunk: ReadonlySet<PrincipalName> | undefined;
  #shared: readonly SharedChange[] | undefined;
  #changes: readonly AccessChange[] | undefined;
  #summary: string | undefined;
  #widened: readonly Widened[] | undefined;

  constructor(from: Snapshot | undefined, to: Snapshot) {
    this.from = from?.id;
    this.to = to.id;
    this.#sides = [from, to];
  }

  get shrunk(): ReadonlySet<PrincipalName> {
    this.#shrunk ??= shrunkBy(this.#all ?? allEffects(...this.#sides, shrinks));
    return this.#shrunk;
  }

  get shared(): readonly SharedChange[] {
    this.#shared ??= [...told(this.#effects())];
    return this.#shared;
  }

  get changes(): readonly AccessChange[] {
    this.#changes ??= expand(told(this.#effects()));
    return this.#changes;
  }

  get summary(): string {
    this.#summary ??= summarize(this.#effects());
    return this.#summary;
  }

  get widened(): readonly Widened[] {
    this.#widened ??= widenedOf(this.#effects());
    return this.#widened;
  }

  #effects(): readonly SharedEffects[] {
    this.#all ??= [...allEffects(...this.#sides)];
    return this.#all;
  }
}

function shrunkBy(all: Iterable<SharedEffects>): ReadonlySet<PrincipalName> {
  const found = new Set<PrincipalName>();
  let last: readonly PrincipalName[] | undefined;
  for (const { principals, effects } of all) {
    if (principals === last || !effects.some(shrinks)) continue;
    for (const principal of principals) found.add(principal);
    last = principals;
  }
  return found;
}

/** `enough`: of each class no more than up to the first effect of this sort. */
function* allEffects(
  from: Snapshot | undefined,
  to: Snapshot,
  enough: (effect: Effect) => boolean = () => false,
): Generator<SharedEffects> {
  const effectsOf = classEffects(from, to);
  for (const principals of classes(from, to))
    for (const found of effectsOf(principals)) {
      yield found;
      if (found.effects.some(enough)) break;
    }
  yield* ownEffects(from, to);
}

/** What changes for the principals of one class. */
function classEffects(
  from: Snapshot | undefined,
  to: Snapshot,
): (principals: readonly PrincipalName[]) => Iterable<SharedEffects> {
  const securables = compared(from, to);
  const touched = new TouchedFinder(from, to, securables);
  const comparer = from === undefined ? undefined : new RowChanges(from, to);
  return function* (principals) {
    const [first] = principals;
    if (first === undefined) return;
    const { alikes, rows, sameGroups, sameRules } = touched.of(first);
    const asked = askingBoth(from, to, first);
    for (const alike of alikes) {
      const effects = privilegeEffects(asked, alike);
      if (effects.length > 0) for (const on of alike.all) yield { principals, on, effects };
    }
    const reads = (alike: Alike) =>
      alike.existed && asked.after('SELECT', alike) && (sameRules || asked.before('SELECT', alike));
    for (const { on, effects } of comparer?.of(first, reads, rows(), sameGroups ? 'changed' : 'ruled') ?? [])
      yield { principals, on, effects };
    yield* roleEffects(from, to, principals, first);
  };
}

function roleEffects(
  from: Snapshot | undefined,
  to: Snapshot,
  principals: readonly PrincipalName[],
  first: PrincipalName,
): readonly SharedEffects[] {
  const found: SharedEffects[] = [];
  for (const on of new Set([...(from?.catalog.catalogs.keys() ?? []), ...to.catalog.catalogs.keys()])) {
    const before = from?.assumableRoles(first, on) ?? [];
    const after = to.assumableRoles(first, on);
    if (before.length === 0 && after.length === 0) continue;
    const effects = difference(new Set(before), new Set(after)).map(
      ([role, gained]): Effect => ({ kind: 'assume', role, gained }),
    );
    if (effects.length > 0) found.push({ principals, on, effects });
  }
  return found;
}

/** Principals of one class in both snapshots, together. */
function classes(from: Snapshot | undefined, to: Snapshot): Iterable<readonly PrincipalName[]> {
  const pairs = new Map<object, Map<object | undefined, PrincipalName[]>>();
  for (const principal of new Set([...(from?.principals ?? []), ...to.principals])) {
    const before = from?.classOf(principal);
    const after = to.classOf(principal);
    const row = pairs.get(after) ?? new Map<object | undefined, PrincipalName[]>();
    const members = row.get(before) ?? [];
    members.push(principal);
    row.set(before, members);
    pairs.set(after, row);
  }
  return [...pairs.values()].flatMap((row) => [...row.values()]);
}

/** Attributes belong to one principal each. They are changes of the metastore: no table is named. */
function ownEffects(from: Snapshot | undefined, to: Snapshot): readonly SharedEffects[] {
  const found: SharedEffects[] = [];
  for (const principal of new Set([...(from?.principals ?? []), ...to.principals])) {
    const before = from?.attributes(principal) ?? new Map<string, readonly string[]>();
    const after = to.attributes(principal);
    const effects: Effect[] = [];
    for (const name of new Set([...before.keys(), ...after.keys()])) {
      const changed = difference(new Set(before.get(name)), new Set(after.get(name)));
      for (const [value, gained] of changed) effects.push({ kind: 'attribute', name, value, gained });
    }
    if (effects.length > 0) found.push({ principals: [principal], on: metastore, effects });
  }
  return found;
}

function difference(before: ReadonlySet<string>, after: ReadonlySet<string>): readonly [string, boolean][] {
  const gained = [...after].filter((one) => !before.has(one)).map((one): [string, boolean] => [one, true]);
  const lost = [...before].filter((one) => !after.has(one)).map((one): [string, boolean] => [one, false]);
  return [...gained, ...lost];
}

/** In words. A list of effects that is the same for many is put into words once: it says the same wherever it stands. */
function* told(all: readonly SharedEffects[]): Generator<SharedChange> {
  const known = new Map<readonly Effect[], Omit<SharedChange, 'principals' | 'table'>>();
  for (const { principals, on, effects } of all) {
    const words = known.get(effects) ?? wordsOf(effects, on);
    known.set(effects, words);
    yield { principals, table: on, ...words };
  }
}

/** Each phrase once: a view may read several tables under one policy. */
function wordsOf(effects: readonly Effect[], on: SecurableName): Omit<SharedChange, 'principals' | 'table'> {
  const leaning = (wanted: Leaning) => [
    ...new Set(
      effects.filter((effect) => leaningOf(effect) === wanted).map((effect) => describeEffect(effect, on)),
    ),
  ];
  const changes = leaning('unknown');
  return {
    gains: leaning('gain'),
    loses: leaning('loss'),
    ...(changes.length === 0 ? {} : { changes }),
  };
}

/** Columns and base tables; what a view shows of them is counted with them. */
function widenedOf(all: readonly SharedEffects[]): readonly Widened[] {
  const found = new Map<string, { kind: Widened['kind']; on: SecurableName; who: PeopleCount }>();
  for (const { principals, effects } of all)
    for (const { kind, on: what } of effects.flatMap(opened)) {
      const known = found.get(what) ?? { kind, on: what, who: new PeopleCount() };
      known.who.add(principals);
      found.set(what, known);
    }
  return [...found.values()]
    .map(({ kind, on, who }) => ({ kind, on, people: who.size }))
    .sort((a, b) => compareText(a.on, b.on));
}

function expand(shared: Iterable<SharedChange>): readonly AccessChange[] {
  const changes: AccessChange[] = [];
  for (const { principals, ...change } of shared)
    for (const principal of principals) {
      if (changes.length === maximumChanges) return changes;
      changes.push({ principal, ...change });
    }
  return changes;
}
