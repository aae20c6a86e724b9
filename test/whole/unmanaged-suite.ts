import { createHash } from 'node:crypto';
import { Client, DatabaseError } from 'pg';
import type { ShopRole } from '../../src/dev/sample/shop.ts';
import { copyIn, copyOut } from './copy.ts';

// What the application, its backup, its report and its loader do all day, written without a thought of governance. Run
// it before Writ comes, while it governs, and after it has gone: the answers must be equal (`toEqual`). It leaves
// the database as it found it, apart from sequence values.

/** Plain JSON; nothing in it depends on time, on sequence values, or on how often the suite has run. */
export type Answers = Readonly<Record<string, unknown>>;

/** A day on which the sample has no orders. */
const loadDay = '2031-01-05';

/** @param adminUrl any database of the cluster; it is used to look, never to change */
export async function runUnmanagedSuite(
  adminUrl: string,
  roleUrls: Readonly<Record<ShopRole, string>>,
): Promise<Answers> {
  return {
    application: await as(roleUrls.shop_app, application),
    statistics: await as(roleUrls.shop_app, statistics),
    plans: await as(roleUrls.shop_app, plans),
    report: await as(roleUrls.shop_report, report),
    load: await load(roleUrls),
    dump: await as(roleUrls.shop_backup, dump),
    ownPolicy: await ownPolicy(roleUrls),
    materializedView: await as(roleUrls.shop_app, materializedView),
    migration: await migration(roleUrls),
    roles: await as(adminUrl, roles),
    dumpAfterwards: await as(roleUrls.shop_backup, dump),
  };
}

async function application(client: Client): Promise<Answers> {
  const newCustomer = "insert into customers (name, email, region) values ('New', $1, 'EMEA')";
  const answers: Record<string, unknown> = {
    whoAmI: await rows(client, 'select current_user, session_user, current_schemas(false) as path'),
    pointRead: await rows(client, 'select * from customers where id = 17'),
    everything: await rows(
      client,
      'select region, count(*), min(email), max(phone) from customers group by 1 order by 1',
    ),
    join: await rows(
      client,
      'select c.region, count(*), sum(o.amount) from customers c join orders o on o.customer_id = c.id group by 1 order by 1',
    ),
    definerFunction: await rows(client, 'select customer_email(17)'),
    uniqueViolation: await failure(client, newCustomer, ['bob.meyer1@example.com']),
    foreignKeyViolation: await failure(
      client,
      "insert into orders (customer_id, region, amount) values (999999, 'EMEA', 1)",
    ),
    checkViolation: await failure(
      client,
      `insert into orders values (-1, 1, 'EMEA', -5, '${loadDay} 12:00:00+00')`,
    ),
  };
  await client.query('begin');
  answers['upsert'] = await rows(
    client,
    `insert into customers (id, name, email, region) values (17, 'Renamed', 'x@example.com', 'AMER')
     on conflict (id) do update set name = excluded.name returning id, name, email, region`,
  );
  answers['updateReturning'] = await rows(
    client,
    "update customers set region = 'AMER' where id = 18 returning email, region",
  );
  answers['cascade'] = await rows(
    client,
    'with gone as (delete from customers where id = 19 returning id) select count(*) from gone',
  );
  answers['cascaded'] = await rows(client, 'select count(*) from orders where customer_id = 19');
  answers['totalsAfterCascade'] = await wrongTotals(client);
  await client.query('lock table customers, orders in access exclusive mode nowait');
  await client.query('truncate events_2025_01');
  answers['truncated'] = await rows(client, 'select count(*) from events');
  await client.query('rollback');
  // Only that it is refused: the detail lists every view that depends on the table.
  answers['drop'] = await client.query('drop table customers').then(
    () => 'no error',
    (error: DatabaseError) => error.code,
  );
  answers['totals'] = await wrongTotals(client);
  return answers;
}

/** Days whose total is not the sum of its orders: none. */
function wrongTotals(client: Client): Promise<unknown[]> {
  return rows(
    client,
    `select coalesce(t.region, o.region), coalesce(t.day, o.day)::text as day, t.total, o.sum
     from order_totals t
     full join (select region, (ordered_at at time zone 'UTC')::date as day, sum(amount) from orders group by 1, 2) o
       on o.region = t.region and o.day = t.day
     where coalesce(t.total, 0) <> coalesce(o.sum, 0) order by 1, 2`,
  );
}

