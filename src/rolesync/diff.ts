import { managedRole, ownerRole } from '../fleet/role-names.ts';
import { diffData, diffTokenKey } from './diff-data.ts';
import { grantOperations } from './diff-grants.ts';
import { diffViews } from './diff-views.ts';
import type { Effect, Phase, PlanOperation } from './plan-operation.ts';
import { type DatabaseState, grantKey, type Membership } from './state.ts';

// Desired minus actual, as operations in the order in which they are done. Pure.

/** What must happen so that `actual` becomes `desired`; empty when they are equal. */
export function diff(actual: DatabaseState, desired: DatabaseState): readonly PlanOperation[] {
  const views = diffViews(actual, desired);
  const operations = [
    ...diffRoles(actual, desired),
    ...diffMemberships(actual, desired),
    ...diffKit(actual, desired),
    ...diffSchemas(actual, desired),
    ...views.operations,
    ...diffGrants(actual, desired, views),
    ...diffTokenKey(actual.tokenKey, desired.tokenKey),
    ...diffData(actual.data, desired.data, actual.functions.size > 0),
  ];
  return phases.flatMap((phase) => operations.filter((operation) => operation.phase === phase));
}

const phases: readonly Phase[] = ['narrow', 'prepare', 'views', 'widen', 'clean-up'];

/** Our logins carry no mark of a role's; the diff knows managed roles by the state alone. */
function diffRoles(actual: DatabaseState, desired: DatabaseState): PlanOperation[] {
  const operations: PlanOperation[] = [];
  for (const role of desired.roles.values()) {
    const there = actual.roles.get(role.name);
    if (there === undefined) {
      operations.push({
        op: 'create-role',
        role: role.name,
        comment: role.comment,
        effect: 'neutral',
        phase: 'prepare',
      });
    } else if (there.attributes.length > 0) {
      operations.push({
        op: 'restrict-role',
        role: role.name,
        attributes: there.attributes,
        effect: 'narrow',
        phase: 'narrow',
      });
    }
  }
  // What others depend on goes last: the owner of the views, then the marker.
  const last: readonly string[] = [managedRole, ownerRole];
  const gone = [...actual.roles.values()].filter((role) => !desired.roles.has(role.name));
  gone.sort((a, b) => last.indexOf(a.name) - last.indexOf(b.name));
  for (const role of gone)
    operations.push({ op: 'drop-role', role: role.name, effect: 'narrow', phase: 'clean-up' });
  return operations;
}

function diffMemberships(actual: DatabaseState, desired: DatabaseState): PlanOperation[] {
  const same = (a: Membership, b: Membership): boolean =>
    a.inherit === b.inherit && a.set === b.set && a.admin === b.admin;
  const extra = [...actual.memberships].flatMap(([key, membership]) => {
    const wanted = desired.memberships.get(key);
    // A role that goes takes its memberships along; revoking first takes the access away at once.
    return wanted === undefined || !same(membership, wanted) ? [membership] : [];
  });
  const missing = [...desired.memberships].flatMap(([key, membership]) => {
    const there = actual.memberships.get(key);
    return there === undefined || !same(there, membership) ? [membership] : [];
  });
  const revoked = groupBy(extra, (one) => JSON.stringify([one.role, one.grantor ?? null]));
  const granted = groupBy(missing, (one) => one.role);
  return [
    ...[...revoked.values()].map((group): PlanOperation => {
      const first = group[0];
      return {
        op: 'revoke-membership',
        role: first?.role ?? '',
        members: group.map((one) => one.member),
        ...(first?.grantor === undefined ? {} : { grantor: first.grantor }),
        effect: 'narrow',
        phase: 'narrow',
      };
    }),
    ...[...granted].map(
      ([role, group]): PlanOperation => ({
        op: 'grant-membership',
        role,
        members: group.map((one) => one.member),
        effect: 'widen',
        phase: 'widen',
      }),
    ),
  ];
}

function diffKit(actual: DatabaseState, desired: DatabaseState): PlanOperation[] {
  const operations: PlanOperation[] = [];
  const changed =
    [...desired.functions].some(([name, hash]) => actual.functions.get(name) !== hash) ||
    (desired.tokenKey.table && !actual.tokenKey.table);
  if (changed) operations.push({ op: 'install-schema', effect: 'neutral', phase: 'prepare' });
  if (desired.eventTriggers === 'present' && actual.eventTriggers !== 'present') {
    operations.push({ op: 'install-event-triggers', effect: 'neutral', phase: 'prepare' });
  }
  return operations;
}

function diffSchemas(actual: DatabaseState, desired: DatabaseState): PlanOperation[] {
  const operations: PlanOperation[] = [];
  for (const schema of desired.schemas) {
    if (schema === 'writ' || actual.schemas.has(schema)) continue; // install-schema makes `writ`
    operations.push({ op: 'create-schema', schema, effect: 'neutral', phase: 'prepare' });
  }
  for (const schema of actual.schemas) {
    if (schema === 'writ' || desired.schemas.has(schema)) continue; // only uninstall takes `writ` away
    operations.push({ op: 'drop-schema', schema, effect: 'narrow', phase: 'clean-up' });
  }
  return operations;
}

function diffGrants(
  actual: DatabaseState,
  desired: DatabaseState,
  views: ReturnType<typeof diffViews>,
): PlanOperation[] {
  const extra = [...actual.grants].flatMap(([key, grant]) => {
    const wanted = desired.grants.has(key) && grant.grantable !== true;
    return wanted && !views.isDistrusted(grant.on) ? [] : [grant];
  });
  const missing = [...desired.grants.values()].filter((grant) => {
    const there = actual.grants.get(grantKey(grant));
    const kept = there !== undefined && there.grantable !== true;
    return !kept && !views.bringsGrants(grant.on) && !views.isAbsent(grant.on);
  });
  const ofOwner = (grant: { readonly grantee: string }): boolean => grant.grantee === ownerRole;
  const part = (list: typeof extra, op: 'grant' | 'revoke', effect: Effect, phase: Phase) =>
    grantOperations(list, op, effect, phase);
  return [
    ...part(
      extra.filter((grant) => !ofOwner(grant)),
      'revoke',
      'narrow',
      'narrow',
    ),
    ...part(missing.filter(ofOwner), 'grant', 'neutral', 'prepare'),
    ...part(
      missing.filter((grant) => !ofOwner(grant)),
      'grant',
      'widen',
      'widen',
    ),
    // The owner's rights on a table go when no view needs them any more.
    ...part(extra.filter(ofOwner), 'revoke', 'neutral', 'clean-up'),
  ];
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
