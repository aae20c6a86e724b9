-- Roles and settings that reach around the policy. $1, $2: schemas and names of the ruled relations (parallel arrays).
with recursive ruled as (
  select c.oid, c.relowner from unnest($1::text[], $2::text[]) as r (schema, name)
  join pg_namespace n on n.nspname = r.schema join pg_class c on c.relnamespace = n.oid and c.relname = r.name
),
membership as (
  select m.roleid, m.member, coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true)
      or coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) as usable
  from pg_auth_members m
),
holder (role, member) as (
  select r.rolname, m.member from membership m join pg_roles r on r.oid = m.roleid
  where m.usable and r.rolname in ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files',
    'pg_write_server_files', 'pg_execute_server_program', 'pg_monitor', 'pg_read_all_stats', 'pg_signal_backend',
    'pg_maintain', 'pg_create_subscription', 'pg_checkpoint')
  union
  select h.role, m.member from holder h join membership m on m.roleid = h.member where m.usable
)
select 'superuser' as what, rolname::text as subject, null::text as object, null::text as detail
from pg_roles where rolsuper and rolname !~ '^writ_'
union all
select 'role-maker', rolname::text, null, null
from pg_roles where rolcreaterole and not rolsuper and rolname !~ '^(writ_|pg_)' and rolname <> current_user
union all
select distinct 'owner', r.rolname::text, null, null
from ruled join pg_roles r on r.oid = ruled.relowner where not r.rolsuper
union all
select 'predefined', r.rolname::text, h.role::text, null
from holder h join pg_roles r on r.oid = h.member where r.rolname !~ '^(writ_|pg_)' and not r.rolsuper
union all
select 'managed-attribute', rolname::text, a.name, null
from pg_roles, lateral (values ('superuser', rolsuper), ('createrole', rolcreaterole), ('createdb', rolcreatedb),
  ('replication', rolreplication), ('bypassrls', rolbypassrls)) as a (name, held)
where rolname ~ '^writ_' and a.held
union all
select 'managed-member', l.rolname::text, r.rolname::text, null
from membership m join pg_roles l on l.oid = m.member join pg_roles r on r.oid = m.roleid
where m.usable and l.rolname ~ '^writ_' and r.rolname !~ '^writ_'
union all
select 'foreign-member', l.rolname::text, r.rolname::text, null
from membership m join pg_roles l on l.oid = m.member join pg_roles r on r.oid = m.roleid
where m.usable and l.rolname !~ '^(writ_|pg_)' and r.rolname ~ '^writ_' and r.rolname <> 'unmanaged_by_writ'
  and not l.rolsuper and l.rolname <> current_user
union all
select 'setting', r.rolname::text, split_part(s.setting, '=', 1), d.datname::text
from pg_db_role_setting c join pg_roles r on r.oid = c.setrole left join pg_database d on d.oid = c.setdatabase,
  unnest(c.setconfig) as s (setting)
where r.rolname ~ '^writ_'
  and not (r.rolname ~ '^writ_(l_)?d_' and d.datname is not null and split_part(s.setting, '=', 1) = 'search_path')
union all
select 'unjoined', r.rolname::text, null, null
from pg_roles r
where exists (select from pg_roles where rolname = 'unmanaged_by_writ')
  and r.rolname !~ '^(writ_|pg_)' and r.rolname <> 'unmanaged_by_writ' and not r.rolsuper
  and not exists (select from pg_auth_members m join pg_roles u on u.oid = m.roleid
                  where m.member = r.oid and u.rolname = 'unmanaged_by_writ')
order by 1, 2, 3, 4
