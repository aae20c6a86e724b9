import { randomBytes } from 'node:crypto';
import type { AuditLog } from '../../audit/log-interface.ts';
import type { CatalogStore } from '../../catalog/store.ts';
import type { Clock } from '../../kernel/clock.ts';
import { WritError } from '../../kernel/errors.ts';
import { operatorName, type PrincipalName, parsePrincipalName } from '../../kernel/principal.ts';
import type { SecurableName } from '../../kernel/securable-name.ts';
import type { Authenticator, Identity, SignIn } from './authenticator.ts';
import {
  compactPrefix,
  formatCompact,
  hashSecret,
  idBytes,
  makeCompact,
  parseCompact,
  secretBytes,
  secretMatches,
} from './compact.ts';
import { type IssuerConfig, openIssuers } from './issuers.ts';
import { claimedGroups, claimedPrincipal } from './principal-of.ts';
import { notGenuine, refused } from './refusal.ts';
import { openTokenVerifier, type TokenVerifier } from './token.ts';

export interface AuthenticatorOptions {
  readonly store: CatalogStore;
  readonly issuers: readonly IssuerConfig[];
  readonly clock: Clock;
  readonly audit: AuditLog;
  /** The policy in force: which service principals it names. Without one nobody but people signs in. */
  readonly snapshot?: () => { readonly principals: ReadonlySet<PrincipalName> } | undefined;
  /**
   * Hears the groups of every token before its sign-in is answered; undefined where the issuer claims none. `issuedAt`:
   * seconds since the epoch. What it throws refuses the sign-in.
   */
  readonly onClaims?: (
    principal: PrincipalName,
    groups: readonly string[] | undefined,
    issuedAt: number,
  ) => Promise<void>;
  /** Accepted over HTTP: whoever can read it is the local operator. */
  readonly operatorToken?: string;
  /** `writ dev` only: issuers on plain http at loopback addresses. */
  readonly allowLoopbackHttp?: boolean;
  readonly maxTokenLifetimeSeconds?: number;
  readonly random?: (bytes: number) => Uint8Array;
}

export interface CompactRequest {
  readonly principal: PrincipalName;
  /** The only catalog that it opens. */
  readonly catalog: SecurableName;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly purpose?: string;
  readonly ticket?: string;
}

export interface IssuedCompact {
  readonly id: string;
  /** Shown once; only its hash is kept. */
  readonly password: string;
  readonly expiresAt: number;
}

/** Issuing and revoking are recorded by the door that was asked: it knows who asked, and from where. */
export type OpenAuthenticator = Authenticator & {
  issueCompact(request: CompactRequest): IssuedCompact;
  /** @returns whether the credential was live until now */
  revoke(id: string): boolean;
};

/** Tells from a password who signs in: compact credential, OIDC token, or the operator's token. @throws invalid_config */
export function openAuthenticator(options: AuthenticatorOptions): OpenAuthenticator {
  const { clock, allowLoopbackHttp = false, maxTokenLifetimeSeconds } = options;
  const issuers = openIssuers(options.issuers, { clock, allowLoopbackHttp });
  const lifetime =
    maxTokenLifetimeSeconds === undefined ? {} : { maxLifetimeSeconds: maxTokenLifetimeSeconds };
  return new PasswordAuthenticator(options, openTokenVerifier({ issuers, clock, ...lifetime }));
}

/** The operator's token does not end; who asks for an expiry gets this far. */
const operatorSession = 3_600_000;

class PasswordAuthenticator implements OpenAuthenticator {
  readonly #options: AuthenticatorOptions;
  readonly #tokens: TokenVerifier;
  readonly #operatorHash: string | undefined;

  constructor(options: AuthenticatorOptions, tokens: TokenVerifier) {
    this.#options = options;
    this.#tokens = tokens;
    const { operatorToken } = options;
    if (operatorToken !== undefined && operatorToken.length < 32) {
      throw new WritError('invalid_config', { message: 'the operator token is shorter than 32 characters' });
    }
    this.#operatorHash = operatorToken === undefined ? undefined : hashSecret(operatorToken);
  }

