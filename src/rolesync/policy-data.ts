import { allUsers, type PrincipalName } from '../kernel/principal.ts';
import { isWithin, type SecurableName } from '../kernel/securable-name.ts';
import { usesToken } from '../policy/expression/parts.ts';
import type { Snapshot } from '../policy/model.ts';
import { keyOf, type PolicyData } from './state.ts';

// The rows that views ask for at run time. Pure.

/** Attributes, exemptions that views ask for, and groups that rules ask for; only of people who have a role here. */
export function policyData(
  snapshot: Snapshot,
  catalog: SecurableName,
  principals: readonly PrincipalName[],
  exemptions: ReadonlySet<string>,
): PolicyData {
  const attributes = new Map<string, { principal: string; name: string; values: readonly string[] }>();
  const exempt = new Map<string, { principal: string; policy: string }>();
  const memberships = new Map<string, { principal: string; grp: string }>();
  const asked = groupsAskedFor(snapshot, catalog);
  const policies = snapshot.policies.filter((policy) => exemptions.has(policy.name));
  for (const principal of principals) {
    for (const [name, values] of snapshot.attributes(principal))
      attributes.set(keyOf(principal, name), { principal, name, values });
    for (const policy of policies) {
      if (!snapshot.binds(policy.audience, principal))
        exempt.set(keyOf(principal, policy.name), { principal, policy: policy.name });
    }
    for (const grp of [...snapshot.groupsOf(principal), allUsers]) {
      if (asked.has(grp)) memberships.set(keyOf(principal, grp), { principal, grp });
    }
  }
  return { attributes, exemptions: exempt, memberships };
}

/** Whether a mask in the catalog needs the key of token(). */
export function tokensIn(snapshot: Snapshot, catalog: SecurableName): boolean {
  return [...snapshot.catalog.tables.keys()].some(
    (name) =>
      isWithin(name, catalog) &&
      (snapshot.tableRules(name)?.masks ?? []).some((mask) => usesToken(mask.expression)),
  );
}

function groupsAskedFor(snapshot: Snapshot, catalog: SecurableName): ReadonlySet<string> {
  const groups = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('kind' in value && value.kind === 'is-member' && 'group' in value) groups.add(String(value.group));
    for (const inner of Object.values(value)) visit(inner);
  };
  for (const name of snapshot.catalog.tables.keys()) {
    if (!isWithin(name, catalog)) continue;
    const rules = snapshot.tableRules(name);
    for (const rule of [...(rules?.filters ?? []), ...(rules?.masks ?? [])]) visit(rule.expression);
  }
  return groups;
}
