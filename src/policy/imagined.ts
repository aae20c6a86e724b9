import { allUsers, type GroupName, type PrincipalName } from '../kernel/principal.ts';
import type { PrincipalOrGroup } from './document.ts';
import type { AccessRule, Gate } from './gates.ts';
import type { Membership } from './membership.ts';

// Everybody who exists and everybody who may come: one person of the files or a stranger, in any groups. Of a person
// only a few bits matter to one question (is in this list, in that group), and groups only ever add bits, so that all
// people are a handful of bit sets and a search over them is a proof. Pure.

/** Bits of one person: which of a lens's names they are or are in. */
export type Bits = bigint;

/** What groups that open a gate bring along, each kind once, and the people who open it themselves. */
interface Passing {
  readonly groups: ReadonlySet<Bits>;
  readonly people: ReadonlySet<PrincipalName>;
}

/** Which names a question looks at. */
export class Lens {
  readonly #bitOf = new Map<string, Bits>();
  readonly #membership: Membership;
  readonly #groups: ReadonlySet<string>;
  readonly #known = new Map<string, Bits>();
  readonly #passing = new Map<readonly AccessRule[], Passing>();

  constructor(membership: Membership, groups: ReadonlySet<string>, names: Iterable<PrincipalOrGroup>) {
    this.#membership = membership;
    this.#groups = groups;
    for (const name of names)
      if (!this.#bitOf.has(name)) this.#bitOf.set(name, 1n << BigInt(this.#bitOf.size));
  }

  /** Who comes through a gate, as bits; kept per list of rules. */
  passing(rules: readonly AccessRule[]): Passing {
    const known = this.#passing.get(rules);
    if (known !== undefined) return known;
    const groups = new Set<Bits>();
    const people = new Set<PrincipalName>();
    for (const { subject } of rules) {
      if (this.isGroup(subject)) groups.add(this.of(subject));
      else people.add(subject);
    }
    const found = { groups, people };
    this.#passing.set(rules, found);
    return found;
  }

  get names(): readonly PrincipalOrGroup[] {
    return [...this.#bitOf.keys()] as PrincipalOrGroup[];
  }

  isGroup(name: PrincipalOrGroup): name is GroupName {
    return name === allUsers || this.#groups.has(name);
  }

  /** What being this person, or being in this group, brings along. Undefined: somebody without a name or group. */
  of(name: PrincipalOrGroup | undefined): Bits {
    const key = name ?? '';
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const found = this.#read(name);
    this.#known.set(key, found);
    return found;
  }

  #read(name: PrincipalOrGroup | undefined): Bits {
    const person = name === undefined || this.isGroup(name) ? undefined : name;
    const who =
      person === undefined
        ? this.#membership.imagined(undefined, name === undefined ? [] : [name as GroupName])
        : this.#membership.classOf(person);
    let bits = person === undefined ? 0n : (this.#bitOf.get(person) ?? 0n);
    for (const [known, bit] of this.#bitOf) if (who.groups.has(known as GroupName)) bits |= bit;
    return bits;
  }

  /** Whether the person is in the group as things are. */
  isMember(name: PrincipalName | undefined, group: GroupName): boolean {
    return group === allUsers || (name !== undefined && this.#membership.classOf(name).groups.has(group));
  }

  mask(names: readonly PrincipalOrGroup[]): Bits {
    return names.reduce((bits, name) => bits | (this.#bitOf.get(name) ?? 0n), 0n);
  }
}

/** A gate with the rule that opened it. */
export interface Opened {
  readonly gate: Gate;
  readonly rule: AccessRule;
}

/** Somebody who may exist: with the fewest groups that make the question answer yes. */
export interface Somebody {
  readonly name: PrincipalName | undefined;
  readonly groups: readonly GroupName[];
  readonly opened: readonly Opened[];
}

export interface GateWithRules {
  readonly gate: Gate;
  /** Rules that open it, each for its subject. */
  readonly rules: readonly AccessRule[];
}

interface State extends Somebody {
  readonly bits: Bits;
}

/** Whether `findSomebody` finds anybody. Counts no groups and keeps no rules, so that it is asked for every table. */
export function isThereSomebody(
  lens: Lens,
  gates: readonly GateWithRules[],
  hopeless: (bits: Bits) => boolean,
  wanted: (bits: Bits) => boolean,
): boolean {
  const steps = gates.map(({ rules }) => lens.passing(rules));
  const named = lens.names.filter((name): name is PrincipalName => !lens.isGroup(name));
  const people = new Set([...steps.flatMap((step) => [...step.people]), ...named]);
  return [undefined, ...people].some((name) => {
    const start = lens.of(name);
    let states: ReadonlySet<Bits> = hopeless(start) ? new Set() : new Set([start]);
    for (const step of steps) {
      const next = new Set<Bits>();
      for (const bits of states) {
        if (name !== undefined && step.people.has(name)) next.add(bits);
        for (const joined of step.groups) if (!hopeless(bits | joined)) next.add(bits | joined);
      }
      states = next;
    }
    const grown = [...states].map((bits): State => ({ name, groups: [], opened: [], bits }));
    return grow(lens, grown, hopeless, wanted) !== undefined;
  });
}

/**
 * Looks for somebody, existing or not, who comes through all gates and is `wanted`. `hopeless`: no group added makes
 * them wanted any more. Undefined is a proof that there is nobody.
 */
export function findSomebody(
  lens: Lens,
  gates: readonly GateWithRules[],
  hopeless: (bits: Bits) => boolean,
  wanted: (bits: Bits) => boolean,
): Somebody | undefined {
  const opens = gatesBySubject(gates);
  for (const name of startingPoints(lens, opens)) {
    const start: State = { name, groups: [], opened: [], bits: lens.of(name) };
    let states: readonly State[] = hopeless(start.bits) ? [] : [start];
    for (const { gate, rules } of gates) {
      const steps = openers(lens, name, rules, opens);
      states = distinct(
        states.flatMap((state) => steps.map((step) => through(lens, state, gate, rules, step))),
      ).filter(({ bits }) => !hopeless(bits));
    }
    const found = grow(lens, states, hopeless, wanted);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Subject → the gates that it opens, by their place. */
function gatesBySubject(gates: readonly GateWithRules[]): ReadonlyMap<string, ReadonlySet<number>> {
  const opens = new Map<string, Set<number>>();
  for (const [i, { rules }] of gates.entries())
    for (const { subject } of rules) {
      const own = opens.get(subject);
      if (own === undefined) opens.set(subject, new Set([i]));
      else own.add(i);
    }
  return opens;
}

/** A stranger first; then people who are named by a rule or looked at, one for all that are alike. */
function startingPoints(
  lens: Lens,
  opens: ReadonlyMap<string, ReadonlySet<number>>,
): readonly (PrincipalName | undefined)[] {
  const people = [...opens.keys(), ...lens.names].filter((name) => !lens.isGroup(name as PrincipalOrGroup));
  const alike = new Map<string, PrincipalName>();
  for (const person of new Set(people)) {
    const key = `${lens.of(person as PrincipalName)} ${[...(opens.get(person) ?? [])]}`;
    if (!alike.has(key)) alike.set(key, person as PrincipalName);
  }
  return [undefined, ...alike.values()];
}

interface Step {
  readonly rule: AccessRule;
  readonly bits: Bits;
}

/**
 * Rules that this person can use by being who they are or by joining a group; one for all groups that are alike, and
 * of those the one that opens the most gates, so that a counterexample is in few groups.
 */
function openers(
  lens: Lens,
  name: PrincipalName | undefined,
  rules: readonly AccessRule[],
  opens: ReadonlyMap<string, ReadonlySet<number>>,
): readonly Step[] {
  const steps = new Map<Bits, Step>();
  const gatesOf = ({ subject }: AccessRule) => opens.get(subject)?.size ?? 0;
  for (const rule of rules) {
    const isGroup = lens.isGroup(rule.subject);
    if (!isGroup && rule.subject !== name) continue;
    const bits = isGroup ? lens.of(rule.subject) : 0n;
    const known = steps.get(bits);
    if (known === undefined || gatesOf(rule) > gatesOf(known.rule)) steps.set(bits, { rule, bits });
  }
  return [...steps.values()];
}

function through(
  lens: Lens,
  state: State,
  gate: Gate,
  rules: readonly AccessRule[],
  { rule, bits }: Step,
): State {
  const { name, groups } = state;
  // A group that they are in already opens it as well as another that is alike.
  const inIt = (group: GroupName) => groups.includes(group) || lens.isMember(name, group);
  const own = rules.find(({ subject }) => (lens.isGroup(subject) ? inIt(subject) : subject === name));
  const used = own !== undefined && (bits | state.bits) === state.bits ? own : rule;
  const joins = lens.isGroup(used.subject) && !lens.isMember(name, used.subject) ? used.subject : undefined;
  return {
    name,
    groups: withGroup(groups, joins),
    opened: [...state.opened, { gate, rule: used }],
    bits: state.bits | bits,
  };
}

function withGroup(groups: readonly GroupName[], group: GroupName | undefined): readonly GroupName[] {
  return group === undefined || groups.includes(group) ? groups : [...groups, group];
}

/** Of states with the same bits the one with the fewest groups. */
function distinct(states: readonly State[]): readonly State[] {
  const kept = new Map<Bits, State>();
  for (const state of states) {
    const known = kept.get(state.bits);
    if (known === undefined || state.groups.length < known.groups.length) kept.set(state.bits, state);
  }
  return [...kept.values()];
}

/** Adds groups that the lens looks at, one by one, until somebody is wanted or nobody new appears. */
function grow(
  lens: Lens,
  states: readonly State[],
  hopeless: (bits: Bits) => boolean,
  wanted: (bits: Bits) => boolean,
): Somebody | undefined {
  const groups = lens.names.filter((name): name is GroupName => lens.isGroup(name));
  const seen = new Set(states.map(({ bits }) => bits));
  const open = [...states].toSorted((a, b) => a.groups.length - b.groups.length);
  for (const state of open) {
    if (wanted(state.bits)) return state;
    for (const group of groups) {
      const bits = state.bits | lens.of(group);
      if (seen.has(bits) || hopeless(bits)) continue;
      seen.add(bits);
      const joins = lens.isMember(state.name, group) ? undefined : group;
      open.push({ ...state, groups: withGroup(state.groups, joins), bits });
    }
  }
  return undefined;
}
