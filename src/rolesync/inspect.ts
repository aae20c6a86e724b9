import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CatalogInfo } from '../catalog/model.ts';
import type { AdminConnection, Row } from '../fleet/cluster.ts';
import { principalRole, type RoleName } from '../fleet/role-names.ts';
import { parsePrincipalName } from '../kernel/principal.ts';
import { literal, type Sql, sql, trustedSql } from '../kernel/sql.ts';
import { fingerprintText } from '../kernel/token-key.ts';
import { functionHash } from './kit.ts';
import {
  type DatabaseState,
  type Grant,
  type GrantTarget,
  grantKey,
  keyOf,
  type ManagedRole,
  type Membership,
  membershipKey,
  type PolicyData,
  type ViewFact,
} from './state.ts';

// What is there, in one READ ONLY REPEATABLE READ snapshot: a handful of catalog queries, no information_schema.

const file = (name: string): Sql =>
  trustedSql(readFileSync(new URL(`./${name}.sql`, import.meta.url), 'utf8'), 'file');

export interface Observed {
  readonly state: DatabaseState;
  /** Roles named as ours that do not carry our mark: never touched. */
  readonly foreignRoles: ReadonlySet<string>;
  /** Logins of ours (per credential): theirs is fleet's business, but nothing may be granted to them past their role. */
  readonly logins: ReadonlySet<string>;
  /** Schemas named as ours that somebody else owns. */
  readonly foreignSchemas: ReadonlySet<string>;
  /** Owner of each object that holds a grant with another grantor: a REVOKE must be made as that grantor. */
  readonly superuser: boolean;
  readonly versionNumber: number;
  /** Hex SHA-256 over everything seen and the identity of server and database. */
  readonly digest: string;
}

/** Call inside `withAdmin` of the catalog's database. */
export async function inspectDatabase(connection: AdminConnection, catalog: CatalogInfo): Promise<Observed> {
  const rows = await connection.transaction(() => readEverything(connection));
  const notes = new Map(
    rows.roles.filter((role) => role.login).map((role) => [role.name, roleOfLogin(role.comment)]),
  );
  const marked = rows.roles.filter((role) => role.comment.startsWith('writ:') && !role.login);
  const logins = new Set(rows.roles.filter((role) => role.login).map((role) => role.name));
  const foreignRoles = new Set(
    rows.roles.filter((role) => !role.login && !role.comment.startsWith('writ:')).map((role) => role.name),
  );
  const owned = (row: ObjectRow): boolean => row.owner === 'writ_owner';
  const schemas = rows.objects.filter((row) => row.kind === 'schema');
  const state: DatabaseState = {
    roles: new Map(marked.filter((role) => concerns(role, catalog)).map((role) => [role.name, roleOf(role)])),
    memberships: membershipsOf(rows.memberships, marked, notes, foreignRoles, catalog),
    schemas: new Set(schemas.filter(owned).map((row) => row.name)),
    functions: new Map(
      rows.objects.filter((row) => row.kind === 'function').map((row) => [row.name, lookOf(row)]),
    ),
    views: new Map(rows.views.map((row) => [keyOf(row.schema, row.name), viewOf(row)])),
    grants: grantsOf(rows.grants, foreignRoles),
    data: dataOf(rows.data),
    tokenKey: {
      table: rows.identity[0]?.token_table === true,
      fingerprint: rows.tokenKey[0]?.fingerprint,
    },
    eventTriggers: eventTriggersOf(rows.objects.filter((row) => row.kind === 'event trigger')),
    paused: new Set(rows.paused.map((row) => keyOf(row.base_schema, row.base_name))),
  };
  const identity = rows.identity[0];
  return {
    state,
    foreignRoles,
    logins,
    foreignSchemas: new Set(schemas.filter((row) => !owned(row)).map((row) => row.name)),
    superuser: identity?.superuser ?? false,
    versionNumber: identity?.version ?? 0,
    digest: createHash('sha256').update(JSON.stringify(rows)).digest('hex'),
  };
}

