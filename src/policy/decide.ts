import type { Decision, Reason } from '../kernel/decision.ts';
import { type GroupName, operatorName, type PrincipalName } from '../kernel/principal.ts';
import type { Privilege } from '../kernel/privilege.ts';
import { metastore, type SecurableName } from '../kernel/securable-name.ts';
import type { GateEnforcer } from './enforcer.ts';
import { type AccessRule, depth, type Gate, gatesOf, opens } from './gates.ts';
import type { Membership, PrincipalClass } from './membership.ts';
import { RuleIndex } from './rule-index.ts';

// Decisions: an index finds a rule that may open a gate, casbin decides over it, the answer is kept.

const administrative: ReadonlySet<Privilege> = new Set(['MANAGE', 'BROWSE', 'CREATE CATALOG', 'APPLY TAG']);

/** Answers kept at most; beyond it they are forgotten and made again. Each takes some fifty bytes. */
const maximumKept = 500_000;

type Answers = Map<Privilege, Map<SecurableName, Decision>>;

/** Privilege → anchor and depth, as one number → whether the gate is open. */
type Gates<Open> = Map<Privilege, Map<number, Open>>;

export class Decider {
  readonly #membership: Membership;
  readonly #enforcer: GateEnforcer;
  readonly #index: RuleIndex;
  readonly #byPrincipal = new Map<PrincipalName, Answers>();
  readonly #byClass = new Map<PrincipalClass, Answers>();
  readonly #gates = new Map<PrincipalClass, Gates<Reason | undefined>>();
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
    const known = this.#byPrincipal.get(principal)?.get(privilege)?.get(on);
    return known ?? this.#decide(principal, privilege, on);
  }

  /**
   * Whether one principal may, for many questions: true exactly where `decide` allows. From the index alone (casbin is
   * asked wherever somebody is let in, and lists let nobody in); nothing is kept longer than the function that is returned.
   */
  asking(principal: PrincipalName): (privilege: Privilege, on: SecurableName) => boolean {
    if (principal === operatorName) return (privilege) => administrative.has(privilege);
    const who = this.#membership.classOf(principal);
    const gates: Gates<boolean> = new Map();
    const isOpen = ({ privilege, on }: Gate): boolean => {
      const anchor = this.#index.anchorOf(on);
      const at = depth(on);
      return keptIn(
        gates,
        privilege,
        anchor * 8 + at,
        () => this.#first(who, privilege, at, anchor) === true,
      );
    };
    return (privilege, on) => gatesOf(privilege, on).every(isOpen);
  }

  #first(who: PrincipalClass, gate: Privilege, gateDepth: number, anchor: number): true | undefined {
    return this.#index.find(who, anchor, (rule, ruleDepth) =>
      opens(rule.act, ruleDepth, gate, gateDepth) ? true : undefined,
    );
  }

  #decide(principal: PrincipalName, privilege: Privilege, on: SecurableName): Decision {
    if (this.#kept > this.#maximumKept) this.#forget();
    if (principal === operatorName) return decideOperator(privilege, on);
    const who = this.#membership.classOf(principal);
    const kept = this.#byClass.get(who) ?? new Map<Privilege, Map<SecurableName, Decision>>();
    this.#byClass.set(who, kept);
    if (!this.#byPrincipal.has(principal)) this.#kept++;
    this.#byPrincipal.set(principal, kept);
    const answers = kept.get(privilege) ?? new Map<SecurableName, Decision>();
    kept.set(privilege, answers);
    const known = answers.get(on);
    if (known !== undefined) return known;
    const decision = this.#ask(who, privilege, on);
    answers.set(on, decision);
    this.#kept++;
    return decision;
  }

  #ask(who: PrincipalClass, privilege: Privilege, on: SecurableName): Decision {
    const because: Reason[] = [];
    for (const gate of gatesOf(privilege, on)) {
      const reason = this.#gate(who, gate);
      if (reason === undefined)
        return { effect: 'deny', because: [{ kind: 'gate-failed', gate: gate.privilege, on: gate.on }] };
      because.push(reason);
    }
    return { effect: 'allow', because };
  }

  /** What lies below one anchor at one depth has one answer, so that casbin is asked once for all tables of a schema. */
  #gate(who: PrincipalClass, gate: Gate): Reason | undefined {
    const gates: Gates<Reason | undefined> = this.#gates.get(who) ?? new Map();
    this.#gates.set(who, gates);
    const anchor = this.#index.anchorOf(gate.on);
    const gateDepth = depth(gate.on);
    return keptIn(gates, gate.privilege, anchor * 8 + gateDepth, () => {
      this.#kept++;
      return this.#open(who, gate, gateDepth, anchor);
    });
  }

  /** Only what would open the gate is put before casbin, one rule at a time; without its word nothing opens. */
  #open(who: PrincipalClass, gate: Gate, gateDepth: number, anchor: number): Reason | undefined {
    return this.#index.find(who, anchor, (rule, ruleDepth) => {
      if (!opens(rule.act, ruleDepth, gate.privilege, gateDepth)) return undefined;
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
    this.#kept = 0;
  }
}

function keptIn<Open>(gates: Gates<Open>, privilege: Privilege, key: number, answer: () => Open): Open {
  const own = gates.get(privilege) ?? new Map<number, Open>();
  gates.set(privilege, own);
  const known = own.get(key);
  if (known !== undefined || own.has(key)) return known as Open;
  const found = answer();
  own.set(key, found);
  return found;
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
