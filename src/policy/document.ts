import type { GroupName, PrincipalName } from '../kernel/principal.ts';
import type { Privilege } from '../kernel/privilege.ts';
import type { SecurableName } from '../kernel/securable-name.ts';

// Policy files as typed values, each name with the place where it is written. Nothing here is checked against a
// catalog: that is check.ts.

/** Where something is written: 1-based line and column. */
export interface Place {
  readonly path: string;
  readonly line: number;
  readonly column: number;
}

export interface Placed<T> {
  readonly value: T;
  readonly at: Place;
}

/** A text with the place of each of its characters (an expression inside a YAML scalar). */
export interface PlacedText extends Placed<string> {
  /** The place of the character at this offset (UTF-16) of the value. */
  placeOf(offset: number): Place;
}

export type PrincipalOrGroup = PrincipalName | GroupName;

export interface GroupEntry {
  readonly name: Placed<GroupName>;
  readonly members: readonly Placed<PrincipalOrGroup>[];
  /** Whose word counts for membership: the files (undefined), the sign-in's claim, or SCIM. */
  readonly source: 'claim' | 'scim' | undefined;
}

export interface AttributesEntry {
  readonly principal: Placed<PrincipalName>;
  readonly values: readonly { readonly name: Placed<string>; readonly values: readonly string[] }[];
}

export interface TagEntry {
  readonly name: Placed<string>;
  /** Undefined: any value. */
  readonly values: readonly string[] | undefined;
}

export interface AssignEntry {
  readonly on: readonly Placed<SecurableName>[];
  readonly tags: readonly { readonly tag: Placed<string>; readonly value: Placed<string> }[];
}

export interface RequireEntry {
  readonly columnsLike: readonly Placed<string>[];
  readonly tag: Placed<string>;
}

export interface OwnerEntry {
  readonly on: readonly Placed<SecurableName>[];
  readonly owner: Placed<PrincipalOrGroup>;
}

/** Labels that a cluster must carry, all of them. */
export type ClusterSelector = ReadonlyMap<string, string>;

export interface GrantEntry {
  readonly at: Place;
  readonly on: readonly Placed<SecurableName>[];
  readonly to: readonly Placed<PrincipalOrGroup>[];
  readonly privileges: readonly Placed<Privilege>[];
  /** An unmanaged role of the database that the principal may act as. */
  readonly assume: Placed<string> | undefined;
  /** Milliseconds since the epoch. */
  readonly expires: Placed<number> | undefined;
  readonly clusters: ClusterSelector | undefined;
}

export interface TagCondition {
  readonly tag: Placed<string>;
  /** `true`: whatever the value. */
  readonly values: readonly Placed<string>[] | true;
}

export interface PolicyEntry {
  readonly name: Placed<string>;
  readonly on: readonly Placed<SecurableName>[];
  readonly kind: 'row-filter' | 'column-mask';
  readonly expression: PlacedText;
  readonly match: readonly { readonly name: Placed<string>; readonly conditions: readonly TagCondition[] }[];
  readonly when: readonly TagCondition[];
  readonly to: readonly Placed<PrincipalOrGroup>[];
  readonly except: readonly Placed<PrincipalOrGroup>[];
  readonly strength: number;
  readonly clusters: ClusterSelector | undefined;
}

/** Kept as written; run by the test tool. */
export interface TestEntry {
  readonly at: Place;
  readonly as: Placed<PrincipalName>;
  readonly check:
    | {
        readonly kind: 'rows';
        readonly query: Placed<string>;
        readonly rows: readonly (readonly unknown[])[];
      }
    | {
        readonly kind: 'can' | 'cannot';
        readonly privilege: Placed<Privilege>;
        readonly on: Placed<SecurableName>;
        readonly because: string | undefined;
      };
}

export interface TestTable {
  readonly name: Placed<SecurableName>;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** Every column that a row names, where it is named first. */
  readonly columns: readonly Placed<string>[];
}

/** What must be true of whatever carries a tag, for everybody who is not in the list. */
export type TagClaim = 'unmaskedOnlyFor' | 'filteredExceptFor' | 'readableOnlyBy';

interface Invariant {
  readonly at: Place;
  /** For whom alone it need not hold. */
  readonly only: readonly Placed<PrincipalOrGroup>[];
}

export interface TagInvariant extends Invariant {
  readonly claim: TagClaim;
  readonly forall: readonly TagCondition[];
}

/** `{ on, privilege, onlyFor }`: nobody else holds the privilege there or below. */
export interface PrivilegeInvariant extends Invariant {
  readonly claim: 'onlyFor';
  readonly on: readonly Placed<SecurableName>[];
  readonly privilege: Placed<Privilege>;
}

export type InvariantEntry = TagInvariant | PrivilegeInvariant;

/** Everything that all files say, together; order and file names carry no meaning. */
export interface PolicyDocuments {
  readonly groups: readonly GroupEntry[];
  readonly servicePrincipals: readonly Placed<PrincipalName>[];
  readonly attributes: readonly AttributesEntry[];
  readonly tags: readonly TagEntry[];
  readonly assign: readonly AssignEntry[];
  readonly require: readonly RequireEntry[];
  readonly owners: readonly OwnerEntry[];
  readonly grants: readonly GrantEntry[];
  readonly policies: readonly PolicyEntry[];
  readonly testTables: readonly TestTable[];
  readonly tests: readonly TestEntry[];
  readonly invariants: readonly InvariantEntry[];
}

/** The kinds of documents, as `kind:` says them. */
export const documentKinds = ['principals', 'tags', 'grants', 'policies', 'tests'] as const;
export type DocumentKind = (typeof documentKinds)[number];

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer Item)[] ? Item[] : T[K] };

/** What the readers of the document kinds write into. */
export type DocumentsUnderway = Mutable<PolicyDocuments>;
