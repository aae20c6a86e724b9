-- What was found on clusters that Writ did not put there, or that had gone.
select
  event_time as event_time,
  cluster as cluster,
  severity as severity,
  summary as summary
from ({events})
where kind = 'sync.drift'
