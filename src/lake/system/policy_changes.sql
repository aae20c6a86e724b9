-- Plans, applies and refusals of policy, with what they said in words.
select
  event_time as event_time,
  kind as kind,
  principal as principal,
  policyVersion as policy_version,
  "commit" as "commit",
  summary as summary,
  message as message
from ({events})
where kind in ('policy.plan', 'policy.apply', 'policy.refused', 'policy.source')
