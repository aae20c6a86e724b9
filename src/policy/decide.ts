import type { Decision, Reason } from '../kernel/decision.ts';
import { type GroupName, operatorName, type PrincipalName } from '../kernel/principal.ts';
import { type Privilege, privileges } from '../kernel/privilege.ts';
import { metastore, type SecurableName } from '../kernel/securable-name.ts';
import type { GateEnforcer } from './enforcer.ts';
import { type AccessRule, depth, type Gate, gatesOf, opens } from './gates.ts';
import type { Membership, PrincipalClass } from './membership.ts';
import { RuleIndex } from './rule-index.ts';

// Decisions: an index finds a rule that may open a gate, casbin decides over it, the answer is kept.

const administrative: ReadonlySet<Privilege> = new Set(['MANAGE', 'BROWSE', 'CREATE CATALOG', 'APPLY TAG']);

/** Answers kept at most; beyond it they are forgotten and made again. Each takes some fifty bytes. */
const maximumKept = 500_000;

type Answers = Map<SecurableName, Decision>;

/** Privilege, anchor and depth, as one number → whether the gate is open. */
type Gates<Open> = Map<number, Open>;

/** A gate with the place in the index from which its rules are looked for. */
interface PlacedGate extends Gate {
  readonly anchor: number;
  readonly depth: number;
  /** Names the answers that it shares with others below its anchor; undefined where it has rules of its own. */
  readonly key: number | undefined;
}

/** What one list of placed gates counts in memory, in answers. */
const weightOfWay = 5;

const numberOf: ReadonlyMap<Privilege, number> = new Map(privileges.map((name, i) => [name, i]));

export class Decider {
  readonly #membership: Membership;
  readonly #enforcer: GateEnforcer;
  readonly #index: RuleIndex;
  /** Privilege first: few, and so near at hand. */
  readonly #byPrincipal = new Map<Privilege, Map<PrincipalName, Answers>>();
  readonly #byClass = new Map<Privilege, Map<PrincipalClass, Answers>>();
  readonly #gates = new Map<PrincipalClass, Gates<Reason | undefined>>();
  /** The gates of a question, placed: the same for everybody. */
  readonly #ways = new Map<Privilege, Map<SecurableName, readonly PlacedGate[]>>();
  readonly #maximumKept: number;
  #kept = 0;

  constructor(
    rules: readonly AccessRule[],
    membership: Membership,
    enforcer: GateEnforcer,
    keep = maximumKept,
  ) {
    this.#membership = membership;
    this.#enforcer = enforcer;
    this.#index = new RuleIndex(rules, membership);
    this.#maximumKept = keep;
  }

  /** Answers and gates in memory: never more than the maximum by much. */
  get kept(): number {
    return this.#kept;
  }

  /** Under a microsecond when it was asked before: three look-ups. */
  decide(principal: PrincipalName, privilege: Privilege, on: SecurableName): Decision {
    const known = this.#byPrincipal.get(privilege)?.get(principal)?.get(on);
    return known ?? this.#decide(principal, privilege, on);
  }

  /**
   * Whether one principal may, for many questions: true exactly where `decide` allows. From the index alone (casbin is
   * asked wherever somebody is let in, and lists let nobody in); no answer is kept longer than the function that is returned.
   */
  asking(principal: PrincipalName): (privilege: Privilege, on: SecurableName) => boolean {
    if (principal === operatorName) return (privilege) => administrative.has(privilege);
    const who = this.#membership.classOf(principal);
    const gates: Gates<boolean> = new Map();
    const isOpen = (gate: PlacedGate): boolean => {
      if (gate.key === undefined) return this.#first(who, gate);
      const known = gates.get(gate.key);
      if (known !== undefined) return known;
      const open = this.#first(who, gate);
      gates.set(gate.key, open);
      return open;
    };
    return (privilege, on) => this.#way(privilege, on).every(isOpen);
  }