// An owner sees the statistics of her tables unless row security is on: then pg_stats is empty.
async function statistics(client: Client): Promise<Answers> {
  const visible = `from pg_stats where schemaname = 'public'`;
  return {
    columns: await rows(
      client,
      `select tablename, array_agg(attname order by attname)::text as columns ${visible} group by 1 order by 1`,
    ),
    regions: await rows(
      client,
      `select tablename, (select array_agg(v order by v)::text from unnest(most_common_vals::text::text[]) v) as regions
       ${visible} and attname = 'region' and tablename in ('customers', 'orders') order by 1`,
    ),
    estimates: await rows(
      client,
      "select relname, reltuples from pg_class where oid in ('customers'::regclass, 'orders'::regclass) order by 1",
    ),
  };
}

async function plans(client: Client): Promise<Answers> {
  const plan = (statement: string): Promise<unknown[]> => rows(client, `explain (costs off) ${statement}`);
  return {
    byKey: await plan('select * from orders where id = 42'),
    byEmail: await plan("select * from customers where email = 'bob.meyer1@example.com'"),
    join: await plan('select * from customers c join orders o on o.customer_id = c.id where c.id = 42'),
    view: await plan('select * from customer_orders where order_id = 42'),
    partition: await plan(
      "select * from events where at >= '2025-02-03 00:00:00+00' and at < '2025-02-04 00:00:00+00'",
    ),
  };
}

async function report(client: Client): Promise<Answers> {
  return {
    orders: await rows(client, 'select region, count(*), sum(amount) from orders group by 1 order by 1'),
    view: await rows(
      client,
      'select region, count(*), count(distinct email) from customer_orders group by 1 order by 1',
    ),
    firstRows: await rows(client, 'select * from customer_orders order by order_id limit 3'),
    countries: await rows(client, 'select count(*) from countries'),
    definerFunction: await rows(client, 'select customer_email(17)'),
    noCustomers: await failure(client, 'select * from customers'),
    noWriting: await failure(client, 'delete from orders'),
    noTotals: await failure(client, 'select * from order_totals'),
    tables: await rows(
      client,
      `select table_schema, table_name from information_schema.tables
       where table_schema not in ('pg_catalog', 'information_schema') and table_schema not like 'writ%' order by 1, 2`,
    ),
  };
}

async function load(urls: Readonly<Record<ShopRole, string>>): Promise<Answers> {
  const lines = Array.from({ length: 300 }, (_, i) => {
    const region = ['EMEA', 'APAC', 'AMER'][i % 3];
    return `${i + 1}\t${region}\t${(i % 50) + 1}.25\t${loadDay} 12:00:00+00\n`;
  });
  try {
    const loader = await as(urls.shop_loader, async (client) => ({
      copied: await copyIn(
        client,
        'copy orders (customer_id, region, amount, ordered_at) from stdin',
        lines.join(''),
      ),
      seen: await rows(
        client,
        `select region, count(*), sum(amount) from orders where ordered_at >= '${loadDay}' group by 1 order by 1`,
      ),
      badLine: await problem(
        copyIn(client, 'copy orders (customer_id, region, amount) from stdin', '1\tEMEA\tten\n'),
      ),
      noTotals: await failure(client, 'select * from order_totals'),
      noDeleting: await failure(client, 'delete from orders'),
    }));
    const totals = await as(urls.shop_app, async (client) => ({
      byTrigger: await rows(
        client,
        `select region, day::text, total from order_totals where day = '${loadDay}' order by 1`,
      ),
      wrong: await wrongTotals(client),
    }));
    return { loader, totals };
  } finally {
    await as(urls.shop_app, async (client) => {
      await client.query(`delete from orders where ordered_at >= '${loadDay}'`);
      await client.query(`delete from order_totals where day >= '${loadDay}'`);
    });
  }
}

