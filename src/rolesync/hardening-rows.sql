-- What harden took from PUBLIC, by what the objects are called now; those that are gone are left out.
select h.class, h.oid::bigint as oid, h.attnum, h.privilege, h.finding, a.attname::text as column_name,
  case h.class
    when 'database' then (select format('database %I', datname) from pg_database where oid = h.oid)
    when 'schema' then (select format('schema %I', nspname) from pg_namespace where oid = h.oid)
    when 'relation' then (
      select format('%s %I.%I', case c.relkind when 'S' then 'sequence' else 'table' end, n.nspname, c.relname)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = h.oid)
    when 'function' then (
      select format('routine %I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.oid = h.oid)
    when 'server' then (select format('foreign server %I', srvname) from pg_foreign_server where oid = h.oid)
    when 'wrapper' then (select format('foreign data wrapper %I', fdwname) from pg_foreign_data_wrapper where oid = h.oid)
  end as target
from writ.hardening h
left join pg_attribute a on h.attnum > 0 and a.attrelid = h.oid and a.attnum = h.attnum and not a.attisdropped
where h.attnum = 0 or a.attname is not null
order by h.class, h.oid, h.attnum, h.privilege
