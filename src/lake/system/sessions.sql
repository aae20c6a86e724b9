-- One row per session that was opened; `ended_at` is null while it is open, or when its end was never recorded.
with event as materialized ({events})
select
  b.session as session_id,
  b.principal as principal,
  b.credential as credential,
  b.catalog as catalog,
  b.client.address as source_ip_address,
  b.client.application as application,
  b.login as login,
  b.event_time as started_at,
  e.event_time as ended_at,
  e.durationMs as duration_ms,
  e.statements as statements,
  e.sqlstate as sqlstate,
  e.message as message
from event as b
left join (select * from event where kind = 'session.end') as e on e.session = b.session
where b.kind = 'session.begin'
