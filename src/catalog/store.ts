import type { GroupName, PrincipalName } from '../kernel/principal.ts';
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

/** Everything that a snapshot is compiled from but the moment. */
export interface KeptInputs {
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly catalog: CatalogSnapshot;
  /** Principals that had signed in. */
  readonly known: readonly PrincipalName[];
  readonly claimed: readonly (readonly [PrincipalName, readonly GroupName[]])[];
  /** Cluster → label → value. */
  readonly labels: readonly (readonly [string, readonly (readonly [string, string])[]])[];
}

/** One moment from which on a snapshot was in force. Times in ms since the epoch. */
export interface KeptMoment {
  readonly number: number;
  readonly snapshot: string;
  readonly since: number;
  /** Absent: it is in force now. */
  readonly until?: number;
  /** The moment that expiry was held against. */
  readonly compiledAt: number;
  readonly appliedBy: PrincipalName;
  /** `policy apply`, or what else changed the meaning of the files: a discovery, an expiry, a sign-in. */
  readonly why: string;
  readonly source?: PolicySource;
}

export type NewKept = Omit<KeptMoment, 'number' | 'until'> & { readonly inputs: KeptInputs };

/** What the latest sign-in of a principal claims. `issuedAt`: the token's, in seconds. */
export interface ClaimedGroups {
  readonly principal: PrincipalName;
  readonly groups: readonly string[];
  readonly issuedAt: number;
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

  /** Keeps what a snapshot was compiled from; each text once. @returns its number, for `keptBegins` */
  keepSnapshot(kept: NewKept): number;
  /** The moment at which it really came into force. */
  keptBegins(number: number, since: number): void;
  /** What was in force at a moment (ms), or is now; undefined before the first. */
  keptAt(moment?: number): KeptMoment | undefined;
  /** Since when there are answers (ms). */
  firstKept(): number | undefined;
  /** @throws conflict when what was kept is not what its hashes say */
  keptInputs(number: number): KeptInputs;

  /**
   * The groups of a sign-in. Those of an earlier one (an older token, once more) count for nothing; of two that were
   * issued in the same second only what both claim counts, since nobody knows which was later.
   */
  putClaimedGroups(principal: PrincipalName, groups: readonly string[], issuedAt: number): void;
  claimedGroups(): readonly ClaimedGroups[];
  claimedGroupsOf(principal: PrincipalName): ClaimedGroups | undefined;

  close(): void;
}
