import { never } from '../kernel/never.ts';
import { identifier, join, literal, qualified, type Sql, sql, trustedSql } from '../kernel/sql.ts';
import { eventTriggerSql, kitSql } from './kit.ts';
import type { PlanOperation } from './plan-operation.ts';
import { viewStatement } from './shadow-view.ts';
import type { GrantTarget } from './state.ts';

/** The statements of one operation, in order; they belong into one transaction. Pure. `version`: server_version_num. */
export function render(operation: PlanOperation, version: number): readonly Sql[] {
  switch (operation.op) {
    case 'create-role':
    case 'restrict-role':
    case 'drop-role':
      return renderRole(operation);
    case 'grant-membership':
    case 'revoke-membership':
      return [renderMembership(operation, version)];
    case 'grant':
    case 'revoke':
      return renderGrant(operation);
    case 'grant-columns':
    case 'revoke-columns':
      return renderColumnGrant(operation);
    case 'install-schema':
      return [kitSql()];
    case 'install-event-triggers':
      return [eventTriggerSql()];
    case 'drop-event-triggers':
      return [
        sql`drop event trigger if exists writ_ddl_start`,
        sql`drop event trigger if exists writ_ddl_end`,
      ];
    case 'create-schema':
      return [sql`create schema ${identifier(operation.schema)} authorization writ_owner`];
    case 'drop-schema':
      return [sql`drop schema ${identifier(operation.schema)}`];
    case 'make-view':
      return renderView(operation);
    case 'drop-view':
      return [
        sql`drop view if exists ${qualified(operation.schema, operation.name)} cascade`,
        sql`delete from writ.compiled_view where view_schema = ${literal(operation.schema)} and view_name = ${literal(operation.name)}`,
      ];
    case 'put-token-key':
      return [quietLog, putTokenKey];
    case 'remove-token-key':
      return [sql`delete from writ.token_key`];
    default:
      return [renderData(operation)];
  }
}

/** Whose parameters are the two blocks of the key. */
export const putTokenKey = sql`insert into writ.token_key (one, inner_block, outer_block) values (true, $1, $2)
  on conflict (one) do update set inner_block = excluded.inner_block, outer_block = excluded.outer_block`;

/** The server may log parameters; an administrative login that is no superuser may not change that. */
const quietLog = sql`do $writ$ begin
  perform set_config('log_parameter_max_length_on_error', '0', true);
  perform set_config('log_parameter_max_length', '0', true);
  perform set_config('auto_explain.log_parameter_max_length', '0', true);
exception when others then null; end $writ$`;

type Of<K extends PlanOperation['op']> = Extract<PlanOperation, { op: K }>;

function renderRole(operation: Of<'create-role' | 'restrict-role' | 'drop-role'>): readonly Sql[] {
  const role = identifier(operation.role);
  switch (operation.op) {
    case 'create-role':
      return [
        sql`create role ${role} nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls`,
        sql`comment on role ${role} is ${literal(operation.comment)}`,
      ];
    case 'restrict-role':
      return [sql`alter role ${role} nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls`];
    case 'drop-role':
      return [sql`drop role ${role}`];
  }
}

function renderMembership(operation: Of<'grant-membership' | 'revoke-membership'>, version: number): Sql {
  const role = identifier(operation.role);
  const members = join(operation.members.map(identifier));
  if (operation.op === 'grant-membership') {
    const options = version >= 160000 ? sql` with inherit true, set false` : sql``;
    return sql`grant ${role} to ${members}${options}`;
  }
  const { grantor } = operation;
  const by = grantor === undefined || version < 160000 ? sql`` : sql` granted by ${identifier(grantor)}`;
  return sql`revoke ${role} from ${members}${by}`;
}

function renderGrant(operation: Of<'grant' | 'revoke'>): readonly Sql[] {
  const privileges = join(operation.privileges.map((privilege) => privilegeWord(privilege)));
  const objects = sql`${targetWord(operation.targets)} ${join(operation.targets.map(targetName))}`;
  const grantee = identifier(operation.grantee);
  if (operation.op === 'grant') return [sql`grant ${privileges} on ${objects} to ${grantee}`];
  return asGrantor(operation.grantor, sql`revoke ${privileges} on ${objects} from ${grantee} cascade`);
}

function renderColumnGrant(operation: Of<'grant-columns' | 'revoke-columns'>): readonly Sql[] {
  const privileges = join(
    [...operation.columns].map(
      ([privilege, columns]) => sql`${privilegeWord(privilege)} (${join(columns.map(identifier))})`,
    ),
  );
  const table = qualified(operation.schema, operation.name);
  const grantee = identifier(operation.grantee);
  if (operation.op === 'grant-columns') return [sql`grant ${privileges} on ${table} to ${grantee}`];
  return asGrantor(operation.grantor, sql`revoke ${privileges} on ${table} from ${grantee} cascade`);
}

/** A REVOKE by anybody but the grantor is a silent no-op. */
function asGrantor(grantor: string | undefined, revoke: Sql): readonly Sql[] {
  if (grantor === undefined) return [revoke];
  return [sql`set local role ${identifier(grantor)}`, revoke, sql`reset role`];
}