// What pg_dump sends: it must see every row or fail.
async function dump(client: Client): Promise<Answers> {
  await client.query('set row_security = off');
  await client.query('begin isolation level repeatable read read only');
  const tables = await rows(
    client,
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')
       and n.nspname not like 'pg\\_%' and n.nspname not like 'writ%' order by 1`,
  );
  const names = tables.map(({ name }) => String(name));
  await client.query(`lock table ${names.join(', ')} in access share mode`);
  const digests: Record<string, { rows: number; digest: string }> = {};
  for (const name of names) {
    const text = (await copyOut(client, `copy ${name} to stdout`)).toString();
    const lines = text.split('\n').slice(0, -1).sort();
    const digest = createHash('sha256').update(lines.join('\n')).digest('hex');
    digests[name] = { rows: lines.length, digest };
  }
  await client.query('commit');
  return digests;
}

// The application may use row security for itself, later, and it must then mean what it says.
async function ownPolicy(urls: Readonly<Record<ShopRole, string>>): Promise<Answers> {
  const count = (role: ShopRole): Promise<unknown[]> =>
    as(urls[role], (client) => rows(client, 'select region, count(*) from orders group by 1 order by 1'));
  try {
    await as(urls.shop_app, async (client) => {
      await client.query(
        "create policy only_emea on orders for select to shop_report using (region = 'EMEA')",
      );
      await client.query('alter table orders enable row level security');
    });
    return {
      report: await count('shop_report'),
      loader: await count('shop_loader'),
      owner: await count('shop_app'),
    };
  } finally {
    await as(urls.shop_app, async (client) => {
      await client.query('alter table orders disable row level security');
      await client.query('drop policy if exists only_emea on orders');
    });
  }
}

async function materializedView(client: Client): Promise<Answers> {
  await client.query('refresh materialized view concurrently top_customers');
  await client.query('refresh materialized view top_customers');
  return {
    rows: await rows(client, 'select count(*), sum(total), min(email), max(email) from top_customers'),
  };
}

// A release: a type changes, a column comes, is renamed and goes, a partition is added. Then the release is undone.
async function migration(urls: Readonly<Record<ShopRole, string>>): Promise<Answers> {
  const shape = (client: Client): Promise<unknown[]> =>
    rows(
      client,
      `select column_name, data_type, character_maximum_length as length, is_nullable
       from information_schema.columns where table_schema = 'public' and table_name = 'customers' order by 1`,
    );
  return as(urls.shop_app, async (client) => {
    const before = await shape(client);
    await client.query('alter table customers alter column country type varchar(2)');
    await client.query('alter table customers add column loyalty integer not null default 7');
    await client.query('alter table customers rename column loyalty to points');
    await client.query('update customers set points = 8 where id = 17');
    await client.query('create table events_2025_04 (like events including all)');
    await client.query(
      "alter table events attach partition events_2025_04 for values from ('2025-04-01 00:00:00+00') to ('2025-05-01 00:00:00+00')",
    );
    await client.query(
      "insert into events (customer_id, kind, at) values (1, 'visit', '2025-04-02 00:00:00+00')",
    );
    const released = {
      shape: await shape(client),
      row: await rows(client, 'select country, points from customers where id in (17, 18) order by id'),
      partition: await rows(client, 'select count(*) from events_2025_04'),
      tooLong: await failure(client, "update customers set country = 'DEU' where id = 17"),
      view: await rows(client, 'select count(*) from customer_orders'),
    };
    await client.query('alter table events detach partition events_2025_04');
    await client.query('drop table events_2025_04');
    await client.query('alter table customers drop column points');
    await client.query('alter table customers alter column country type text');
    await client.query('analyze customers');
    const undone = await shape(client);
    return { before, released, undone, clean: JSON.stringify(before) === JSON.stringify(undone) };
  });
}

async function roles(client: Client): Promise<Answers> {
  return {
    attributes: await rows(
      client,
      `select rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
              rolconnlimit, rolconfig::text
       from pg_roles where rolname like 'shop\\_%' order by 1`,
    ),
    memberships: await rows(
      client,
      `select roleid::regrole::text as role, member::regrole::text as member, admin_option from pg_auth_members
       where member::regrole::text like 'shop\\_%' or roleid::regrole::text like 'shop\\_%' order by 1, 2`,
    ),
  };
}

async function as<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function rows(client: Client, statement: string): Promise<Record<string, unknown>[]> {
  const { rows: found } = await client.query<Record<string, unknown>>(statement);
  // Dates as text, so that the answers are JSON.
  return JSON.parse(JSON.stringify(found)) as Record<string, unknown>[];
}

function failure(client: Client, statement: string, values?: unknown[]): Promise<unknown> {
  return problem(client.query(statement, values));
}

/** All that an application can see of an error. */
async function problem(attempt: Promise<unknown>): Promise<unknown> {
  try {
    await attempt;
    return 'no error';
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    const { code, message, detail, hint, where, table, column, constraint } = error;
    const seen = { code, message, detail, hint, where, table, column, constraint };
    return JSON.parse(JSON.stringify(seen)) as unknown;
  }
}
