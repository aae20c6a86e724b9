import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { BoundPrincipal, CatalogInfo, CatalogSnapshot, CredentialRecord, Discovered } from './model.ts';

/** A sign-in's answer: the principal's name, or that another subject already holds it (an admin decides). */
export type Binding =
  | { readonly kind: 'bound'; readonly principal: BoundPrincipal; readonly first: boolean }
  | { readonly kind: 'quarantined'; readonly holder: BoundPrincipal };

/** A subject that came with a name which another subject holds; it gets in nowhere until an admin decides. */
export interface QuarantinedSubject {
  readonly issuer: string;
  readonly subject: string;
  readonly name: PrincipalName;
  readonly email?: string;
  readonly firstSeen: number;
}

/** The commit that policy files were read from, and who vouched for it. */
export interface PolicySource {
  /** Path or URL, without credentials. */
  readonly repository: string;
  readonly ref: string;
  readonly commit: string;
  /** Names of the allowed-signers file: whoever signed the commits since the one before, approvers after them. */
  readonly signers: readonly string[];
}

/** A policy that came into force: its files are kept, so that a restart and a question about the past find them. */
export interface PolicyInForce {
  readonly snapshot: string;
  readonly appliedAt: number;
  readonly appliedBy: PrincipalName;
  readonly files: readonly { readonly path: string; readonly text: string }[];
  /** Absent: applied by hand from a folder. */
  readonly source?: PolicySource;
}

/**
 * What exists and who is who. One interface; SQLite behind it here, Postgres later. Every implementation is held to
 * `test/catalog/store-contract.ts`. Calls are synchronous for SQLite's sake only where they are on no hot path.
 */
export interface CatalogStore {
  putCatalog(catalog: CatalogInfo): void;
  /** Replaces what one catalog holds, in one transaction. @returns whether anything changed. */
  replaceDiscovered(catalog: SecurableName, found: Discovered): boolean;
  /** Cached until something changes. */
  snapshot(): CatalogSnapshot;

  /** Binds (issuer, subject) to the name on first sight; the same pair always gets the same name back. */
  bindPrincipal(
    subject: { issuer: string; subject: string; name: PrincipalName; email?: string },
    now: number,
  ): Binding;
  /** An issuer that moved to another URL: its subjects stay who they are. @returns how many moved */
  moveIssuer(from: string, to: string): number;
  principals(): readonly BoundPrincipal[];
  quarantined(): readonly QuarantinedSubject[];
  /**
   * The admin's decision: a quarantined subject takes the name, whoever held it loses it.
   * @returns false when that subject is not in quarantine
   */
  rebindPrincipal(subject: { issuer: string; subject: string }, now: number): boolean;

  putCredential(credential: CredentialRecord): void;
  credential(id: string): CredentialRecord | undefined;
  credentials(filter?: { principal?: PrincipalName; live?: number }): readonly CredentialRecord[];
  revokeCredential(id: string, now: number): boolean;

  putPolicy(policy: PolicyInForce): void;
  policyInForce(): PolicyInForce | undefined;
  policies(): readonly PolicyInForce[];

  close(): void;
}
