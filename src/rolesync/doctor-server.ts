import { readFileSync } from 'node:fs';
import type { AdminConnection } from '../fleet/cluster.ts';
import { WritError } from '../kernel/errors.ts';
import { sql, trustedSql } from '../kernel/sql.ts';
import type { DoctorFinding } from './doctor-finding.ts';

/** What concerns the server as a whole: version, pg_hba, prepared transactions, channels. */
export async function serverFindings(
  connection: AdminConnection,
  version: number,
): Promise<readonly DoctorFinding[]> {
  return [
    ...versionFindings(version),
    ...(await settingFindings(connection)),
    ...(await hbaFindings(connection)),
    ...(await notifyFindings(connection)),
  ];
}

/** First minor release per major without known holes (release notes of August 2026); others: not known here. */
const fixedMinor: Readonly<Record<number, number>> = { 18: 6 };
const oldestSupported = 14;

function versionFindings(version: number): readonly DoctorFinding[] {
  const major = Math.floor(version / 10_000);
  const minor = version % 10_000;
  const fixed = fixedMinor[major];
  const why =
    major < oldestSupported
      ? `Postgres ${major} gets no security fixes any more`
      : fixed !== undefined && minor < fixed
        ? `${major}.${fixed} fixes security holes that ${major}.${minor} has, among them a prepared statement that keeps returning rows after a REVOKE (CVE-2026-14666)`
        : undefined;
  if (why === undefined) return [];
  return [
    {
      id: 'server-version',
      severity: 'reported',
      title: `the server is Postgres ${major}.${minor}`,
      why,
      where: 'server',
      accepts: false,
    },
  ];
}

async function settingFindings(connection: AdminConnection): Promise<readonly DoctorFinding[]> {
  const rows = await connection.query<{ prepared: number }>(
    sql`select current_setting('max_prepared_transactions')::integer as prepared`,
  );
  if ((rows[0]?.prepared ?? 0) === 0) return [];
  return [
    {
      id: 'prepared-transactions',
      severity: 'reported',
      title: 'prepared transactions are on (max_prepared_transactions)',
      why: 'PREPARE TRANSACTION keeps locks after its session was ended, and keeps its login from being dropped',
      where: 'server',
      accepts: false,
    },
  ];
}

interface HbaRow extends Record<string, unknown> {
  readonly type: string;
  readonly database: readonly string[];
  readonly user_name: readonly string[];
  readonly address: string | null;
  readonly netmask: string | null;
  readonly auth_method: string;
}

async function hbaFindings(connection: AdminConnection): Promise<readonly DoctorFinding[]> {
  try {
    const rows = await connection.query<HbaRow>(
      sql`select type, database, user_name, address, netmask, auth_method from pg_hba_file_rules
        where error is null order by line_number`,
    );
    const seen = new Map(rows.flatMap(hbaFinding).map((finding) => [finding.id, finding]));
    return [...seen.values()];
  } catch (error) {
    if (!(error instanceof WritError) || error.sqlstate !== '42501') throw error;
    return [
      {
        id: 'hba-unreadable',
        severity: 'reported',
        title: 'pg_hba.conf cannot be read by this administrative login',
        why: 'whether somebody signs in without a password is not known',
        where: 'server',
        accepts: false,
      },
    ];
  }
}

function hbaFinding(row: HbaRow): readonly DoctorFinding[] {
  const rule = [row.type, row.database.join(','), row.user_name.join(','), row.address ?? 'socket'].join(' ');
  const where = `pg_hba.conf: ${rule} ${row.auth_method}`;
  const key = rule.replaceAll(' ', ':');
  if (row.auth_method === 'trust') {
    return [
      {
        id: `hba-trust:${key}`,
        severity: 'open-to-managed',
        title: 'logins are let in without a password',
        why: 'whoever reaches the server is whomever they say they are',
        where,
        accepts: true,
      },
    ];
  }
  if (row.auth_method === 'password' || row.auth_method === 'md5') {
    return [
      {
        id: `hba-weak:${key}`,
        severity: 'reported',
        title: `passwords are checked by the method ${row.auth_method}`,
        why: 'a password or its hash can be taken from the wire; use scram-sha-256',
        where,
        accepts: false,
      },
    ];
  }
  const anywhere = row.address === 'all' || row.netmask === '0.0.0.0' || row.netmask === '::';
  if (!anywhere || row.auth_method === 'reject') return [];
  return [
    {
      id: `hba-anywhere:${key}`,
      severity: 'reported',
      title: 'the server takes connections from every address',
      why: 'only the gateway and the holders of direct credentials need to reach it',
      where,
      accepts: false,
    },
  ];
}

async function notifyFindings(connection: AdminConnection): Promise<readonly DoctorFinding[]> {
  const query = trustedSql(readFileSync(new URL('./doctor-notify.sql', import.meta.url), 'utf8'), 'file');
  const rows = await connection.query<{ name: string; used_by: string }>(query);
  return rows.map(({ name, used_by }) => ({
    id: `notify:${name}`,
    severity: 'open-to-managed',
    title: `${name} sends notifications`,
    why: 'LISTEN needs no privilege: every login hears the payload, hidden rows and values included',
    where: used_by === 'function' ? `function ${name}` : `${used_by} (${name})`,
    accepts: true,
  }));
}