function renderView(operation: Of<'make-view'>): readonly Sql[] {
  const { view } = operation;
  const name = qualified(view.schema, view.name);
  const statements: Sql[] = [];
  if (operation.how === 'recreate') statements.push(sql`drop view if exists ${name} cascade`);
  // As the owner, who can read what the view reads and nothing else.
  statements.push(sql`set local role writ_owner`, viewStatement(view, operation.how === 'replace'));
  for (const grant of operation.grants) {
    statements.push(
      sql`grant ${join(grant.privileges.map(privilegeWord))} on ${name} to ${identifier(grant.grantee)}`,
    );
  }
  statements.push(sql`reset role`);
  return statements;
}

/** What the event triggers make the view from; written in the same transaction. */
export function renderViewRecord(
  operation: Of<'make-view'>,
  state: 'made' | 'refused',
  reason: string | null,
): Sql {
  const { view } = operation;
  const { door: _door, shape: _shape, ...source } = view;
  const place = literal(qualified(view.schema, view.name).text);
  const values = join([
    literal(view.schema),
    literal(view.name),
    trustedSql(String(operation.ordinal), 'catalog'),
    trustedSql(String(view.base.oid), 'catalog'),
    literal(view.base.schema),
    literal(view.base.name),
    sql`${literal(JSON.stringify(source))}::jsonb`,
    literal(operation.fingerprint),
    state === 'made' ? sql`md5(pg_get_viewdef(${place}::regclass))` : sql`null`,
    literal(state),
    reason === null ? sql`null` : literal(reason),
  ]);
  return sql`insert into writ.compiled_view (view_schema, view_name, ordinal, base_oid, base_schema, base_name, source, fingerprint, deparsed, state, reason)
    values (${values})
    on conflict (view_schema, view_name) do update set ordinal = excluded.ordinal, base_oid = excluded.base_oid, base_schema = excluded.base_schema,
      base_name = excluded.base_name, source = excluded.source, fingerprint = excluded.fingerprint, deparsed = excluded.deparsed,
      state = excluded.state, reason = excluded.reason, grants = '[]'`;
}

function renderData(
  operation: Of<
    | 'put-attributes'
    | 'remove-attributes'
    | 'put-exemptions'
    | 'remove-exemptions'
    | 'put-memberships'
    | 'remove-memberships'
  >,
): Sql {
  const rows = sql`${literal(JSON.stringify(operation.rows))}::jsonb`;
  switch (operation.op) {
    case 'put-attributes':
      return sql`insert into writ.principal_attribute (principal, name, "values")
        select r.principal, r.name, array(select jsonb_array_elements_text(r."values")) from jsonb_to_recordset(${rows}) r (principal text, name text, "values" jsonb)
        on conflict (principal, name) do update set "values" = excluded."values"`;
    case 'remove-attributes':
      return sql`delete from writ.principal_attribute d using jsonb_to_recordset(${rows}) r (principal text, name text) where d.principal = r.principal and d.name = r.name`;
    case 'put-exemptions':
      return sql`insert into writ.exemption (principal, policy) select r.principal, r.policy from jsonb_to_recordset(${rows}) r (principal text, policy text) on conflict do nothing`;
    case 'remove-exemptions':
      return sql`delete from writ.exemption d using jsonb_to_recordset(${rows}) r (principal text, policy text) where d.principal = r.principal and d.policy = r.policy`;
    case 'put-memberships':
      return sql`insert into writ.membership (principal, grp) select r.principal, r.grp from jsonb_to_recordset(${rows}) r (principal text, grp text) on conflict do nothing`;
    case 'remove-memberships':
      return sql`delete from writ.membership d using jsonb_to_recordset(${rows}) r (principal text, grp text) where d.principal = r.principal and d.grp = r.grp`;
    default:
      return never(operation);
  }
}

const words: Readonly<Record<string, Sql>> = {
  SELECT: sql`select`,
  INSERT: sql`insert`,
  UPDATE: sql`update`,
  DELETE: sql`delete`,
  USAGE: sql`usage`,
  EXECUTE: sql`execute`,
  CONNECT: sql`connect`,
  CREATE: sql`create`,
  TEMPORARY: sql`temporary`,
  TRUNCATE: sql`truncate`,
  REFERENCES: sql`references`,
  TRIGGER: sql`trigger`,
  MAINTAIN: sql`maintain`,
};

/** Anything else that a newer server knows is taken away with ALL. */
const privilegeWord = (privilege: string): Sql => words[privilege] ?? sql`all privileges`;

function targetWord(targets: readonly GrantTarget[]): Sql {
  const kind = targets[0]?.kind ?? 'relation';
  switch (kind) {
    case 'database':
      return sql`database`;
    case 'schema':
      return sql`schema`;
    case 'sequence':
      return sql`sequence`;
    case 'function':
      return sql`routine`;
    default:
      return sql`table`;
  }
}

function targetName(on: GrantTarget): Sql {
  switch (on.kind) {
    case 'database':
      return identifier(on.name);
    case 'schema':
      return identifier(on.schema);
    case 'function':
      return sql`${qualified(on.schema, on.name)}(${trustedSql(on.signature, 'catalog')})`;
    default:
      return qualified(on.schema, on.name);
  }
}
