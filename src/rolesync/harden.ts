import { readFileSync } from 'node:fs';
import type { AdminConnection, Cluster } from '../fleet/cluster.ts';
import { retryTransient } from '../fleet/postgres-errors.ts';
import { ownerRole, unmanagedRole } from '../fleet/role-names.ts';
import { WritError } from '../kernel/errors.ts';
import { metastore } from '../kernel/securable-name.ts';
import { identifier, integer, literal, type Sql, sql, trustedSql } from '../kernel/sql.ts';
import type { DoctorFinding, PublicPrivilege } from './doctor-finding.ts';
import { publicFindings } from './doctor-public.ts';
import { reopening } from './public-privilege.ts';

// Closes ways around. What PUBLIC loses, a role gains whose members are all roles that Writ did not make, so that they
// notice nothing; what was changed is kept in writ.hardening and given back by unharden.

export interface HardenOperation {
  /** Id of the finding. */
  readonly finding: string;
  readonly words: string;
  readonly statements: readonly Sql[];
  readonly closes: readonly PublicPrivilege[];
}

export interface HardenPlan {
  readonly operations: readonly HardenOperation[];
  /** Open, and SQL cannot close them: to be accepted by name or closed by hand. */
  readonly remaining: readonly DoctorFinding[];
}

/** Called with each statement before any is run: writes the record. */
export type RecordStatement = (statement: string) => void;

/**
 * What would be run. Without `picked`: everything open that SQL can close, and roles that came since the last time;
 * with it: these ids, reported ones too.
 */
export function hardenPlan(findings: readonly DoctorFinding[], picked?: ReadonlySet<string>): HardenPlan {
  const wanted = findings.filter((finding) =>
    picked === undefined
      ? finding.severity === 'open-to-managed' || finding.id.startsWith('unjoined:')
      : picked.has(finding.id),
  );
  return {
    operations: wanted.flatMap(({ id, title, fix, closes }) =>
      fix === undefined
        ? []
        : [{ finding: id, words: `close ${id}: ${title}`, statements: fix, closes: closes ?? [] }],
    ),
    remaining: wanted.filter((finding) => finding.fix === undefined),
  };
}

/**
 * Runs a plan in one transaction and looks whether it is closed; twice is harmless. Superusers and roles of Postgres's
 * own need no membership. Known exceptions: a role made later is without what PUBLIC had until `joinUnmanaged` runs
 * again, and pg_dump prints the changed privileges.
 * @throws guard_refused when the schema `writ` is not installed, when a REVOKE had no effect, or on a server before 16
 *   with NOINHERIT roles, who could not use a membership
 */
export async function applyHarden(
  cluster: Cluster,
  database: string,
  plan: HardenPlan,
  record: RecordStatement,
): Promise<void> {
  if (plan.operations.length === 0) return;
  const version = await cluster.version();
  await retryTransient(() =>
    cluster.withAdmin(database, (connection) =>
      connection.transaction(async () => {
        await requireInstalled(connection, cluster.name);
        const joins = plan.operations.some((one) => one.closes.length > 0)
          ? await joinStatements(connection, version)
          : [];
        const statements = [...joins, ...plan.operations.flatMap((one) => one.statements)];
        for (const statement of statements) record(statement.text);
        await connection.query(file('hardening-schema'));
        for (const operation of plan.operations) await remember(connection, operation);
        for (const statement of statements) await connection.query(statement);
        await verify(connection, plan);
      }),
    ),
  );
}

/** Makes every role that Writ did not make a member of `unmanaged_by_writ`, where the cluster is hardened. */
export async function joinUnmanaged(
  cluster: Cluster,
  database: string,
  record: RecordStatement,
): Promise<void> {
  const version = await cluster.version();
  await cluster.withAdmin(database, async (connection) => {
    const known = await connection.query(sql`select from pg_roles where rolname = $1`, [unmanagedRole]);
    if (known.length === 0) return;
    for (const statement of await joinStatements(connection, version)) {
      record(statement.text);
      await connection.query(statement);
    }
  });
}

/**
 * Gives PUBLIC back what harden took, by what the objects are called now; drops the role when nothing else in the
 * cluster depends on it. Runs inside the caller's transaction.
 */
