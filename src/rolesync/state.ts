import type { Door, RoleName } from '../fleet/role-names.ts';
import type { Shape } from '../fleet/shadow-names.ts';

// What one governed database holds of ours: the same type says what policy wants (desired.ts) and what is there
// (inspect.ts). Only roles, schemas and views of ours appear; what others own is looked at only where it holds a
// grant to one of our roles.

/** A role that is no login: writ_owner, writ_managed, roles of principals, compiled roles. */
export interface ManagedRole {
  readonly name: RoleName;
  /** `writ: …`; a role without it is not ours. */
  readonly comment: string;
  /** What it must not have: `LOGIN`, `SUPERUSER`, …; empty when all is well. */
  readonly attributes: readonly string[];
}

export interface Membership {
  readonly role: string;
  readonly member: string;
  readonly inherit: boolean;
  readonly set: boolean;
  readonly admin: boolean;
  /** Actual only: one row per grantor. */
  readonly grantor?: string;
}

export type GrantTarget =
  | { readonly kind: 'database'; readonly name: string }
  | { readonly kind: 'schema'; readonly schema: string }
  | { readonly kind: 'relation' | 'sequence'; readonly schema: string; readonly name: string }
  | { readonly kind: 'column'; readonly schema: string; readonly name: string; readonly column: string }
  | { readonly kind: 'function'; readonly schema: string; readonly name: string; readonly signature: string };

export interface Grant {
  readonly on: GrantTarget;
  readonly grantee: string;
  readonly privilege: string;
  /** Actual only. */
  readonly grantor?: string;
  readonly grantable?: boolean;
}

/** A column of a shadow view; `expression` is SQL of the column's type but for its modifier (the cast is added). */
export interface ShadowColumn {
  readonly name: string;
  readonly attnum: number;
  readonly type: string;
  readonly expression: string | null;
}

export interface RelationRef {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

export interface ViewPin {
  readonly schema: string;
  readonly name: string;
  /** md5 of its text. */
  readonly definition: string;
}

/** Everything that a shadow view is made from; kept as JSON in writ.compiled_view, read by the event triggers. */
export interface ShadowView {
  readonly schema: string;
  readonly name: string;
  readonly door: Door;
  readonly shape: Shape;
  readonly base: RelationRef;
  readonly columns: readonly ShadowColumn[];
  /** Columns that filters and masks read: without one of them the view is not made. */
  readonly ruled: readonly { readonly name: string; readonly attnum: number }[];
  readonly where: string | null;
  readonly barrier: boolean;
  readonly checkOption: boolean;
  /** The whole SELECT, for copies of the application's views; null for views over one table. */
  readonly body: string | null;
  /** md5 of the application's view as Postgres prints it (copies). */
  readonly definition: string | null;
  /** Tables that a copy reads as they are. */
  readonly refs: readonly RelationRef[];
  /** The application's views beneath, however deep, by their text: one that is changed could show anything. */
  readonly pins: readonly ViewPin[];
  /** Shadow views that a copy reads. */
  readonly dependsOn: readonly { readonly schema: string; readonly name: string }[];
  /** Relation names whose DDL concerns this view. */
  readonly mentions: readonly string[];
}

export interface ViewFact {
  readonly schema: string;
  readonly name: string;
  /** SHA-256 of the source; actual: of what was made, or `altered` / `missing` / … when it is not what was made. */
  readonly fingerprint: string;
  /** Desired only. */
  readonly view?: ShadowView;
  /** Position in the order of making: what a copy reads comes first. */
  readonly ordinal: number;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly dependsOn: readonly { readonly schema: string; readonly name: string }[];
  /** `made`: it stands. `withdrawn`: it was taken away (moved base, lost column). `refused`: Postgres did not take it. */
  readonly state: 'made' | 'withdrawn' | 'refused';
  readonly reason?: string;
}

/** Rows of writ.principal_attribute, writ.exemption and writ.membership, keyed by principal and name. */
export interface PolicyData {
  readonly attributes: ReadonlyMap<string, { principal: string; name: string; values: readonly string[] }>;
  readonly exemptions: ReadonlyMap<string, { principal: string; policy: string }>;
  readonly memberships: ReadonlyMap<string, { principal: string; grp: string }>;
}

/** `fingerprint` of the key of token() that stands in the table; undefined: none does. */
export interface TokenKeyFact {
  readonly table: boolean;
  readonly fingerprint: string | undefined;
}

export interface DatabaseState {
  readonly roles: ReadonlyMap<string, ManagedRole>;
  readonly memberships: ReadonlyMap<string, Membership>;
  /** Schemas of ours: `writ`, `writ_…`. */
  readonly schemas: ReadonlySet<string>;
  /** Functions of schema `writ` → hash of source and options. */
  readonly functions: ReadonlyMap<string, string>;
  readonly views: ReadonlyMap<string, ViewFact>;
  readonly grants: ReadonlyMap<string, Grant>;
  readonly data: PolicyData;
  readonly tokenKey: TokenKeyFact;
  readonly eventTriggers: 'present' | 'absent' | 'altered';
  /** `schema.name` of paused tables, quoted as keys are. */
  readonly paused: ReadonlySet<string>;
}

/** Keys are JSON arrays: unambiguous for every name. */
export const keyOf = (...parts: readonly string[]): string => JSON.stringify(parts);

export const viewKey = (view: { readonly schema: string; readonly name: string }): string =>
  keyOf(view.schema, view.name);

export const membershipKey = (membership: { readonly role: string; readonly member: string }): string =>
  keyOf(membership.role, membership.member);

export function targetKey(on: GrantTarget): string {
  switch (on.kind) {
    case 'database':
      return keyOf(on.kind, on.name);
    case 'schema':
      return keyOf(on.kind, on.schema);
    case 'column':
      return keyOf(on.kind, on.schema, on.name, on.column);
    case 'function':
      return keyOf(on.kind, on.schema, on.name, on.signature);
    default:
      return keyOf(on.kind, on.schema, on.name);
  }
}

export const grantKey = (grant: Pick<Grant, 'on' | 'grantee' | 'privilege'>): string =>
  keyOf(targetKey(grant.on), grant.grantee, grant.privilege);
