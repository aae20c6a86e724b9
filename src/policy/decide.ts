import type { Decision, Reason } from '../kernel/decision.ts';
import { type GroupName, operatorName, type PrincipalName } from '../kernel/principal.ts';
import type { Privilege } from '../kernel/privilege.ts';
import { metastore, type SecurableName, withAncestors } from '../kernel/securable-name.ts';
import type { PrincipalOrGroup } from './document.ts';
import type { GateEnforcer } from './enforcer.ts';
import { type AccessRule, depth, type Gate, gatesOf } from './gates.ts';
import type { Membership, PrincipalClass } from './membership.ts';

// Decisions: an index picks the few rules that can matter, casbin decides over them, the answer is kept.

const administrative: ReadonlySet<Privilege> = new Set(['MANAGE', 'BROWSE', 'CREATE CATALOG', 'APPLY TAG']);

/** Answers kept at most; beyond it they are forgotten and made again. */
const maximumKept = 500_000;

type Kept = Map<SecurableName, Map<Privilege, Decision>>;

export class Decider {
  readonly #membership: Membership;
  readonly #enforcer: GateEnforcer;
  /** Securable → subject → rules. */
  readonly #index = new Map<SecurableName, Map<PrincipalOrGroup, AccessRule[]>>();
  readonly #byPrincipal = new Map<PrincipalName, Kept>();
  readonly #byClass = new Map<PrincipalClass, Kept>();
  readonly #gates = new Map<PrincipalClass, Map<string, Reason | undefined>>();
  readonly #anchors = new Map<SecurableName, SecurableName>();
  #kept = 0;

  constructor(rules: readonly AccessRule[], membership: Membership, enforcer: GateEnforcer) {
    this.#membership = membership;
    this.#enforcer = enforcer;
    for (const rule of rules) {
      const subjects = this.#index.get(rule.on) ?? new Map<PrincipalOrGroup, AccessRule[]>();
      const own = subjects.get(rule.subject) ?? [];
      own.push(rule);
      subjects.set(rule.subject, own);
      this.#index.set(rule.on, subjects);
    }
  }

  /** Under a microsecond when it was asked before: three look-ups. */
  decide(principal: PrincipalName, privilege: Privilege, on: SecurableName): Decision {
    const known = this.#byPrincipal.get(principal)?.get(on)?.get(privilege);
    return known ?? this.#decide(principal, privilege, on);
  }

  #decide(principal: PrincipalName, privilege: Privilege, on: SecurableName): Decision {
    if (this.#kept > maximumKept) this.#forget();
    if (principal === operatorName) return decideOperator(privilege, on);
    const who = this.#membership.classOf(principal);
    let kept = this.#byClass.get(who);
    if (kept === undefined) {
      kept = new Map();
      this.#byClass.set(who, kept);
    }
    this.#byPrincipal.set(principal, kept);
    const answers = kept.get(on) ?? new Map<Privilege, Decision>();
    kept.set(on, answers);
    const known = answers.get(privilege);
    if (known !== undefined) return known;
    const decision = this.#ask(who, privilege, on);
    answers.set(privilege, decision);
    this.#kept++;
    return decision;
  }

  #ask(who: PrincipalClass, privilege: Privilege, on: SecurableName): Decision {
    const because: Reason[] = [];
    for (const gate of gatesOf(privilege, on)) {
      const reason = this.#gate(who, gate);
      if (reason.kind === 'gate-failed') return { effect: 'deny', because: [reason] };
      because.push(reason);
    }
    return { effect: 'allow', because };
  }

  /** What lies below one anchor at one depth has one answer, so that casbin is asked once for all tables of a schema. */
  #gate(who: PrincipalClass, gate: Gate): Reason {
    const gates = this.#gates.get(who) ?? new Map<string, Reason | undefined>();
    this.#gates.set(who, gates);
    const anchor = this.anchorOf(gate.on);
    const key = `${gate.privilege} ${depth(gate.on)} ${anchor}`;
    if (!gates.has(key)) gates.set(key, this.#open(who, gate, anchor));
    return gates.get(key) ?? { kind: 'gate-failed', gate: gate.privilege, on: gate.on };
  }

  #open(who: PrincipalClass, gate: Gate, anchor: SecurableName): Reason | undefined {
    const rules = this.#candidates(who, anchor);
    const opened = this.#enforcer.enforce(who, gate, rules);
    const rule = opened === undefined ? undefined : rules[opened];
    return rule === undefined ? undefined : reasonOf(rule, gate.privilege, who);
  }

  /** The nearest securable, itself or above, that any grant or owner names: below it all of one depth are alike. */
  anchorOf(on: SecurableName): SecurableName {
    const known = this.#anchors.get(on);
    if (known !== undefined) return known;
    const found = withAncestors(on).find((name) => this.#index.has(name)) ?? metastore;
    this.#anchors.set(on, found);
    return found;
  }

  /** Rules on the securable and all that contain it whose subject the class is or is in; nearest first. */
  #candidates(who: PrincipalClass, on: SecurableName): readonly AccessRule[] {
    const found: AccessRule[] = [];
    for (const securable of withAncestors(on)) {
      const subjects = this.#index.get(securable);
      if (subjects === undefined) continue;
      if (who.name !== undefined) found.push(...(subjects.get(who.name) ?? []));
      if (subjects.size < who.groups.size) {
        for (const [subject, rules] of subjects)
          if (subject !== who.name && who.groups.has(subject as GroupName)) found.push(...rules);
      } else for (const group of who.groups) found.push(...(subjects.get(group) ?? []));
    }
    return found;
  }

  #forget(): void {
    this.#byPrincipal.clear();
    this.#byClass.clear();
    this.#gates.clear();
    this.#anchors.clear();
    this.#kept = 0;
  }
}

function reasonOf(rule: AccessRule, gate: Privilege, who: PrincipalClass): Reason {
  if (rule.act === 'OWNER') return { kind: 'owner', on: rule.on, owner: rule.subject, gate };
  const via = rule.subject === who.name ? [] : (who.via.get(rule.subject as GroupName) ?? []);
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
