import type { PrincipalName } from '../kernel/principal.ts';
import { metastore, type SecurableName } from '../kernel/securable-name.ts';
import { compareText } from './findings.ts';
import type { AccessChange, PolicyPlan, SharedChange, Snapshot, Widened } from './model.ts';
import {
  askingBoth,
  compared,
  describeEffect,
  type Effect,
  type Leaning,
  leaningOf,
  opened,
  privilegeEffects,
  rowEffects,
  shrinks,
} from './plan-effects.ts';
import { summarize } from './plan-summary.ts';
import { TouchedFinder } from './plan-touched.ts';

const maximumChanges = 10_000;

/** Effects that are the same for principals of one class. */
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
  const all = [...classEffects(from, to), ...ownEffects(from, to)];
  const shared = all.map(toChange);
  const shrunk = new Set<PrincipalName>();
  for (const { principals, effects } of all)
    if (effects.some(shrinks)) for (const principal of principals) shrunk.add(principal);
  return {
    from: from?.id,
    to: to.id,
    changes: expand(shared),
    shared,
    summary: summarize(all),
    widened: widenedOf(all),
    shrunk,
  };
}

function classEffects(from: Snapshot | undefined, to: Snapshot): readonly SharedEffects[] {
  const found: SharedEffects[] = [];
  const securables = compared(from, to);
  const anyRuled = securables.some((alike) => alike.ruled.length > 0);
  const anyChanged = securables.some((alike) => alike.changed.length > 0);
  const touched = new TouchedFinder(from, to, securables);
  for (const principals of classes(from, to)) {
    const [first] = principals;
    if (first === undefined) continue;
    const { alikes, reachable, sameGroups } = touched.of(first);
    const asked = askingBoth(from, to, first);
    for (const alike of alikes) {
      const effects = privilegeEffects(asked, alike);
      if (effects.length > 0) for (const on of alike.all) found.push({ principals, on, effects });
    }
    if (from !== undefined && (sameGroups ? anyChanged : anyRuled))
      for (const alike of reachable()) {
        const relations = sameGroups ? alike.changed : alike.ruled;
        if (relations.length === 0) continue;
        for (const { on, effects } of rowEffects(from, to, first, asked, alike, relations))
          found.push({ principals, on, effects });
      }
    found.push(...roleEffects(from, to, principals, first));
  }
  return found;
}

function roleEffects(
  from: Snapshot | undefined,
  to: Snapshot,
  principals: readonly PrincipalName[],
  first: PrincipalName,
): readonly SharedEffects[] {
  const found: SharedEffects[] = [];
  for (const on of to.catalog.catalogs.keys()) {
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

/** Each phrase once: a view may read several tables under one policy. */
function toChange({ principals, on, effects }: SharedEffects): SharedChange {
  const told = (leaning: Leaning) => [
    ...new Set(
      effects.filter((effect) => leaningOf(effect) === leaning).map((effect) => describeEffect(effect, on)),
    ),
  ];
  const changes = told('unknown');
  return {
    principals,
    table: on,
    gains: told('gain'),
    loses: told('loss'),
    ...(changes.length === 0 ? {} : { changes }),
  };
}

/** Columns and base tables; what a view shows of them is counted with them. */
function widenedOf(all: readonly SharedEffects[]): readonly Widened[] {
  const people = new Map<string, { kind: Widened['kind']; on: SecurableName; who: Set<PrincipalName> }>();
  for (const { principals, effects } of all)
    for (const { kind, on: what } of effects.flatMap(opened)) {
      const found = people.get(what) ?? { kind, on: what, who: new Set<PrincipalName>() };
      for (const principal of principals) found.who.add(principal);
      people.set(what, found);
    }
  return [...people.values()]
    .map(({ kind, on, who }) => ({ kind, on, people: who.size }))
    .sort((a, b) => compareText(a.on, b.on));
}

function expand(shared: readonly SharedChange[]): readonly AccessChange[] {
  const changes: AccessChange[] = [];
  for (const { principals, ...change } of shared)
    for (const principal of principals) {
      if (changes.length === maximumChanges) return changes;
      changes.push({ principal, ...change });
    }
  return changes;
}
