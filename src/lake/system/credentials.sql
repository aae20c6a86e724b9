-- One row per credential that was issued; never a secret.
with event as materialized ({events}),
revoked as (
  select credentialId, min(event_time) as event_time, min(principal) as principal
  from event where kind = 'credential.revoke' group by credentialId
)
select
  b.credentialId as credential_id,
  b.principal as principal,
  b.catalog as catalog,
  b.direct as direct,
  b.event_time as issued_at,
  make_timestamptz(cast(round(b.expiresAt * 1000) as bigint)) as expires_at,
  r.event_time as revoked_at,
  r.principal as revoked_by,
  b.purpose as purpose,
  b.ticket as ticket
from event as b
left join revoked as r on r.credentialId = b.credentialId
where b.kind = 'credential.issue'
