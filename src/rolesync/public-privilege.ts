import { unmanagedRole } from '../fleet/role-names.ts';
import { WritError } from '../kernel/errors.ts';
import { identifier, type Sql, sql, trustedSql } from '../kernel/sql.ts';
import type { PublicPrivilege } from './doctor-finding.ts';

/** Taken from PUBLIC, given to the unmanaged; in this order, so that a table's REVOKE does not wipe a column's GRANT. */
export function closing(privileges: readonly PublicPrivilege[]): readonly Sql[] {
  return [
    ...privileges.map((one) => sql`revoke ${grantable(one)} from public`),
    ...privileges.map((one) => sql`grant ${grantable(one)} to ${identifier(unmanagedRole)}`),
  ];
}

/** The way back. */
export function reopening(privileges: readonly PublicPrivilege[]): readonly Sql[] {
  return [
    ...privileges.map((one) => sql`revoke ${grantable(one)} from ${identifier(unmanagedRole)}`),
    ...privileges.map((one) => sql`grant ${grantable(one)} to public`),
  ];
}

function grantable(one: PublicPrivilege): Sql {
  const column = one.column === undefined ? sql`` : sql` (${identifier(one.column)})`;
  return sql`${privilegeKeyword(one.privilege)}${column} on ${trustedSql(one.target, 'catalog')}`;
}

function privilegeKeyword(name: string): Sql {
  if (!/^[A-Z]+$/.test(name)) throw new WritError('internal', { message: `no privilege: ${name}` });
  return trustedSql(name.toLowerCase(), 'catalog');
}
