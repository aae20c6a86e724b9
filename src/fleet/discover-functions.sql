-- Functions, procedures, aggregates and window functions; not those of an extension.
select
  n.nspname::text as schema,
  p.proname::text as name,
  pg_get_function_identity_arguments(p.oid) as signature,
  p.prokind::text as kind,
  p.prosecdef as security_definer,
  pg_get_userbyid(p.proowner)::text as owner
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
where n.nspname !~ '^(pg_|writ_)' and n.nspname not in ('information_schema', 'writ')
  and not exists (
    select from pg_depend d
    where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
  )
order by 1, 2, 3
