-- Functions and rules of the application that NOTIFY: LISTEN needs no privilege, so whoever may connect hears them.
select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as name,
  coalesce((select string_agg(format('trigger %I on %s', t.tgname, t.tgrelid::regclass), ', ')
            from pg_trigger t where t.tgfoid = p.oid and not t.tgisinternal), 'function') as used_by
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname !~ '^(pg_|writ_)' and n.nspname not in ('information_schema', 'writ')
  and coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) ~* '\m(notify|pg_notify)\M'
union all
select format('%s.%I', r.ev_class::regclass, r.rulename), 'rule'
from pg_rewrite r
where r.rulename <> '_RETURN' and pg_get_ruledef(r.oid) ~* '\mnotify\M'
order by 1
