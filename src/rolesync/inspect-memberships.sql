-- Memberships in roles of ours, and of roles of ours in others. Options as JSON, because older servers know fewer.
select
  r.rolname::text as role,
  m.rolname::text as member,
  g.rolname::text as grantor,
  to_jsonb(am) as options
from pg_auth_members am
join pg_roles r on r.oid = am.roleid
join pg_roles m on m.oid = am.member
left join pg_roles g on g.oid = am.grantor
where (r.rolname ~ '^writ_' or m.rolname ~ '^writ_') and m.rolname <> session_user
order by 1, 2, 3
