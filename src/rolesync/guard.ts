import { managedRole, ownerRole, rolePrefix } from '../fleet/role-names.ts';
import { WritError } from '../kernel/errors.ts';
import type { Widened } from '../policy/model.ts';
import type { Observed } from './inspect.ts';
import type { PlanOperation } from './plan-operation.ts';
import type { DatabaseState } from './state.ts';

// The last look at a plan before it is done: nothing that is not ours is touched, and no half-read policy empties a cluster.

export interface GuardLimits {
  /** Memberships and grants taken away in one apply. */
  readonly maxRevokes: number;
  readonly maxDroppedRoles: number;
  /** Columns that lose a mask, and tables that lose a row filter, for anybody who reads them: in one policy. */
  readonly maxWidened: number;
  /** Whether everybody may lose everything. */
  readonly allowEmpty: boolean;
}

export const defaultLimits: GuardLimits = {
  maxRevokes: 2000,
  maxDroppedRoles: 100,
  maxWidened: 20,
  allowEmpty: false,
};

/** Limits as configured; what is not said is the default. */
export type GuardSettings = { readonly [K in keyof GuardLimits]?: GuardLimits[K] | undefined };

export function limitsOf(settings: GuardSettings = {}): GuardLimits {
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return { ...defaultLimits, ...Object.fromEntries(given) };
}

/** @throws guard_refused with the limit and what would have been done */
export function guard(
  operations: readonly PlanOperation[],
  observed: Observed,
  desired: DatabaseState,
  limits: Omit<GuardLimits, 'maxWidened'> = defaultLimits,
): readonly PlanOperation[] {
  refuseForeign(operations, observed, desired);
  const people = [...observed.state.roles.keys()].filter(
    (role) => role !== ownerRole && role !== managedRole,
  );
  if (!limits.allowEmpty && desired.roles.size === 0 && people.length > 0) {
    refuse(
      `the policy admits nobody, and ${people.length} roles would go`,
      'everybody who can read here would lose all access: mostly a folder that was read empty or half',
      'look whether the policy folder is the right one (`writ policy lint`); if it is meant, `writ sync uninstall CLUSTER` lets the cluster go',
    );
  }
  const revokes = operations.reduce((sum, operation) => sum + revoked(operation), 0);
  if (revokes > limits.maxRevokes)
    refuse(`${revokes} rights would be taken away, the limit is ${limits.maxRevokes}`, tooMuch, inParts);
  const dropped = operations.filter((operation) => operation.op === 'drop-role').length;
  if (dropped > limits.maxDroppedRoles)
    refuse(`${dropped} roles would be dropped, the limit is ${limits.maxDroppedRoles}`, tooMuch, inParts);
  return operations;
}

/** What one apply may widen beyond the limit: exactly as many as were looked at. */
export interface Acceptance {
  readonly widened?: number | undefined;
}

/**
 * Masks and row filters that go, before anything is done. An acceptance holds for the number that was seen, so that it
 * does not cover what came later.
 * @throws guard_refused with the number and examples
 */
export function guardWidened(
  widened: readonly Widened[],
  { widened: accepted }: Acceptance = {},
  limit: number = defaultLimits.maxWidened,
): void {
  const number = widened.length;
  if (accepted === number || (accepted === undefined && number <= limit)) return;
  const examples = widened.slice(0, 5).map(describeWidened);
  const more = number > examples.length ? `; and ${number - examples.length} more` : '';
  const what = `${number} ${number === 1 ? 'column or table loses' : 'columns or tables lose'} a mask or row filter`;
  refuse(
    accepted === undefined ? `${what}, the limit is ${limit}` : `${what}, accepted were ${accepted}`,
    `${examples.join('; ')}${more}`,
    `look at the plan; if all of it is meant, add \`--accept widened=${number}\` to \`policy apply\` (to \`policy fetch\` where a repository is followed)`,
  );
}

function describeWidened({ kind, on, people }: Widened): string {
  const whom = `${people} ${people === 1 ? 'person' : 'people'}`;
  return `${on} ${kind === 'column' ? 'unmasked' : 'unfiltered'} for ${whom}`;
}

function refuseForeign(
  operations: readonly PlanOperation[],
  observed: Observed,
  desired: DatabaseState,
): void {
  const taken = [...desired.roles.keys()].filter((role) => observed.foreignRoles.has(role));
  if (taken.length > 0) refuse(`the role ${taken[0]} exists and is not ours`, notOurs, leftOver);
  const schema = [...desired.schemas].find((name) => observed.foreignSchemas.has(name));
  if (schema !== undefined) refuse(`the schema ${schema} exists and is not ours`, notOurs, leftOver);
  for (const operation of operations) {
    const touched = rolesTouched(operation).find(
      (role) => !role.startsWith(rolePrefix) || observed.foreignRoles.has(role),
    );
    if (touched !== undefined)
      refuse(
        `the plan touches role ${touched}, which is not ours`,
        notOurs,
        'this is a bug; nothing was done. Please report it with the output of `writ sync plan`',
      );
  }
}

/** Roles whose attributes or rights the operation changes. */
function rolesTouched(operation: PlanOperation): readonly string[] {
  switch (operation.op) {
    case 'create-role':
    case 'restrict-role':
    case 'drop-role':
    case 'grant-membership':
      return [operation.role];
    case 'revoke-membership':
      // Somebody put an unmanaged role into one of ours, or one of ours into theirs: one side is ours.
      return operation.role.startsWith(rolePrefix) ? [operation.role] : operation.members;
    case 'grant':
    case 'revoke':
    case 'grant-columns':
    case 'revoke-columns':
      return [operation.grantee];
    default:
      return [];
  }
}

function revoked(operation: PlanOperation): number {
  switch (operation.op) {
    case 'revoke-membership':
      return operation.members.length;
    case 'revoke':
      return operation.targets.length;
    case 'revoke-columns':
      return 1;
    default:
      return 0;
  }
}

const tooMuch =
  'one apply that takes so much away is mostly a mistake in the policy, so none of it was done in this database';
const inParts = 'look at the plan; if all of it is meant, change the policy in smaller steps and apply each';
const notOurs = 'it lacks our mark, and nothing that somebody else made is changed';
const leftOver = 'rename it, or drop it if it is left over; then apply again';

function refuse(what: string, why: string, hint: string): never {
  throw new WritError('guard_refused', { message: what, detail: why, hint });
}
