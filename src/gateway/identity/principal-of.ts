import type { JWTPayload } from 'jose';
import { WritError } from '../../kernel/errors.ts';
import { operatorName, type PrincipalName, parsePrincipalName } from '../../kernel/principal.ts';
import type { IssuerConfig } from './issuers.ts';
import { refused } from './refusal.ts';

// What a genuine token's claims say about who it is. Pure. The name is a claim like any other until the catalog has
// bound it to (issuer, subject).

export interface ClaimedPrincipal {
  readonly name: PrincipalName;
  /** Users only: verified by the issuer. */
  readonly email?: string;
}

/**
 * A user is named by a verified e-mail, a service principal by the client id of a client-credentials token, where
 * policy knows a service principal of that name. @throws sign_in_refused
 */
export function claimedPrincipal(
  claims: JWTPayload,
  issuer: IssuerConfig,
  isServicePrincipal: (name: PrincipalName) => boolean,
): ClaimedPrincipal {
  const email = claims['email'];
  if (typeof email === 'string' && email !== '') return user(claims, email, issuer);
  const client = clientItself(claims);
  if (client !== undefined) return { name: servicePrincipal(client, isServicePrincipal) };
  throw refused('the token carries no e-mail', 'ask for it with the scope `email`: writ token does');
}

/** The groups of the token, where they are used. @throws sign_in_refused when the issuer left them out for their number */
export function claimedGroups(claims: JWTPayload, issuer: IssuerConfig): readonly string[] | undefined {
  const claim = issuer.groupsClaim;
  if (claim === undefined) return undefined;
  const groups = claims[claim];
  const elsewhere = claims['_claim_names'];
  const omitted =
    claims['hasgroups'] === true ||
    claims['hasgroups'] === 'true' ||
    (typeof elsewhere === 'object' && elsewhere !== null && Object.hasOwn(elsewhere, claim));
  if (omitted) {
    throw refused(
      `the token leaves out ${JSON.stringify(claim)} because there are too many groups; that is not "no groups"`,
      'let the issuer send only groups that are assigned to this application, or app roles',
    );
  }
  if (groups === undefined) return [];
  if (Array.isArray(groups) && groups.every((group) => typeof group === 'string')) return groups;
  throw refused(`the token's claim ${JSON.stringify(claim)} is no list of group names`);
}

function user(claims: JWTPayload, email: string, issuer: IssuerConfig): ClaimedPrincipal {
  if (claims['email_verified'] !== true && claims['email_verified'] !== 'true') {
    throw refused(
      'the e-mail in the token is not verified by its issuer',
      'verify it with the identity provider',
    );
  }
  const name = parseEmail(email);
  const domain = name.slice(name.lastIndexOf('@') + 1);
  const allowed = issuer.emailDomains?.map((one) => one.toLowerCase());
  if (allowed !== undefined && !allowed.includes(domain)) {
    throw refused(
      `this issuer may not name people of ${domain}`,
      'the operator lists its domains in `emailDomains`',
    );
  }
  return { name, email };
}

function parseEmail(email: string): PrincipalName {
  const odd = /\s/.test(email) || email.split('@').length !== 2 || /^@|@$/.test(email);
  if (odd || [...email].some(foldsToAscii)) {
    throw refused(`the e-mail in the token cannot be used as a name: ${JSON.stringify(email.slice(0, 100))}`);
  }
  return parseOr(email, 'the e-mail in the token cannot be used as a name');
}

/** The Kelvin sign is a `k` once folded: it would be somebody else's name. */
function foldsToAscii(character: string): boolean {
  return character > '\u007f' && /[\u0000-\u007f]/.test(character.normalize('NFKC').toLowerCase());
}

/** The client id, if the token speaks for the client and not for a person. */
function clientItself(claims: JWTPayload): string | undefined {
  const client = claims['client_id'] ?? claims['azp'] ?? claims['appid'];
  if (typeof client !== 'string' || client === '') return undefined;
  const speaksForItself =
    claims.sub === client ||
    claims.sub === `${client}@clients` ||
    claims['gty'] === 'client-credentials' ||
    claims['idtyp'] === 'app';
  return speaksForItself ? client : undefined;
}

function servicePrincipal(client: string, known: (name: PrincipalName) => boolean): PrincipalName {
  const name = parseOr(client, 'the client id in the token cannot be used as a name');
  // Names with an @ are people's, and the operator signs in with a file.
  if (name.includes('@') || name === operatorName || !known(name)) {
    throw refused(
      `the policy knows no service principal ${JSON.stringify(name)}`,
      'name it under `servicePrincipals` in the policy files',
    );
  }
  return name;
}

function parseOr(text: string, why: string): PrincipalName {
  try {
    return parsePrincipalName(text);
  } catch (error) {
    if (error instanceof WritError) throw refused(why);
    throw error;
  }
}
