import type { CatalogSnapshot } from '../catalog/model.ts';
import type { Decision, Reason } from '../kernel/decision.ts';
import type { GroupName, PrincipalName } from '../kernel/principal.ts';
import type { Privilege } from '../kernel/privilege.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { Expression } from './expression/model.ts';
import type { Severity } from './lint-rules.ts';

// What policy files become. A Snapshot is immutable and named by the hash of its content (files and catalog).

export interface PolicyFile {
  readonly path: string;
  readonly text: string;
}

/** A finding with its place: 1-based line and column in the file. `error` findings keep the policy from compiling. */
export interface Finding {
  readonly severity: Severity;
  readonly rule: string;
  readonly message: string;
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly hint?: string;
}

/** `to` and `except` of a policy, as written; membership is decided through any chain of groups. */
export interface Audience {
  readonly to: readonly (PrincipalName | GroupName)[];
  readonly except: readonly (PrincipalName | GroupName)[];
}

interface Rule {
  /** The policy's name: unique in the metastore; also the key of its exemption in Postgres (`writ.exempt('name')`). */
  readonly policy: string;
  readonly on: SecurableName;
  readonly expression: Expression;
  /** The expression as written; compiled rules always have it. */
  readonly text?: string;
  /** Names in the expression → columns of this table. */
  readonly bindings: ReadonlyMap<string, string>;
  readonly audience: Audience;
}

export interface RowFilterRule extends Rule {
  readonly kind: 'row-filter';
}

export interface ColumnMaskRule extends Rule {
  readonly kind: 'column-mask';
  readonly column: string;
  readonly strength: number;
}

/** All rules on one table, whomever they bind. Masks of one column stand in order: the first that binds a person wins. */
export interface TableRules {
  readonly filters: readonly RowFilterRule[];
  readonly masks: readonly ColumnMaskRule[];
}

/** What the rules of one table mean for one principal. */
export interface BoundRules {
  /** All must hold. */
  readonly filters: readonly RowFilterRule[];
  /** At most one per column: the winner. */
  readonly masks: ReadonlyMap<string, ColumnMaskRule>;
  /** The table has rules and none binds. */
  readonly exemptFromAll: boolean;
  readonly reasons: readonly Reason[];
}

/** The compiled policy: pure, immutable, safe to share. */
export interface Snapshot {
  /** Hex SHA-256 of files and catalog. */
  readonly id: string;
  readonly files: readonly PolicyFile[];
  readonly catalog: CatalogSnapshot;

  decide(principal: PrincipalName, privilege: Privilege, on: SecurableName): Decision;
  /** Rules of a table; undefined where it has none. Views and materialized views have none of their own. */
  tableRules(table: SecurableName): TableRules | undefined;
  boundRules(principal: PrincipalName, table: SecurableName): BoundRules;
  /** Principals of one class get the same answers from everything but `attributes`; compare by identity. */
  classOf(principal: PrincipalName): object;
  /** The nearest securable, itself or above, with grants or an owner: below it all of one depth are decided alike. */
  anchorOf(on: SecurableName): SecurableName;
  binds(audience: Audience, principal: PrincipalName): boolean;
  /** Every group that the principal is in, through any chain; `all users` included. */
  groupsOf(principal: PrincipalName): ReadonlySet<GroupName>;
  attributes(principal: PrincipalName): ReadonlyMap<string, readonly string[]>;
  /** Named in the files, or known to the catalog as signed in (given at compile). */
  readonly principals: ReadonlySet<PrincipalName>;
  readonly groups: ReadonlySet<GroupName>;
  /** Names of all policies, for exemption look-ups. */
  readonly policies: readonly { readonly name: string; readonly audience: Audience }[];
  /** Unmanaged roles of a POSTGRES catalog that the principal may act as (`assume`), sorted. */
  assumableRoles(principal: PrincipalName, catalog: SecurableName): readonly string[];
  owner(on: SecurableName): PrincipalName | GroupName | undefined;
  tags(on: SecurableName): ReadonlyMap<string, string>;
  /** Earliest moment (ms) at which a grant expires and decisions change; Infinity if none. */
  readonly nextExpiry: number;
}

/** What one plan says in words, computed from two snapshots. */
export interface AccessChange {
  readonly principal: PrincipalName;
  readonly table: SecurableName;
  readonly gains: readonly string[];
  readonly loses: readonly string[];
  /** What is neither known to be more nor to be less: a filter or mask that says something else. Absent: nothing. */
  readonly changes?: readonly string[];
}

/** One change that is the same for several principals, who are of one class. */
export interface SharedChange {
  readonly principals: readonly PrincipalName[];
  readonly table: SecurableName;
  readonly gains: readonly string[];
  readonly loses: readonly string[];
  readonly changes?: readonly string[];
}

export interface PolicyPlan {
  readonly from: string | undefined;
  readonly to: string;
  /** The first ten thousand; `shared` has all. */
  readonly changes: readonly AccessChange[];
  readonly shared: readonly SharedChange[];
  /** "2 people gain SELECT on 3 tables, nobody loses any; …" */
  readonly summary: string;
  /** Principals who may do or see less than before: their sessions end. */
  readonly shrunk: ReadonlySet<PrincipalName>;
}
