-- Every record of the audit segments, as it stands in the files now. A torn last line is no JSON and is left out.
select unnest(
  from_json(
    payload,
    '{"id":"VARCHAR","time":"DOUBLE","kind":"VARCHAR","principal":"VARCHAR","session":"VARCHAR","credential":"VARCHAR",
      "client":{"address":"VARCHAR","application":"VARCHAR"},"catalog":"VARCHAR","decision":"VARCHAR",
      "reasons":["VARCHAR"],"policyVersion":"VARCHAR","sqlstate":"VARCHAR","message":"VARCHAR","login":"VARCHAR",
      "durationMs":"DOUBLE","statements":"BIGINT","statementId":"VARCHAR","statement":"VARCHAR","command":"VARCHAR",
      "tables":["VARCHAR"],"columns":["VARCHAR"],"rows":"BIGINT","bytes":"BIGINT","summary":"VARCHAR",
      "cluster":"VARCHAR","severity":"VARCHAR","credentialId":"VARCHAR","direct":"BOOLEAN","expiresAt":"DOUBLE",
      "purpose":"VARCHAR","ticket":"VARCHAR","issuer":"VARCHAR","subject":"VARCHAR","method":"VARCHAR",
      "path":"VARCHAR","status":"INTEGER","repository":"VARCHAR","ref":"VARCHAR","commit":"VARCHAR",
      "author":"VARCHAR","signers":["VARCHAR"],"approvers":["VARCHAR"]}'
  )
),
seq,
make_timestamptz(cast(round(cast(payload ->> '$.time' as double) * 1000) as bigint)) as event_time
from (select seq, case when json_valid(payload) then payload end as payload from {source})
where payload is not null
