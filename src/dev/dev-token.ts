import { randomUUID } from 'node:crypto';
import { importJWK, SignJWT } from 'jose';
import { WritError } from '../kernel/errors.ts';
import type { Directory } from './company.ts';
import type { SigningKey } from './identity-keys.ts';

// Access tokens without a browser, for `--as` and tests: the same keys, claims and form (RFC 9068) as the provider's own.
// No real identity provider has such a door.

export const tokenAudience = 'writ';
export const tokenLifetime = 3600;

export interface DevTokenRequest {
  /** An e-mail, or a service principal. */
  readonly as: string;
  readonly audience?: string;
  /** Seconds; negative makes a token that has expired. */
  readonly expiresIn?: number;
}

/**
 * Signs an access token. `now` in ms.
 * @throws not_found for somebody who is not in the directory
 */
export async function signDevToken(
  request: DevTokenRequest,
  issuer: string,
  key: SigningKey,
  now: number,
  directory: Directory,
): Promise<string> {
  const issuedAt = Math.floor(now / 1000);
  const expiresIn = request.expiresIn ?? tokenLifetime;
  return new SignJWT({ ...claimsOf(request.as, directory), jti: randomUUID() })
    .setProtectedHeader({ typ: 'at+jwt', alg: key.alg, kid: key.kid })
    .setIssuer(issuer)
    .setAudience(request.audience ?? tokenAudience)
    .setIssuedAt(Math.min(issuedAt, issuedAt + expiresIn))
    .setExpirationTime(issuedAt + expiresIn)
    .sign(await importJWK(key));
}

function claimsOf(
  as: string,
  directory: Directory,
): { sub: string; client_id: string } & Record<string, unknown> {
  const person = directory.person(as);
  if (person !== undefined) return { sub: person.subject, client_id: 'writ-cli', ...personClaims(person) };
  if (directory.isService(as)) return { sub: as, client_id: as };
  throw new WritError('not_found', {
    message: `the sample company has nobody named ${JSON.stringify(as)}`,
    hint: `there are ${directory.names.join(', ')}`,
  });
}

/** What the provider says of a person, in access and ID tokens alike. */
export function personClaims(person: { email: string; name: string }): Record<string, unknown> {
  return { email: person.email, email_verified: true, name: person.name };
}
