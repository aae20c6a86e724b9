import { Client } from 'pg';

// Everything of a database and its cluster that governance could leave behind, as sorted JSON: compare before the first
// apply and after uninstall. A privilege list that is absent (the default) and one that spells the default out are
// equal, because they mean the same. Sequence values, OIDs and statistics are not part of it.

export type Fingerprint = Readonly<Record<string, readonly unknown[]>>;

/** @param adminUrl a superuser, any database of the cluster */
export async function catalogFingerprint(adminUrl: string, database: string): Promise<Fingerprint> {
  const url = new URL(adminUrl);
  url.pathname = `/${encodeURIComponent(database)}`;
  const client = new Client({ connectionString: url.href });
  await client.connect();
  try {
    await client.query('set search_path = pg_catalog');
    const fingerprint: Record<string, readonly unknown[]> = {};
    for (const [section, query] of Object.entries(sections)) {
      fingerprint[section] = await sorted(client, query);
    }
    return fingerprint;
  } finally {
    await client.end();
  }
}

async function sorted(client: Client, query: string): Promise<unknown[]> {
  const { rows } = await client.query<{ row: string }>(
    `select to_jsonb(found)::text as row from (${query}) as found`,
  );
  return rows
    .map(({ row }) => row)
    .sort()
    .map((row) => JSON.parse(row) as unknown);
}

const privilegesOf = (list: string, kind: string, owner: string): string =>
  `array(select item::text from unnest(coalesce(${list}, acldefault('${kind}', ${owner}))) as item order by 1)`;

const role = (oid: string): string => `pg_get_userbyid(${oid})`;
const ours = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%'";
/** System objects count only where somebody changed their privileges. */
const changed = (list: string, kind: string, owner: string): string =>
  `${privilegesOf(list, kind, owner)} is distinct from ${privilegesOf('null::aclitem[]', kind, owner)}`;
const relationKind = "case c.relkind when 'S' then 's'::\"char\" else 'r'::\"char\" end";
const relationPrivileges = `array(select item::text from unnest(coalesce(c.relacl, acldefault(${relationKind}, c.relowner))) as item order by 1)`;