interface IdentityRow extends Row {
  readonly superuser: boolean;
  readonly version: number;
  readonly kit: boolean;
  readonly token_table: boolean;
}
interface RoleRow extends Row {
  readonly name: string;
  readonly comment: string;
  readonly login: boolean;
  readonly attributes: readonly string[];
}
interface MembershipRow extends Row {
  readonly role: string;
  readonly member: string;
  readonly grantor: string | null;
  readonly options: {
    readonly inherit_option?: boolean;
    readonly set_option?: boolean;
    readonly admin_option?: boolean;
  };
}
interface GrantRow extends Row {
  readonly kind: GrantTarget['kind'];
  readonly schema: string | null;
  readonly name: string | null;
  readonly detail: string | null;
  readonly grantee: string;
  readonly privilege: string;
  readonly grantable: boolean;
  readonly owner: string;
  readonly grantor: string;
}
interface ObjectRow extends Row {
  readonly kind: 'schema' | 'function' | 'event trigger';
  readonly name: string;
  readonly owner: string | null;
  readonly source: string | null;
  readonly definer: boolean | null;
  readonly settings: string | null;
}
interface ViewRow extends Row {
  readonly schema: string;
  readonly name: string;
  readonly fingerprint: string | null;
  readonly state: 'made' | 'withdrawn' | 'refused' | null;
  readonly reason: string | null;
  readonly ordinal: number;
  readonly depends_on: readonly { schema: string; name: string }[] | null;
  readonly moved: boolean | null;
  readonly renamed: boolean | null;
  readonly stands: boolean;
  readonly altered: boolean;
  readonly columns: readonly { name: string; type: string }[];
}
interface DataRow extends Row {
  readonly kind: 'attribute' | 'exemption' | 'membership';
  readonly principal: string;
  readonly name: string;
  readonly items: readonly string[];
}

async function readEverything(connection: AdminConnection) {
  await connection.query(sql`set transaction isolation level repeatable read, read only`);
  const identity = await connection.query<IdentityRow>(sql`
    select current_setting('is_superuser') = 'on' as superuser, current_setting('server_version_num')::integer as version,
      (select system_identifier::text from pg_control_system()) as system,
      (select oid::text from pg_database where datname = current_database()) as database,
      exists (select from pg_class where relname = 'compiled_view' and relnamespace = to_regnamespace('writ')) as kit,
      to_regclass('writ.token_key') is not null as token_table`);
  const kit = identity[0]?.kit === true;
  return {
    identity,
    roles: await connection.query<RoleRow>(file('inspect-roles')),
    memberships: await connection.query<MembershipRow>(file('inspect-memberships')),
    grants: await connection.query<GrantRow>(file('inspect-grants')),
    objects: await connection.query<ObjectRow>(file('inspect-objects')),
    views: kit ? await connection.query<ViewRow>(file('inspect-views')) : [],
    data: kit ? await connection.query<DataRow>(dataQuery) : [],
    tokenKey:
      identity[0]?.token_table === true
        ? await connection.query<{ fingerprint: string } & Row>(tokenKeyQuery)
        : [],
    paused: kit
      ? await connection.query<{ base_schema: string; base_name: string } & Row>(sql`
      select base_schema::text, base_name::text from writ.paused order by 1, 2`)
      : [],
  };
}

/** The key does not leave the server: its hash is made there, of the blocks as they stand. */
const tokenKeyQuery = sql`
  select encode(sha256(sha256(outer_block || sha256(inner_block || convert_to(${literal(fingerprintText)}, 'UTF8')))), 'hex') as fingerprint
  from writ.token_key`;

const dataQuery = sql`
  select 'attribute' as kind, principal, name, "values" as items from writ.principal_attribute
  union all select 'exemption', principal, policy, '{}' from writ.exemption
  union all select 'membership', principal, grp, '{}' from writ.membership
  order by 1, 2, 3`;

/** Compiled roles belong to one catalog; the other roles of ours to the cluster. */
function concerns(role: { readonly comment: string }, catalog: CatalogInfo): boolean {
  return (
    !role.comment.startsWith('writ: compiled ') || role.comment.startsWith(`writ: compiled ${catalog.name} `)
  );
}

function roleOf(row: RoleRow): ManagedRole {
  return { name: row.name as RoleName, comment: row.comment, attributes: row.attributes };
}

/**
 * What counts: every membership in a role of ours, and of a role of ours in any other. Not: a login in the role of its
 * principal (fleet makes those), and the administrative login's own rows (the query leaves them out).
 */
function membershipsOf(
  rows: readonly MembershipRow[],
  marked: readonly RoleRow[],
  logins: ReadonlyMap<string, string | undefined>,
  foreign: ReadonlySet<string>,
  catalog: CatalogInfo,
): ReadonlyMap<string, Membership> {
  const comments = new Map(marked.map((role) => [role.name, role.comment]));
  const found = new Map<string, Membership>();
  for (const row of rows) {
    const comment = comments.get(row.role);
    const ours =
      comment !== undefined || comments.has(row.member) || logins.has(row.member) || logins.has(row.role);
    if (!ours || foreign.has(row.member)) continue;
    if (comment !== undefined && !concerns({ comment }, catalog)) continue;
    const membership: Membership = {
      role: row.role,
      member: row.member,
      inherit: row.options.inherit_option ?? true,
      set: row.options.set_option ?? false,
      admin: row.options.admin_option ?? false,
      ...(row.grantor === null ? {} : { grantor: row.grantor }),
    };
    if (comment !== undefined && logins.get(row.member) === row.role && !membership.set && !membership.admin)
      continue;
    found.set(membershipKey(membership), membership);
  }
  return found;
}

