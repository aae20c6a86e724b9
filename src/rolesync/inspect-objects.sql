-- Schemas of ours with their owner, and functions of schema `writ` as they are.
select 'schema' as kind, n.nspname::text as name, pg_get_userbyid(n.nspowner)::text as owner,
  null as source, null::boolean as definer, null as settings
from pg_namespace n
where n.nspname ~ '^writ(_|$)'
union all
select 'function', p.proname::text, pg_get_userbyid(p.proowner)::text, p.prosrc, p.prosecdef,
  array_to_string(p.proconfig, '; ')
from pg_proc p
where p.pronamespace = (select oid from pg_namespace where nspname = 'writ')
union all
select 'event trigger', e.evtname::text, pg_get_userbyid(e.evtowner)::text,
  format('%s %s %s %s', e.evtevent, e.evtenabled, e.evtfoid::regproc, coalesce(cardinality(e.evttags), 0)), null, null
from pg_event_trigger e
where e.evtname ~ '^writ_'
order by 1, 2