  #first(who: PrincipalClass, gate: PlacedGate): boolean {
    const found = this.#index.find(who, gate.anchor, (rule, ruleDepth) =>
      opens(rule.act, ruleDepth, gate.privilege, gate.depth) ? true : undefined,
    );
    return found === true;
  }

  #way(privilege: Privilege, on: SecurableName): readonly PlacedGate[] {
    const known = this.#ways.get(privilege)?.get(on);
    if (known !== undefined) return known;
    if (this.#kept > this.#maximumKept) this.#forget();
    const way = gatesOf(privilege, on).map((gate): PlacedGate => {
      const anchor = this.#index.anchorOf(gate.on);
      const at = depth(gate.on);
      // Rules of its own: nothing else shares the answer.
      const own = at === 3 && this.#index.depthOf(anchor) === 3;
      return { ...gate, anchor, depth: at, key: own ? undefined : keyOf(gate.privilege, anchor, at) };
    });
    below(this.#ways, privilege, newMap<SecurableName, readonly PlacedGate[]>).set(on, way);
    this.#kept += weightOfWay;
    return way;
  }

  #decide(principal: PrincipalName, privilege: Privilege, on: SecurableName): Decision {
    if (this.#kept > this.#maximumKept) this.#forget();
    if (principal === operatorName) return decideOperator(privilege, on);
    const who = this.#membership.classOf(principal);
    const answers = below(
      below(this.#byClass, privilege, newMap<PrincipalClass, Answers>),
      who,
      newMap<SecurableName, Decision>,
    );
    const people = below(this.#byPrincipal, privilege, newMap<PrincipalName, Answers>);
    if (!people.has(principal)) this.#kept++;
    people.set(principal, answers);
    const known = answers.get(on);
    if (known !== undefined) return known;
    const decision = this.#ask(who, privilege, on);
    answers.set(on, decision);
    this.#kept++;
    return decision;
  }

  #ask(who: PrincipalClass, privilege: Privilege, on: SecurableName): Decision {
    const because: Reason[] = [];
    for (const gate of this.#way(privilege, on)) {
      const reason = this.#gate(who, gate);
      if (reason === undefined)
        return { effect: 'deny', because: [{ kind: 'gate-failed', gate: gate.privilege, on: gate.on }] };
      because.push(reason);
    }
    return { effect: 'allow', because };
  }

  /** What lies below one anchor at one depth has one answer, so that casbin is asked once for all tables of a schema. */
  #gate(who: PrincipalClass, gate: PlacedGate): Reason | undefined {
    if (gate.key === undefined) return this.#open(who, gate);
    const gates = below(this.#gates, who, newMap<number, Reason | undefined>);
    const known = gates.get(gate.key);
    if (known !== undefined || gates.has(gate.key)) return known;
    const reason = this.#open(who, gate);
    gates.set(gate.key, reason);
    this.#kept++;
    return reason;
  }

  /** Only what would open the gate is put before casbin, one rule at a time; without its word nothing opens. */
  #open(who: PrincipalClass, gate: PlacedGate): Reason | undefined {
    return this.#index.find(who, gate.anchor, (rule, ruleDepth) => {
      if (!opens(rule.act, ruleDepth, gate.privilege, gate.depth)) return undefined;
      const opened = this.#enforcer.enforce(who, gate, [rule]) !== undefined;
      return opened ? reasonOf(rule, gate.privilege, who) : undefined;
    });
  }

  /** The nearest securable, itself or above, that any grant or owner names: below it all of one depth are alike. */
  anchorOf(on: SecurableName): number {
    return this.#index.anchorOf(on);
  }

  #forget(): void {
    this.#byPrincipal.clear();
    this.#byClass.clear();
    this.#gates.clear();
    this.#ways.clear();
    this.#kept = 0;
  }
}

function keyOf(privilege: Privilege, anchor: number, at: number): number {
  return (anchor * 8 + at) * 32 + (numberOf.get(privilege) ?? 31);
}

function newMap<K, V>(): Map<K, V> {
  return new Map();
}

/** What a map holds for a key; made where there is nothing yet. */
function below<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function reasonOf(rule: AccessRule, gate: Privilege, who: PrincipalClass): Reason {
  if (rule.act === 'OWNER') return { kind: 'owner', on: rule.on, owner: rule.subject, gate };
  const via = rule.subject === who.name ? [] : who.via(rule.subject as GroupName);
  return { kind: 'grant', privilege: rule.act, on: rule.on, to: rule.subject, via, gate };
}

/** The local operator administers everything and reads nothing. */
function decideOperator(privilege: Privilege, on: SecurableName): Decision {
  if (!administrative.has(privilege))
    return { effect: 'deny', because: [{ kind: 'gate-failed', gate: privilege, on }] };
  return {
    effect: 'allow',
    because: [{ kind: 'owner', on: metastore, owner: operatorName, gate: privilege }],
  };
}
