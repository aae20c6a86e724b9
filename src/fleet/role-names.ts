import { createHash } from 'node:crypto';
import type { Brand } from '../kernel/brand.ts';
import type { PrincipalName } from '../kernel/principal.ts';

// Names of the roles that Writ makes. All begin with `writ_`; 63 bytes at most; told apart by a hash of the full name,
// which stands in the role's comment. Login names carry randomness and are never reused.

export type RoleName = Brand<string, 'RoleName'>;

/** Through which door a login comes: the gateway's own connections, or a person's --direct credential. */
export type Door = 'gateway' | 'direct';

export const ownerRole = 'writ_owner' as RoleName;
/** Every role of a principal is a member: it may call the functions in schema `writ`. */
export const managedRole = 'writ_managed' as RoleName;
/**
 * Every role that Writ did not make is a member while a cluster is hardened: it holds what was taken from PUBLIC. Made
 * and dropped by harden and unharden; it lacks our prefix, so that the diff leaves it alone. Through a membership, unlike
 * a grant, DROP ROLE goes on working for those who do it.
 */
export const unmanagedRole = 'unmanaged_by_writ' as RoleName;
export const rolePrefix = 'writ_';

const doorLetter: Record<Door, string> = { gateway: 'g', direct: 'd' };

/** `writ_g_ana_acme_test_1a2b3c4d`: NOLOGIN, holds what the principal may do through that door. */
export function principalRole(principal: PrincipalName, door: Door): RoleName {
  return `${rolePrefix}${doorLetter[door]}_${slug(principal)}_${hash8(principal)}` as RoleName;
}

/** `writ_c_<key>_<kind>`: a compiled role; the key is the hash of an access signature. */
export function compiledRole(signature: string, kind: string): RoleName {
  return `${rolePrefix}c_${createHash('sha256').update(signature).digest('hex').slice(0, 12)}_${kind}` as RoleName;
}

/** `writ_l_g_ana_acme_test_<random>`: LOGIN, one per credential. `random` is at least 8 hex digits. */
export function loginRole(principal: PrincipalName, door: Door, random: string): RoleName {
  return `${rolePrefix}l_${doorLetter[door]}_${slug(principal)}_${random}` as RoleName;
}

function slug(principal: PrincipalName): string {
  return (
    principal
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '_')
      .replaceAll(/^_+|_+$/g, '')
      .slice(0, 32) || 'x'
  );
}

function hash8(principal: PrincipalName): string {
  return createHash('sha256').update(principal).digest('hex').slice(0, 8);
}
