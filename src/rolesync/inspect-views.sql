-- Shadow views: what was made (writ.compiled_view) beside what stands now.
select
  coalesce(n.nspname, v.view_schema)::text as schema,
  coalesce(c.relname, v.view_name)::text as name,
  v.fingerprint,
  v.state,
  v.reason,
  coalesce(v.ordinal, 0) as ordinal,
  v.source -> 'dependsOn' as depends_on,
  v.base_schema::text as base_schema,
  v.base_name::text as base_name,
  case when v.base_oid <> 0 then v.base_oid::regclass is distinct from
    to_regclass(format('%I.%I', v.base_schema, v.base_name)) end as moved,
  -- Kept reasons are of the last DDL that concerned the view: by now the name may belong to somebody else.
  case when v.base_oid <> 0 and v.source ->> 'definition' is null then
    to_regclass(format('%I.%I', v.base_schema, v.base_name))::oid <> v.base_oid end as renamed,
  c.oid is not null as stands,
  c.oid is not null and (
    v.view_name is null or pg_get_userbyid(c.relowner) <> 'writ_owner' or md5(pg_get_viewdef(c.oid)) is distinct from v.deparsed
    or coalesce('security_barrier=true' = any (c.reloptions), false) is distinct from (v.source ->> 'barrier')::boolean
    or coalesce('check_option=cascaded' = any (c.reloptions), false) is distinct from (v.source ->> 'checkOption')::boolean
  ) as altered,
  coalesce((select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) order by a.attnum)
            from pg_attribute a where a.attrelid = c.oid and a.attnum > 0), '[]') as columns
from (pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname ~ '^writ_' and n.nspowner = 'writ_owner'::regrole
      and c.relkind = 'v')
full join writ.compiled_view v on v.view_schema = n.nspname and v.view_name = c.relname
order by 1, 2
