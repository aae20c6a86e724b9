-- What a view reads, directly (`reads`), and the sequences that a column's default calls (`sequence`).
select distinct
  'reads' as what, r.ev_class::bigint as oid, n.nspname::text as schema, c.relname::text as name
from pg_rewrite r
join pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm')
join pg_namespace vn on vn.oid = v.relnamespace
  and vn.nspname !~ '^(pg_|writ_)' and vn.nspname not in ('information_schema', 'writ')
join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
  and d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class
join pg_class c on c.oid = d.refobjid and c.relkind in ('r', 'p', 'v', 'm', 'f')
join pg_namespace n on n.oid = c.relnamespace
union all
select distinct 'sequence', f.adrelid::bigint, n.nspname::text, s.relname::text
from pg_attrdef f
join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid
  and d.refclassid = 'pg_class'::regclass
join pg_class s on s.oid = d.refobjid and s.relkind = 'S'
join pg_namespace n on n.oid = s.relnamespace
order by 1, 2, 3, 4
