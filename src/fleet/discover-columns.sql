-- Columns of those relations. Types by name: a domain, a text type with a nondeterministic collation, and whatever
-- the expression matrix does not know are `other`.
select
  a.attrelid::bigint as oid,
  a.attname::text as name,
  a.attnum::integer as position,
  format_type(a.atttypid, a.atttypmod) as engine_type,
  case when t.typnamespace = 'pg_catalog'::regnamespace and t.typtype = 'b'
         and coalesce(k.collisdeterministic, true)
       then t.typname::text end as type_name,
  not a.attnotnull as nullable,
  a.attgenerated <> '' as generated
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_type t on t.oid = a.atttypid
left join pg_collation k on k.oid = a.attcollation
where a.attnum > 0 and not a.attisdropped
  and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
  and n.nspname !~ '^(pg_|writ_)' and n.nspname not in ('information_schema', 'writ')
order by a.attrelid, a.attnum
