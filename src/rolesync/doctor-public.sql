-- What PUBLIC may do in this database that a login of Writ could use to get around the policy: one row per privilege.
-- A missing ACL is spelled out by acldefault. `target` is the object as GRANT names it.
with application_schema as (
  select oid, nspname from pg_namespace
  where nspname !~ '^(pg_|writ_)' and nspname not in ('information_schema', 'writ')
),
entry as (
  select 'database' as class, d.oid, 0 as attnum, d.datname::text as name, format('database %I', d.datname) as target,
    d.datdba as owner, a.privilege_type, a.grantor, a.grantee, null::text as kind,
    null::name as column_name, null::name as schema_name, null::name as relation_name
  from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
  where d.datallowconn
    and (a.privilege_type = 'CONNECT'
      or d.datname = current_database() and a.privilege_type in ('TEMPORARY', 'CREATE'))
  union all
  select 'schema', n.oid, 0, n.nspname::text, format('schema %I', n.nspname), n.nspowner,
    a.privilege_type, a.grantor, a.grantee, null, null, null, null
  from pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
  where n.nspname !~ '^pg_(toast|temp)' and a.privilege_type = 'CREATE'
  union all
  select 'relation', c.oid, 0, format('%I.%I', n.nspname, c.relname),
    format('%s %I.%I', case c.relkind when 'S' then 'sequence' else 'table' end, n.nspname, c.relname),
    c.relowner, a.privilege_type, a.grantor, a.grantee, c.relkind::text, null, n.nspname, c.relname
  from pg_class c join application_schema n on n.oid = c.relnamespace,
    aclexplode(coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))) a
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  union all
  select 'relation', c.oid, t.attnum, format('%I.%I', n.nspname, c.relname),
    format('table %I.%I', n.nspname, c.relname),
    c.relowner, a.privilege_type, a.grantor, a.grantee, c.relkind::text, t.attname, n.nspname, c.relname
  from pg_attribute t join pg_class c on c.oid = t.attrelid join application_schema n on n.oid = c.relnamespace,
    aclexplode(t.attacl) a
  where not t.attisdropped
  union all
  -- Trigger functions cannot be called; their EXECUTE matters only to who makes triggers.
  select 'function', p.oid, 0, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
    format('routine %I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
    p.proowner, a.privilege_type, a.grantor, a.grantee,
    case when n.nspname = 'pg_catalog' then 'large-object' when p.prosecdef then 'definer' else 'dblink' end,
    null, null, null
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
    aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
  where (n.oid in (select oid from application_schema)
      and (p.prosecdef or p.proname in ('dblink', 'dblink_connect', 'dblink_exec', 'dblink_send_query'))
      and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype))
    or (n.nspname = 'pg_catalog' and p.proname in ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lowrite',
      'lo_truncate', 'lo_truncate64', 'lo_import', 'lo_export'))
  union all
  -- What Postgres or an extension keeps from PUBLIC and somebody gave: pg_read_file, pg_authid, …
  select 'function', p.oid, 0, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
    format('routine %I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
    p.proowner, a.privilege_type, a.grantor, a.grantee, 'widened', null, null, null
  from pg_init_privs i join pg_proc p on p.oid = i.objoid join pg_namespace n on n.oid = p.pronamespace,
    aclexplode(p.proacl) a
  where i.classoid = 'pg_proc'::regclass and n.nspname = 'pg_catalog'
    and p.proname not in ('lo_import', 'lo_export')
    and not exists (select from aclexplode(i.initprivs) b where b.grantee = 0)
  union all
  select 'relation', c.oid, 0, format('%I.%I', n.nspname, c.relname), format('table %I.%I', n.nspname, c.relname),
    c.relowner, a.privilege_type, a.grantor, a.grantee, 'widened', null, null, null
  from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a
  where n.nspname = 'pg_catalog' and c.relkind in ('r', 'v', 'm')
    and not exists (
      select from pg_init_privs i, aclexplode(i.initprivs) b
      where i.classoid = 'pg_class'::regclass and i.objoid = c.oid and i.objsubid = 0
        and b.grantee = 0 and b.privilege_type = a.privilege_type)
  union all
  select 'server', s.oid, 0, s.srvname::text, format('foreign server %I', s.srvname), s.srvowner,
    a.privilege_type, a.grantor, a.grantee, null, null, null, null
  from pg_foreign_server s, aclexplode(coalesce(s.srvacl, acldefault('S', s.srvowner))) a
  union all
  select 'wrapper', w.oid, 0, w.fdwname::text, format('foreign data wrapper %I', w.fdwname), w.fdwowner,
    a.privilege_type, a.grantor, a.grantee, null, null, null, null
  from pg_foreign_data_wrapper w, aclexplode(coalesce(w.fdwacl, acldefault('F', w.fdwowner))) a
)
select class, oid::bigint as oid, attnum::integer as attnum, name, target, column_name::text as column_name,
  schema_name::text as schema_name, relation_name::text as relation_name, privilege_type as privilege, kind,
  pg_get_userbyid(owner)::text as owner, pg_get_userbyid(grantor)::text as grantor
from entry where grantee = 0
order by class, name, attnum, privilege