export async function unharden(connection: AdminConnection, record: RecordStatement): Promise<void> {
  const run = async (statement: Sql): Promise<void> => {
    record(statement.text);
    await connection.query(statement);
  };
  const table = await connection.query<{ there: boolean }>(
    sql`select to_regclass('writ.hardening') is not null as there`,
  );
  if (table[0]?.there === true) {
    const rows = await connection.query<HardeningRow>(file('hardening-rows'));
    for (const statement of reopening(rows.flatMap(privilegeOf))) await run(statement);
    await run(sql`drop table writ.hardening`);
  }
  const role = await connection.query<{ needed: boolean }>(
    sql`select exists (select from pg_shdepend where refclassid = 'pg_authid'::regclass and refobjid = r.oid) as needed
      from pg_roles r where r.rolname = $1`,
    [unmanagedRole],
  );
  if (role[0]?.needed === false) await run(sql`drop role ${identifier(unmanagedRole)}`);
}

interface HardeningRow extends Record<string, unknown> {
  readonly class: PublicPrivilege['class'];
  readonly oid: number;
  readonly attnum: number;
  readonly privilege: string;
  readonly column_name: string | null;
  readonly target: string | null;
}

function privilegeOf(row: HardeningRow): readonly PublicPrivilege[] {
  const { oid, attnum, privilege, target } = row;
  if (target === null) return [];
  return [{ class: row.class, oid, attnum, target, column: row.column_name ?? undefined, privilege }];
}

async function requireInstalled(connection: AdminConnection, cluster: string): Promise<void> {
  const found = await connection.query(
    sql`select from pg_namespace n join pg_roles r on r.oid = n.nspowner
      where n.nspname = 'writ' and r.rolname = $1`,
    [ownerRole],
  );
  if (found.length > 0) return;
  throw new WritError('guard_refused', {
    message: `cluster ${cluster} cannot be hardened yet: there is no schema writ to remember the changes in`,
    hint: 'apply the policy first: writ sync apply',
  });
}

async function joinStatements(connection: AdminConnection, version: number): Promise<readonly Sql[]> {
  const roles = await connection.query<{ name: string; inherits: boolean }>(
    sql`select r.rolname::text as name, r.rolinherit as inherits from pg_roles r
      where r.rolname !~ '^(writ_|pg_)' and r.rolname <> $1 and not r.rolsuper
        and not exists (select from pg_auth_members m join pg_roles u on u.oid = m.roleid
                        where m.member = r.oid and u.rolname = $1)
      order by 1`,
    [unmanagedRole],
  );
  const deaf = version < 160_000 ? roles.filter((role) => !role.inherits).map((role) => role.name) : [];
  if (deaf.length > 0) {
    throw new WritError('guard_refused', {
      message: `this server cannot be hardened: ${deaf.join(', ')} would lose what PUBLIC has`,
      detail: 'they are NOINHERIT, and before Postgres 16 such a role cannot use a membership',
    });
  }
  const known = await connection.query(sql`select from pg_roles where rolname = $1`, [unmanagedRole]);
  const options = version >= 160_000 ? sql` with inherit true, set false` : sql``;
  const role = identifier(unmanagedRole);
  return [
    ...(known.length > 0
      ? []
      : [
          sql`create role ${role} nologin`,
          sql`comment on role ${role} is 'Roles that Writ did not make: they keep what it took from PUBLIC (writ cluster harden)'`,
        ]),
    ...roles.map(({ name }) => sql`grant ${role} to ${identifier(name)}${options}`),
  ];
}

async function remember(connection: AdminConnection, operation: HardenOperation): Promise<void> {
  for (const one of operation.closes) {
    await connection.query(
      sql`insert into writ.hardening (class, oid, attnum, privilege, finding)
        values (${literal(one.class)}, ${integer(one.oid)}, ${integer(one.attnum)}, ${literal(one.privilege)},
          ${literal(operation.finding)})
        on conflict do nothing`,
    );
  }
}

/** Postgres reports a REVOKE without effect as success. */
async function verify(connection: AdminConnection, plan: HardenPlan): Promise<void> {
  const open = new Set(
    (await publicFindings(connection, { catalog: metastore, ruled: new Set() })).map((finding) => finding.id),
  );
  const failed = plan.operations.filter((one) => one.closes.length > 0 && open.has(one.finding));
  if (failed.length === 0) return;
  throw new WritError('guard_refused', {
    message: `still open, nothing was changed: ${failed.map((one) => one.finding).join(', ')}`,
    detail: 'the administrative login may not revoke them',
  });
}

function file(name: string): Sql {
  return trustedSql(readFileSync(new URL(`./${name}.sql`, import.meta.url), 'utf8'), 'file');
}
