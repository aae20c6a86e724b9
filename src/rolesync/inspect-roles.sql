-- Roles of ours (marked by their comment) and every login of ours, with what they must not have.
select
  r.rolname::text as name,
  coalesce(shobj_description(r.oid, 'pg_authid'), '') as comment,
  r.rolname ~ '^writ_l_' as login,
  array_remove(array[
    case when r.rolcanlogin and r.rolname !~ '^writ_l_' then 'LOGIN' end,
    case when r.rolsuper then 'SUPERUSER' end,
    case when r.rolcreaterole then 'CREATEROLE' end,
    case when r.rolcreatedb then 'CREATEDB' end,
    case when r.rolreplication then 'REPLICATION' end,
    case when r.rolbypassrls then 'BYPASSRLS' end
  ], null) as attributes
from pg_roles r
where r.rolname ~ '^writ_'
order by 1