/** The role of the login's own principal, by the note that fleet leaves; it is a member of that one and no other. */
function roleOfLogin(comment: string): string | undefined {
  try {
    const note: unknown = JSON.parse(comment);
    if (typeof note !== 'object' || note === null || !('principal' in note) || !('door' in note))
      return undefined;
    if (typeof note.principal !== 'string' || (note.door !== 'gateway' && note.door !== 'direct'))
      return undefined;
    return principalRole(parsePrincipalName(note.principal), note.door);
  } catch {
    return undefined; // somebody's own words: then it may be a member of nothing
  }
}

function grantsOf(rows: readonly GrantRow[], foreign: ReadonlySet<string>): ReadonlyMap<string, Grant> {
  const found = new Map<string, Grant>();
  for (const row of rows) {
    if (foreign.has(row.grantee)) continue;
    const grant: Grant = {
      on: targetOf(row),
      grantee: row.grantee,
      privilege: row.privilege,
      grantable: row.grantable,
      ...(row.grantor === row.owner ? {} : { grantor: row.grantor }),
    };
    found.set(grantKey(grant), grant);
  }
  return found;
}

function targetOf(row: GrantRow): GrantTarget {
  const schema = row.schema ?? '';
  const name = row.name ?? '';
  switch (row.kind) {
    case 'database':
      return { kind: 'database', name };
    case 'schema':
      return { kind: 'schema', schema };
    case 'column':
      return { kind: 'column', schema, name, column: row.detail ?? '' };
    case 'function':
      return { kind: 'function', schema, name, signature: row.detail ?? '' };
    default:
      return { kind: row.kind, schema, name };
  }
}

function lookOf(row: ObjectRow): string {
  return functionHash({
    source: row.source ?? '',
    owner: row.owner ?? '',
    definer: row.definer ?? false,
    settings: row.settings ?? '',
  });
}

function viewOf(row: ViewRow): ViewFact {
  const made = row.fingerprint ?? 'not ours';
  const problem =
    row.moved === true && row.stands
      ? 'moved'
      : row.altered
        ? 'altered'
        : !row.stands && row.state === 'made'
          ? 'missing'
          : undefined;
  const state =
    row.state === null || (row.state === 'made' && !row.stands)
      ? 'withdrawn'
      : row.stands
        ? 'made'
        : row.state;
  const reason = !row.stands && row.renamed === true ? 'its name belongs to another table now' : row.reason;
  return {
    schema: row.schema,
    name: row.name,
    fingerprint: problem === undefined ? made : problem,
    ordinal: row.ordinal,
    columns: row.columns,
    dependsOn: row.depends_on ?? [],
    state: row.stands ? 'made' : state,
    ...(reason === null ? {} : { reason }),
  };
}

function dataOf(rows: readonly DataRow[]): PolicyData {
  const of = (kind: DataRow['kind']) => rows.filter((row) => row.kind === kind);
  return {
    attributes: new Map(
      of('attribute').map((row) => [
        keyOf(row.principal, row.name),
        { principal: row.principal, name: row.name, values: row.items },
      ]),
    ),
    exemptions: new Map(
      of('exemption').map((row) => [
        keyOf(row.principal, row.name),
        { principal: row.principal, policy: row.name },
      ]),
    ),
    memberships: new Map(
      of('membership').map((row) => [
        keyOf(row.principal, row.name),
        { principal: row.principal, grp: row.name },
      ]),
    ),
  };
}

function eventTriggersOf(rows: readonly ObjectRow[]): DatabaseState['eventTriggers'] {
  if (rows.length === 0) return 'absent';
  const looks = rows.map((row) => `${row.name}: ${row.source}`);
  return looks.length === 2 && looks.every((look) => expectedTriggers.has(look)) ? 'present' : 'altered';
}

const expectedTriggers: ReadonlySet<string> = new Set([
  'writ_ddl_start: ddl_command_start O writ.on_ddl_start 17',
  'writ_ddl_end: ddl_command_end O writ.on_ddl_end 22',
]);
