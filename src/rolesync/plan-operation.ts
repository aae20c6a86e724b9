import type { RoleName } from '../fleet/role-names.ts';
import type { GrantTarget, ShadowView } from './state.ts';

// What a plan consists of. `narrow` takes access away and comes first; `widen` gives some and comes last; `neutral`
// changes nobody's access by itself. Between two operations everybody may do at most what the old or the new policy says.

export type Effect = 'narrow' | 'neutral' | 'widen';

/** Order of execution: narrow · prepare · views · widen · clean up. */
export type Phase = 'narrow' | 'prepare' | 'views' | 'widen' | 'clean-up';

export interface ViewGrant {
  readonly grantee: string;
  readonly privileges: readonly string[];
}

export type AttributeRow = {
  readonly principal: string;
  readonly name: string;
  readonly values: readonly string[];
};

type Body =
  | { readonly op: 'create-role'; readonly role: RoleName; readonly comment: string }
  | { readonly op: 'restrict-role'; readonly role: string; readonly attributes: readonly string[] }
  | { readonly op: 'drop-role'; readonly role: string }
  | { readonly op: 'grant-membership'; readonly role: string; readonly members: readonly string[] }
  | {
      readonly op: 'revoke-membership';
      readonly role: string;
      readonly members: readonly string[];
      readonly grantor?: string;
    }
  | {
      readonly op: 'grant' | 'revoke';
      readonly grantee: string;
      readonly privileges: readonly string[];
      /** Of one kind, none a column. */
      readonly targets: readonly GrantTarget[];
      readonly grantor?: string;
    }
  | {
      readonly op: 'grant-columns' | 'revoke-columns';
      readonly grantee: string;
      readonly schema: string;
      readonly name: string;
      readonly columns: ReadonlyMap<string, readonly string[]>;
      readonly grantor?: string;
    }
  | { readonly op: 'install-schema' }
  | { readonly op: 'install-event-triggers' | 'drop-event-triggers' }
  | { readonly op: 'create-schema' | 'drop-schema'; readonly schema: string }
  | {
      readonly op: 'make-view';
      readonly view: ShadowView;
      readonly fingerprint: string;
      readonly ordinal: number;
      readonly how: 'create' | 'replace' | 'recreate';
      readonly grants: readonly ViewGrant[];
    }
  | { readonly op: 'drop-view'; readonly schema: string; readonly name: string }
  /** The key itself is the applier's: what is planned, printed and recorded has its fingerprint. */
  | { readonly op: 'put-token-key'; readonly fingerprint: string }
  | { readonly op: 'remove-token-key' }
  | { readonly op: 'put-attributes'; readonly rows: readonly AttributeRow[] }
  | { readonly op: 'remove-attributes'; readonly rows: readonly AttributeRow[] }
  | {
      readonly op: 'put-exemptions' | 'remove-exemptions';
      readonly rows: readonly { readonly principal: string; readonly policy: string }[];
    }
  | {
      readonly op: 'put-memberships' | 'remove-memberships';
      readonly rows: readonly { readonly principal: string; readonly grp: string }[];
    };

export type PlanOperation = Body & { readonly effect: Effect; readonly phase: Phase };