const sections = {
  roles: `select rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
      rolconnlimit, rolvaliduntil, md5(rolpassword) as password, shobj_description(oid, 'pg_authid') as comment
    from pg_authid`,
  memberships: `select ${role('roleid')} as role, ${role('member')} as member, ${role('grantor')} as grantor,
      to_jsonb(m) - 'oid' - 'roleid' - 'member' - 'grantor' as options
    from pg_auth_members as m`,
  settings: `select (select datname from pg_database where oid = setdatabase) as database,
      case when setrole <> 0 then ${role('setrole')} end as role,
      array(select s from unnest(setconfig) as s order by 1) as settings
    from pg_db_role_setting`,
  systemSettings: "select name, setting from pg_file_settings where sourcefile like '%postgresql.auto.conf'",
  parameterPrivileges: 'select parname, paracl::text[] as acl from pg_parameter_acl',
  databases: `select datname, ${role('datdba')} as owner, ${privilegesOf('datacl', 'd', 'datdba')} as acl, datconnlimit,
      datallowconn, datistemplate, shobj_description(oid, 'pg_database') as comment
    from pg_database`,
  tablespaces: `select spcname, ${role('spcowner')} as owner, ${privilegesOf('spcacl', 't', 'spcowner')} as acl from pg_tablespace`,
  schemas: `select nspname, ${role('nspowner')} as owner, ${privilegesOf('nspacl', 'n', 'nspowner')} as acl,
      obj_description(oid, 'pg_namespace') as comment
    from pg_namespace where nspname not like 'pg\\_toast%' and nspname not like 'pg\\_temp%'`,
  relations: `select n.nspname, c.relname, c.relkind, ${role('c.relowner')} as owner, ${relationPrivileges} as acl, c.reloptions,
      c.relrowsecurity, c.relforcerowsecurity, c.relispartition, c.relreplident, c.relpersistence,
      pg_get_expr(c.relpartbound, c.oid) as bound, obj_description(c.oid, 'pg_class') as comment,
      case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end as definition
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where ${ours} and c.relkind <> 'i'`,
  systemRelations: `select n.nspname, c.relname, ${relationPrivileges} as acl
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where not (${ours}) and c.relkind in ('r', 'v', 'S') and n.nspname not like 'pg\\_t%'
      and c.relacl is distinct from (select p.initprivs from pg_init_privs as p
        where p.classoid = 'pg_class'::regclass and p.objoid = c.oid and p.objsubid = 0)`,
  columns: `select n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull, a.attidentity,
      array(select item::text from unnest(a.attacl) as item order by 1) as acl, pg_get_expr(d.adbin, d.adrelid) as default,
      col_description(c.oid, a.attnum) as comment
    from pg_attribute as a join pg_class as c on c.oid = a.attrelid join pg_namespace as n on n.oid = c.relnamespace
      left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where (${ours} or a.attacl is not null) and a.attnum > 0 and not a.attisdropped and c.relkind <> 'i'`,
  constraints: `select n.nspname, conrelid::regclass::text as relation, conname, pg_get_constraintdef(k.oid) as definition
    from pg_constraint as k join pg_namespace as n on n.oid = k.connamespace where ${ours}`,
  indexes: `select pg_get_indexdef(i.indexrelid) as definition from pg_index as i
    join pg_class as c on c.oid = i.indrelid join pg_namespace as n on n.oid = c.relnamespace where ${ours}`,
  triggers: 'select pg_get_triggerdef(oid) as definition, tgenabled from pg_trigger where not tgisinternal',
  rules: `select c.relname, r.rulename, pg_get_ruledef(r.oid) as definition from pg_rewrite as r
    join pg_class as c on c.oid = r.ev_class join pg_namespace as n on n.oid = c.relnamespace
    where ${ours} and c.relkind not in ('v', 'm')`,
  policies: `select polrelid::regclass::text as relation, polname, polcmd, polpermissive,
      array(select ${role('r')} from unnest(polroles) as r order by 1) as roles,
      pg_get_expr(polqual, polrelid) as using, pg_get_expr(polwithcheck, polrelid) as check
    from pg_policy`,
  functions: `select n.nspname, p.proname, pg_get_function_identity_arguments(p.oid) as arguments, ${role('p.proowner')} as owner,
      ${privilegesOf('p.proacl', 'f', 'p.proowner')} as acl, p.prosecdef, p.proconfig, p.provolatile, p.prokind,
      md5(p.prosrc) as source, obj_description(p.oid, 'pg_proc') as comment
    from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace where ${ours}`,
  systemFunctions: `select p.oid::regprocedure::text as function, ${privilegesOf('p.proacl', 'f', 'p.proowner')} as acl
    from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
    where not (${ours}) and ${changed('p.proacl', 'f', 'p.proowner')}`,
  types: `select n.nspname, t.typname, t.typtype, ${role('t.typowner')} as owner, ${privilegesOf('t.typacl', 'T', 't.typowner')} as acl
    from pg_type as t join pg_namespace as n on n.oid = t.typnamespace where ${ours}`,
  languages: `select lanname, ${role('lanowner')} as owner, ${privilegesOf('lanacl', 'l', 'lanowner')} as acl from pg_language`,
  eventTriggers: `select evtname, evtevent, ${role('evtowner')} as owner, evtfoid::regprocedure::text as function, evtenabled, evttags
    from pg_event_trigger`,
  defaultPrivileges: `select ${role('defaclrole')} as role, (select nspname from pg_namespace where oid = defaclnamespace) as schema,
      defaclobjtype, array(select item::text from unnest(defaclacl) as item order by 1) as acl
    from pg_default_acl`,
  extensions: 'select extname, extversion from pg_extension',
  publications: 'select pubname, puballtables from pg_publication',
  foreignServers: 'select srvname, srvacl::text[] as acl from pg_foreign_server',
  largeObjects: `select m.oid, ${role('lomowner')} as owner, ${privilegesOf('lomacl', 'L', 'lomowner')} as acl
    from pg_largeobject_metadata as m`,
  securityLabels: `select objtype, objname, provider, label from pg_seclabels`,
} as const satisfies Record<string, string>;
