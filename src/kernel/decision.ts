import { never } from './never.ts';
import type { GroupName, PrincipalName } from './principal.ts';
import type { Privilege } from './privilege.ts';
import type { SecurableName } from './securable-name.ts';

// A decision is a value that says why. The audit record, the error's DETAIL and `explain` print the same value.

export type Reason =
  /** A grant satisfied a gate; `via` is the chain of groups from the principal to the grantee (empty: granted directly). */
  | {
      readonly kind: 'grant';
      readonly privilege: Privilege;
      readonly on: SecurableName;
      readonly to: PrincipalName | GroupName;
      readonly via: readonly GroupName[];
      readonly gate: Privilege;
    }
  | {
      readonly kind: 'owner';
      readonly on: SecurableName;
      readonly owner: PrincipalName | GroupName;
      readonly gate: Privilege;
    }
  /** The gate that nobody opened: without USE CATALOG there is nothing else to say. */
  | { readonly kind: 'gate-failed'; readonly gate: Privilege; readonly on: SecurableName }
  | { readonly kind: 'row-filter'; readonly policy: string; readonly on: SecurableName }
  | { readonly kind: 'column-mask'; readonly policy: string; readonly on: SecurableName }
  | { readonly kind: 'refused'; readonly rule: string; readonly on?: SecurableName };

export interface Decision {
  readonly effect: 'allow' | 'deny';
  readonly because: readonly Reason[];
}

export function formatReason(reason: Reason): string {
  switch (reason.kind) {
    case 'grant': {
      const via = reason.via.length > 0 ? ` (through ${reason.via.join(' → ')})` : '';
      const implied = reason.privilege === reason.gate ? '' : ` gives ${reason.gate}`;
      return `${reason.privilege} on ${reason.on} granted to ${reason.to}${via}${implied}`;
    }
    case 'owner':
      return `${reason.owner} owns ${reason.on}`;
    case 'gate-failed':
      return `no ${reason.gate} on ${reason.on}`;
    case 'row-filter':
      return `row filter ${reason.policy} on ${reason.on}`;
    case 'column-mask':
      return `column mask ${reason.policy} on ${reason.on}`;
    case 'refused':
      return reason.on === undefined ? reason.rule : `${reason.rule} on ${reason.on}`;
    default:
      return never(reason);
  }
}

/** One line for a DETAIL: every reason, in the order in which it was found. */
export function formatDecision(decision: Decision): string {
  // Owning a thing may pass several gates: said once.
  const reasons = [...new Set(decision.because.map(formatReason))].join('; ');
  return `${decision.effect}: ${reasons === '' ? 'nothing allows it' : reasons}`;
}
