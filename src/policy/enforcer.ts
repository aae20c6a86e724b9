import { type Enforcer, newEnforcer, newModelFromString } from 'casbin';
import type { Privilege } from '../kernel/privilege.ts';
import { isWithin, type SecurableName } from '../kernel/securable-name.ts';
import type { PrincipalOrGroup } from './document.ts';
import { type AccessRule, depth, type Gate, opens } from './gates.ts';
import type { PrincipalClass } from './membership.ts';

// casbin decides. Its model and matcher are fixed text of ours: nothing of a policy ever becomes part of a matcher.

const model = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, id
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = among(r.sub, p.sub) && covers(p.obj, p.act, r.obj, r.act)
`;

/** Answers gates over whatever rules it is given at the time. */
export interface GateEnforcer {
  /** @returns the index of the first rule in the list that opens the gate; undefined when none does. */
  enforce(who: PrincipalClass, gate: Gate, rules: readonly AccessRule[]): number | undefined;
}

/**
 * One long-lived enforcer. Each call swaps in the candidate rules (casbin scans all rules that it holds)
 * and asks synchronously, so that no other call can come between.
 */
export async function createEnforcer(): Promise<GateEnforcer> {
  const enforcer = await newEnforcer(newModelFromString(model));
  enforcer.enableLog(false);
  await enforcer.addFunction('among', (who: PrincipalClass, subject: PrincipalOrGroup) =>
    isSubject(who, subject),
  );
  await enforcer.addFunction('covers', covers);
  const assertion = policyAssertion(enforcer);
  return {
    enforce(who, gate, rules) {
      if (rules.length === 0) return undefined;
      assertion.policy = rules.map((rule, i) => [rule.subject, rule.on, rule.act, String(i)]);
      const [allowed, matched] = enforcer.enforceExSync(who, gate.on, gate.privilege);
      return allowed ? Number(matched[3]) : undefined;
    },
  };
}

function isSubject(who: PrincipalClass, subject: PrincipalOrGroup): boolean {
  return subject === who.name || who.isIn(subject);
}

function covers(on: SecurableName, act: AccessRule['act'], asked: SecurableName, gate: Privilege): boolean {
  return isWithin(asked, on) && opens(act, depth(on), gate, depth(asked));
}

function policyAssertion(enforcer: Enforcer): { policy: string[][] } {
  const assertion = enforcer.getModel().model.get('p')?.get('p');
  if (assertion === undefined) throw new Error('casbin model without a policy definition');
  return assertion;
}
