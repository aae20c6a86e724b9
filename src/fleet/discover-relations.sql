-- Relations that people can name, partitions included (they carry their root): tables, partitioned tables, views,
-- materialized views, foreign tables. Not: what belongs to an extension, to Postgres, or to Writ.
select
  c.oid::bigint as oid,
  n.nspname::text as schema,
  c.relname::text as name,
  c.relkind::text as kind,
  pg_get_userbyid(c.relowner)::text as owner,
  obj_description(c.oid, 'pg_class') as comment,
  case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end as definition,
  case when c.relispartition then root.nspname::text end as root_schema,
  case when c.relispartition then root.relname::text end as root_name
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join lateral (
  select rn.nspname, rc.relname
  from pg_class rc join pg_namespace rn on rn.oid = rc.relnamespace
  where c.relispartition and rc.oid = pg_partition_root(c.oid)
) root on true
where c.relkind in ('r', 'p', 'v', 'm', 'f')
  and n.nspname !~ '^(pg_|writ_)' and n.nspname not in ('information_schema', 'writ')
  and not exists (
    select from pg_depend d
    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
order by n.nspname, c.relname
