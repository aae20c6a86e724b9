import { readFileSync } from 'node:fs';
import type { AdminConnection } from '../fleet/cluster.ts';
import { unmanagedRole } from '../fleet/role-names.ts';
import { nameParts } from '../kernel/securable-name.ts';
import { identifier, type Sql, sql, trustedSql } from '../kernel/sql.ts';
import type { DoctorContext, DoctorFinding } from './doctor-finding.ts';

interface RoleRow extends Record<string, unknown> {
  readonly what: string;
  readonly subject: string;
  readonly object: string | null;
  readonly detail: string | null;
}

/** Roles of ours that hold too much, and roles of others that no policy binds (those are told, not judged). */
export async function roleFindings(
  connection: AdminConnection,
  context: DoctorContext,
): Promise<readonly DoctorFinding[]> {
  const query = trustedSql(readFileSync(new URL('./doctor-roles.sql', import.meta.url), 'utf8'), 'file');
  const names = [...context.ruled].map((name) => nameParts(name));
  const rows = await connection.query<RoleRow>(query, [
    names.map((parts) => parts[1] ?? ''),
    names.map((parts) => parts[2] ?? ''),
  ]);
  const those = (what: string): readonly RoleRow[] => rows.filter((row) => row.what === what);
  return [
    ...told('superusers', 'superusers', 'they read and change everything', those('superuser')),
    ...told(
      'role-makers',
      'roles with CREATEROLE',
      'they can give rights to themselves',
      those('role-maker'),
    ),
    ...told('owners', 'owners of ruled tables', 'an owner reads its own tables unfiltered', those('owner')),
    ...told(
      'predefined-roles',
      'unmanaged members of predefined roles',
      'they read or act past table privileges',
      those('predefined'),
    ),
    ...those('managed-attribute').map(managedAttribute),
    ...those('managed-member').map(managedMember),
    ...those('foreign-member').map(foreignMember),
    ...those('setting').map(roleSetting),
    ...those('unjoined').map(unjoined),
  ];
}

function told(id: string, title: string, why: string, rows: readonly RoleRow[]): readonly DoctorFinding[] {
  if (rows.length === 0) return [];
  const where = rows.map((row) => (row.object === null ? row.subject : `${row.subject} (${row.object})`));
  return [{ id, severity: 'reported', title, why, where: where.join(', '), accepts: false }];
}

function managedAttribute({ subject, object }: RoleRow): DoctorFinding {
  const attribute = object ?? '';
  return {
    id: `managed-attribute:${subject}:${attribute}`,
    severity: 'open-to-managed',
    title: `managed role ${subject} is ${attribute.toUpperCase()}`,
    why: 'a role that Writ issues has no attribute that goes around privileges',
    where: `role ${subject}`,
    fix: [sql`alter role ${identifier(subject)} ${trustedSql(`no${attribute}`, 'catalog')}`],
    accepts: false,
  };
}

function managedMember({ subject, object }: RoleRow): DoctorFinding {
  const role = object ?? '';
  return {
    id: `managed-member:${subject}:${role}`,
    severity: 'open-to-managed',
    title: `managed role ${subject} is a member of ${role}`,
    why: 'it holds what that role holds, whatever the policy says',
    where: `role ${subject}`,
    fix: [sql`revoke ${identifier(role)} from ${identifier(subject)}`],
    accepts: true,
  };
}

function foreignMember({ subject, object }: RoleRow): DoctorFinding {
  return {
    id: `foreign-member:${subject}:${object ?? ''}`,
    severity: 'reported',
    title: `unmanaged role ${subject} is a member of ${object ?? ''}`,
    why: 'it uses what the policy gives to somebody else',
    where: `role ${subject}`,
    fix: [sql`revoke ${identifier(object ?? '')} from ${identifier(subject)}`],
    accepts: false,
  };
}

function roleSetting({ subject, object, detail }: RoleRow): DoctorFinding {
  const inDatabase: Sql = detail === null ? sql`` : sql` in database ${identifier(detail)}`;
  return {
    id: `setting:${subject}:${object ?? ''}`,
    severity: 'reported',
    title: `login ${subject} carries the setting ${object ?? ''}`,
    why: 'a setting of a role is live at its next sign-in; the gateway pins those that matter',
    where: `role ${subject}`,
    fix: [sql`alter role ${identifier(subject)}${inDatabase} reset ${settingName(object ?? '')}`],
    accepts: false,
  };
}

/** `search_path`, `app.user`: each part quoted. */
function settingName(name: string): Sql {
  return trustedSql(
    name
      .split('.')
      .map((part) => identifier(part).text)
      .join('.'),
    'catalog',
  );
}

function unjoined({ subject }: RoleRow): DoctorFinding {
  return {
    id: `unjoined:${subject}`,
    severity: 'reported',
    title: `role ${subject} was made after hardening and lacks what PUBLIC used to have`,
    why: 'Writ did not make it, so it keeps what it would have without Writ: CONNECT, TEMP, EXECUTE',
    where: `role ${subject}`,
    fix: [sql`grant ${identifier(unmanagedRole)} to ${identifier(subject)}`],
    accepts: false,
  };
}