  async authenticate(signIn: SignIn): Promise<Identity> {
    const { password } = signIn;
    if (password.startsWith(compactPrefix)) return this.#compact(signIn);
    if (/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/.test(password)) return this.#token(signIn);
    // Over the wire everybody is somebody: the operator acts through the HTTP API alone.
    const http = signIn.user === undefined && signIn.catalog === undefined;
    if (http && secretMatches(password, this.#operatorHash)) return this.#operator();
    throw notGenuine('the password is neither a compact credential (writ_…) nor a token');
  }

  issueCompact(request: CompactRequest): IssuedCompact {
    const now = this.#options.clock.now();
    if (!(request.expiresAt > now)) {
      throw new WritError('invalid_argument', { message: 'a credential must expire in the future' });
    }
    const random = this.#options.random ?? randomBytes;
    const compact = makeCompact(random(idBytes + secretBytes));
    const { principal, catalog, expiresAt, purpose, ticket } = request;
    this.#options.store.putCredential({
      id: compact.id,
      secretHash: hashSecret(compact.secret),
      principal,
      catalog,
      direct: false,
      issuedAt: now,
      expiresAt,
      ...(purpose === undefined ? {} : { purpose }),
      ...(ticket === undefined ? {} : { ticket }),
    });
    return { id: compact.id, password: formatCompact(compact), expiresAt };
  }

  revoke(id: string): boolean {
    return this.#options.store.revokeCredential(id, this.#options.clock.now());
  }

  #operator(): Identity {
    const expiresAt = this.#options.clock.now() + operatorSession;
    return { principal: operatorName, credential: 'operator', expiresAt };
  }

  #compact(signIn: SignIn): Identity {
    const compact = parseCompact(signIn.password);
    const record = compact === undefined ? undefined : this.#options.store.credential(compact.id);
    const matches = secretMatches(compact?.secret ?? '', record?.secretHash);
    if (record === undefined || !matches) throw notGenuine('the compact credential is not known');
    const now = this.#options.clock.now();
    const again = `get a new one: writ credentials ${record.catalog}`;
    if (record.revokedAt !== undefined) throw refused('the credential was revoked', again);
    if (record.expiresAt <= now) {
      throw refused(`the credential expired at ${new Date(record.expiresAt).toISOString()}`, again);
    }
    if (record.direct) throw refused('the credential is for the cluster itself, not for the gateway', again);
    if (signIn.catalog !== record.catalog) {
      const asked = signIn.catalog ?? 'the HTTP API';
      throw refused(
        `the credential opens the catalog ${record.catalog}, not ${asked}`,
        signIn.catalog === undefined
          ? 'use a token: writ token'
          : `get one: writ credentials ${signIn.catalog}`,
      );
    }
    checkUser(signIn, record.principal);
    return { principal: record.principal, credential: `compact:${record.id}`, expiresAt: record.expiresAt };
  }

  async #token(signIn: SignIn): Promise<Identity> {
    const { claims, issuer, credential } = await this.#tokens.verify(signIn.password);
    const principals = this.#options.snapshot?.()?.principals;
    const claimed = claimedPrincipal(claims, issuer, (name) => principals?.has(name) ?? false);
    const groups = claimedGroups(claims, issuer);
    const principal = this.#bind({ issuer: claims.iss, subject: claims.sub, ...claimed }, credential);
    checkUser(signIn, principal);
    await this.#options.onClaims?.(principal, groups, claims.iat);
    const expiresAt = claims.exp * 1000;
    return { principal, credential, expiresAt, ...(groups === undefined ? {} : { claimGroups: groups }) };
  }

  /** The subject's name, bound at first sight and recorded before it is used. */
  #bind(
    subject: { issuer: string; subject: string; name: PrincipalName; email?: string },
    credential: string,
  ): PrincipalName {
    const { store, clock, audit } = this.#options;
    const binding = store.bindPrincipal(subject, clock.now());
    const who = { principal: subject.name, issuer: subject.issuer, subject: subject.subject, credential };
    if (binding.kind === 'bound') {
      if (!binding.first) return binding.principal.name;
      audit.append({ kind: 'principal.bind', ...who });
      audit.flush();
      return binding.principal.name;
    }
    audit.append({ kind: 'principal.quarantine', decision: 'deny', sqlstate: '28000', ...who });
    audit.flush();
    throw refused(
      `another subject already signed in as ${subject.name}; this one is in quarantine until an admin decides`,
      'ask whoever runs this gateway to look at the quarantined subjects',
    );
  }
}

/** The user that was given must be the one that was proved; said only to those who proved something. */
function checkUser(signIn: SignIn, principal: PrincipalName): void {
  if (signIn.user === undefined || sameName(signIn.user, principal)) return;
  throw refused(
    `the credential is ${principal}'s; the user given is another`,
    `connect with user=${principal}`,
  );
}

function sameName(text: string, principal: PrincipalName): boolean {
  try {
    return parsePrincipalName(text) === principal;
  } catch {
    return false;
  }
}
