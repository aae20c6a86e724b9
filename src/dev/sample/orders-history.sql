-- Years of orders of the same customers as in the shop: same e-mails, same regions. DuckDB's dialect.
select
  cast(i as bigint) as order_id,
  lower(list_extract(['Ann', 'Bob', 'Carol', 'Dan', 'Eve', 'Finn', 'Grace', 'Hugo', 'Iris', 'Jack', 'Kim', 'Leo'], c % 12 + 1))
    || '.'
    || lower(list_extract(['Lee', 'Meyer', 'Novak', 'Okoye', 'Patel', 'Quinn', 'Rossi', 'Sato', 'Tran', 'Weber', 'Young'], c % 11 + 1))
    || c || '@example.com' as customer_email,
  list_extract(['EMEA', 'APAC', 'AMER'], c % 3 + 1) as region,
  cast(cast(i * 7919 % 50000 + 500 as decimal(12,2)) / 100 as decimal(10,2)) as amount,
  timestamp '2018-01-01 00:00:00' + to_minutes(i * 3) as ordered_at
from (select i, cast(i * 31 % 5000 + 1 as integer) as c from range(1, 1000001) as numbers(i)) as orders
order by i
