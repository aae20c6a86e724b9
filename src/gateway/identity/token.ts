import { hash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import type { Clock } from '../../kernel/clock.ts';
import { WritError } from '../../kernel/errors.ts';
import type { Issuer, IssuerConfig } from './issuers.ts';
import { notGenuine, refused } from './refusal.ts';

// Whether a JWT is genuine and meant for us. Signature algorithms are bound to key types, keys come from the issuer's
// own set alone, and every claim that limits a token is required (RFC 8725).

export interface VerifiedToken {
  readonly issuer: IssuerConfig;
  readonly claims: JWTPayload & {
    readonly iss: string;
    readonly sub: string;
    readonly exp: number;
    readonly iat: number;
  };
  /** `oidc:<jti>`, or of the token's hash: for the record. */
  readonly credential: string;
}

export interface TokenVerifier {
  /** @throws bad_credential, sign_in_refused, unreachable */
  verify(token: string): Promise<VerifiedToken>;
}

export interface TokenVerifierOptions {
  readonly issuers: ReadonlyMap<string, Issuer>;
  readonly clock: Clock;
  /** A token that was issued for longer is refused. */
  readonly maxLifetimeSeconds?: number;
}

const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];
/** An access token or an ID token. Logout tokens, security events and proofs are signed by the same keys. */
const types: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/at+jwt', 'application/jwt']);
const maxTokenBytes = 65_535;
const skewSeconds = 30;
const defaultLifetimeSeconds = 24 * 3600;
/** A verified token is not verified again for this long, though never beyond its expiry. */
const cachedFor = 300_000;
const cachedTokens = 10_000;

export function openTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const cache = new VerifiedCache();
  return {
    verify: async (token) => {
      const key = hash('sha256', token, 'base64url');
      const now = options.clock.now();
      const known = cache.get(key, now);
      if (known !== undefined) return checkExpiry(known, now);
      const verified = await verifyToken(token, key, options);
      cache.put(key, verified, now);
      return verified;
    },
  };
}

async function verifyToken(
  token: string,
  key: string,
  options: TokenVerifierOptions,
): Promise<VerifiedToken> {
  if (Buffer.byteLength(token) > maxTokenBytes) throw notGenuine('the token is too long');
  const issuer = issuerOf(token, options.issuers);
  checkHeader(token);
  const now = options.clock.now();
  const { payload } = await jwtVerify(token, issuer.key, {
    algorithms,
    issuer: issuer.config.issuer,
    audience: issuer.config.audience,
    requiredClaims: ['sub', 'exp', 'iat'],
    clockTolerance: skewSeconds,
    currentDate: new Date(now),
  }).catch((error: unknown) => {
    throw explain(error, issuer.config);
  });
  const { iss = '', sub = '', exp = 0, iat = 0, jti } = payload;
  if (sub === '') throw refused('the token names no subject');
  if ('events' in payload) throw refused('the token is a notification, not a sign-in');
  const credential =
    typeof jti === 'string' && jti !== '' ? `oidc:${jti.slice(0, 64)}` : `oidc:${key.slice(0, 22)}`;
  const verified = { issuer: issuer.config, claims: { ...payload, iss, sub, exp, iat }, credential };
  checkLifetime(exp, iat, now, options.maxLifetimeSeconds ?? defaultLifetimeSeconds);
  return checkExpiry(verified, now);
}

function issuerOf(token: string, issuers: ReadonlyMap<string, Issuer>): Issuer {
  let claimed: unknown;
  try {
    claimed = decodeJwt(token).iss;
  } catch (cause) {
    throw notGenuine('the password is neither a compact credential nor a readable token', cause);
  }
  const issuer = typeof claimed === 'string' ? issuers.get(claimed) : undefined;
  if (issuer === undefined) throw notGenuine('the token is not from a trusted issuer');
  return issuer;
}

function checkHeader(token: string): void {
  const header = readHeader(token);
  if (!algorithms.includes(String(header.alg))) {
    throw notGenuine(`the token is not signed with one of ${algorithms.join(', ')}`);
  }
  // Without it a key would be guessed by its type.
  if (typeof header.kid !== 'string') throw notGenuine('the token does not say which key signed it (kid)');
  if (header.typ !== undefined && !types.has(String(header.typ).toLowerCase())) {
    throw notGenuine(`the token is of another kind (typ ${JSON.stringify(String(header.typ).slice(0, 40))})`);
  }
}

function readHeader(token: string): ReturnType<typeof decodeProtectedHeader> {
  try {
    return decodeProtectedHeader(token);
  } catch (cause) {
    throw notGenuine('the token cannot be read', cause);
  }
}

function explain(error: unknown, issuer: IssuerConfig): WritError {
  if (error instanceof WritError) return error;
  if (error instanceof errors.JWTExpired) return refused('the token has expired');
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud')
      return refused(`the token is for another audience, not for ${issuer.audience}`);
    if (error.claim === 'nbf') return refused('the token is not valid yet');
    return refused(`the token's claim ${error.claim} is missing or not acceptable`);
  }
  return notGenuine('the signature of the token does not hold, or its key is not one of the issuer', error);
}

function checkLifetime(exp: number, iat: number, now: number, maxSeconds: number): void {
  if (iat * 1000 > now + skewSeconds * 1000) throw refused('the token was issued in the future');
  if (exp - iat > maxSeconds) throw refused(`the token lives longer than ${maxSeconds} seconds`);
}

/** Without tolerance: a session on a token that ended would end at once. */
function checkExpiry(verified: VerifiedToken, now: number): VerifiedToken {
  if (verified.claims.exp * 1000 <= now) throw refused('the token has expired');
  return verified;
}

class VerifiedCache {
  readonly #tokens = new Map<string, { readonly verified: VerifiedToken; readonly until: number }>();

  get(key: string, now: number): VerifiedToken | undefined {
    const found = this.#tokens.get(key);
    if (found === undefined || now < found.until) return found?.verified;
    this.#tokens.delete(key);
    return undefined;
  }

  put(key: string, verified: VerifiedToken, now: number): void {
    if (this.#tokens.size >= cachedTokens) {
      const [oldest] = this.#tokens.keys();
      if (oldest !== undefined) this.#tokens.delete(oldest);
    }
    this.#tokens.set(key, { verified, until: now + cachedFor });
  }
}
