-- Every grant in this database to a role of ours; NULL ACLs give nothing to them, so that defaults need no spelling out.
with ours as (select oid, rolname::text as name from pg_roles where rolname ~ '^writ_'),
acl as (
  select 'database' as kind, null::text as schema, d.datname::text as name, null::text as detail, d.datdba as owner, a.*
  from pg_database d, aclexplode(d.datacl) a where d.datname = current_database()
  union all
  select 'schema', n.nspname::text, null, null, n.nspowner, a.*
  from pg_namespace n, aclexplode(n.nspacl) a
  union all
  select case when c.relkind = 'S' then 'sequence' else 'relation' end, n.nspname::text, c.relname::text, null, c.relowner, a.*
  from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a
  union all
  select 'column', n.nspname::text, c.relname::text, t.attname::text, c.relowner, a.*
  from pg_attribute t join pg_class c on c.oid = t.attrelid join pg_namespace n on n.oid = c.relnamespace,
    aclexplode(t.attacl) a
  where not t.attisdropped
  union all
  select 'function', n.nspname::text, p.proname::text, pg_get_function_identity_arguments(p.oid), p.proowner, a.*
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace, aclexplode(p.proacl) a
)
select kind, schema, acl.name, detail, grantee.name as grantee, privilege_type as privilege, is_grantable as grantable,
  acl.owner::regrole::text as owner, pg_get_userbyid(acl.grantor)::text as grantor
from acl join ours grantee on grantee.oid = acl.grantee
where acl.owner <> acl.grantee
order by 1, 2, 3, 4, 5, 6
