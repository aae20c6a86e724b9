-- What a change of a row brings with it, by the table (of a partition: by its root).
-- `trigger`: enabled triggers whose function runs with the rights of whoever writes and can read tables (not one of
-- Postgres's own, which read nothing but the row). `cascade`: foreign keys that refer to the table and whose action
-- writes; `schema.name` is the table that holds the key.
select distinct
  'trigger' as what,
  coalesce(pg_partition_root(t.tgrelid), t.tgrelid)::bigint as oid,
  t.tgname::text as name,
  null::text as schema,
  null::text as "table",
  null::text as on_delete,
  null::text as on_update
from pg_trigger t
join pg_proc p on p.oid = t.tgfoid
where not t.tgisinternal and t.tgenabled <> 'D' and not p.prosecdef
  and p.pronamespace <> 'pg_catalog'::regnamespace
union all
select distinct
  'cascade',
  coalesce(pg_partition_root(k.confrelid), k.confrelid)::bigint,
  k.conname::text,
  n.nspname::text,
  c.relname::text,
  k.confdeltype::text,
  k.confupdtype::text
from pg_constraint k
join pg_class c on c.oid = coalesce(pg_partition_root(k.conrelid), k.conrelid)
join pg_namespace n on n.oid = c.relnamespace
where k.contype = 'f' and k.conparentid = 0
  and (k.confdeltype in ('c', 'n', 'd') or k.confupdtype in ('c', 'n', 'd'))
  and n.nspname !~ '^(pg_|writ_)' and n.nspname not in ('information_schema', 'writ')
order by 1, 2, 3, 4, 5
