import type { GroupName, PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';

// What exists, as values. A CatalogSnapshot is immutable; policy is checked and compiled against one.

export type CatalogKind = 'POSTGRES' | 'LAKE' | 'SYSTEM';

export interface CatalogInfo {
  readonly name: SecurableName;
  readonly kind: CatalogKind;
  /** POSTGRES: the cluster and the database that the catalog is. */
  readonly cluster?: string;
  readonly database?: string;
  /** LAKE: the folder that holds `schema/table/*.parquet`. SYSTEM: the audit folder. */
  readonly location?: string;
}

export type TableKind = 'TABLE' | 'PARTITIONED_TABLE' | 'VIEW' | 'MATERIALIZED_VIEW' | 'FOREIGN_TABLE';

/** The portable types of the expression matrix; `other` can be read, never used in an expression. */
export type ColumnType =
  | 'text'
  | 'integer'
  | 'bigint'
  | 'numeric'
  | 'double'
  | 'boolean'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'uuid'
  | 'other';

export interface ColumnInfo {
  readonly name: string;
  readonly type: ColumnType;
  /** The engine's own spelling: `character varying(40)`, `BIGINT`. */
  readonly engineType: string;
  /** 1-based; in Postgres the attnum, which a rename keeps. */
  readonly position: number;
  readonly nullable: boolean;
  /** GENERATED … STORED from other columns. */
  readonly generated: boolean;
}

export interface TableInfo {
  readonly name: SecurableName;
  readonly kind: TableKind;
  readonly columns: readonly ColumnInfo[];
  /** The engine's owner role (POSTGRES). */
  readonly engineOwner?: string;
  /** pg_class.oid: tells a table from another of the same name (rename and swap). */
  readonly oid?: number;
  /** VIEW and MATERIALIZED_VIEW: `pg_get_viewdef`, every name qualified. */
  readonly definition?: string;
  /** Tables and views that the definition reads, directly. */
  readonly reads?: readonly SecurableName[];
  /** LAKE: files, as globs below the catalog's location. */
  readonly files?: readonly string[];
  /** Sequences that MODIFY needs (serial columns): `schema.name`, quoted as needed. */
  readonly sequences?: readonly SecurableName[];
  readonly rowsEstimate?: number;
  readonly comment?: string;
  /** Names of the triggers that run when rows of the table change (POSTGRES); constraints' own are left out. */
  readonly triggers?: readonly string[];
  /** Foreign keys of other tables that a change of this one carries on into. */
  readonly cascades?: readonly CascadeInfo[];
}

/** A foreign key whose action writes: a change of the table that it refers to changes rows of `table`. */
export interface CascadeInfo {
  readonly constraint: string;
  readonly table: SecurableName;
  /** `ON DELETE CASCADE`, `ON UPDATE SET NULL` … */
  readonly actions: readonly string[];
}

export interface FunctionInfo {
  readonly name: SecurableName;
  /** Identity arguments, as Postgres prints them: `integer, text`. */
  readonly signature: string;
  readonly kind: 'FUNCTION' | 'PROCEDURE' | 'AGGREGATE' | 'WINDOW';
  readonly securityDefiner: boolean;
  readonly engineOwner: string;
}

/** A partition is read through its parent; direct use is refused by name. */
export interface PartitionInfo {
  readonly name: SecurableName;
  readonly parent: SecurableName;
}

/** What discovery of one catalog found. */
export interface Discovered {
  readonly schemas: readonly SecurableName[];
  readonly tables: readonly TableInfo[];
  readonly functions: readonly FunctionInfo[];
  readonly partitions: readonly PartitionInfo[];
}

export interface CatalogSnapshot {
  readonly catalogs: ReadonlyMap<SecurableName, CatalogInfo>;
  readonly schemas: ReadonlySet<SecurableName>;
  readonly tables: ReadonlyMap<SecurableName, TableInfo>;
  /** Overloads share a name. */
  readonly functions: ReadonlyMap<SecurableName, readonly FunctionInfo[]>;
  readonly partitions: ReadonlyMap<SecurableName, SecurableName>;
  /** Hex SHA-256 over the content; equal catalogs have equal digests. */
  readonly digest: string;
}

export interface BoundPrincipal {
  readonly name: PrincipalName;
  readonly issuer: string;
  readonly subject: string;
  readonly email?: string;
  readonly boundAt: number;
}

/** What is kept of a compact credential: never the secret itself. Times in ms since the epoch. */
export interface CredentialRecord {
  readonly id: string;
  readonly secretHash: string;
  readonly principal: PrincipalName;
  readonly catalog: SecurableName;
  readonly direct: boolean;
  /** The Postgres login of a direct credential. */
  readonly login?: string;
  readonly cluster?: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly revokedAt?: number;
  readonly purpose?: string;
  readonly ticket?: string;
}

export type Owner = PrincipalName | GroupName;
