import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { initParser } from '../../src/policy/expression/parse.ts';
import { usesToken } from '../../src/policy/expression/parts.ts';
import { askedOf, expectAlike, meant } from '../policy/expression/engines.ts';
import { columns, Expressions } from '../policy/expression/expression-cases.ts';
import { askTrino, trinoContexts, trinoRows } from './ask.ts';
import { type Governed, startGoverned } from './sample.ts';

// A real Trino that asks Writ: the same rows and masks as Postgres and DuckDB, and no way around them.

let governed: Governed;
beforeAll(async () => {
  await initParser();
  governed = await startGoverned();
}, 1_800_000);
afterAll(() => governed?.stop());

const [ana, omar, sam, nina] = ['ana', 'omar', 'sam', 'nina'].map((name) => `${name}@acme.test`) as [
  string,
  string,
  string,
  string,
];

/** What the gateway shows of the same statement, one line per row. */
async function throughGateway(user: string, catalog: string, statement: string): Promise<readonly string[]> {
  const ran = await governed.company.psql(user, catalog, `${statement};`, '-P', 'null=<null>');
  expect(ran.stderr).toBe('');
  return ran.stdout.trimEnd().split('\n');
}

async function throughTrino(user: string, statement: string): Promise<readonly string[]> {
  const { rows: found } = await governed.trino.query(user, statement);
  return found.map((row) => row.map((value) => value ?? '<null>').join('|'));
}

describe('the same rows and masks in every engine', () => {
  const shop = [
    'select id, name, email, phone, country, region from shop.public.customers order by id',
    'select id, customer_id, region, amount from shop.public.orders order by id',
    'select region, count(*), min(email), max(phone) from shop.public.customers group by region order by region',
    'select o.id, c.email from shop.public.orders o join shop.public.customers c on c.id = o.customer_id order by o.id',
    "select count(*) from shop.public.customers where email = 'ann.lee132@example.com'",
  ];
  const lake = [
    'select region, count(*), sum(amount) from lake.sales.orders_history group by region order by region',
    'select order_id, customer_email, region, amount from lake.sales.orders_history where order_id <= 9000 order by order_id',
    'select count(distinct customer_email) from lake.sales.orders_history',
  ];

  test.each([ana, omar, sam])('%s reads shop as Postgres shows it', async (user) => {
    for (const statement of shop) {
      const meant = await throughGateway(user, 'shop', statement);
      expect(await throughTrino(user, statement), statement).toEqual(meant);
    }
    const [count] = await throughTrino(user, 'select count(*) from shop.public.customers');
    expect(count).toBe(user === sam ? '5000' : user === ana ? '1666' : '1667');
  });

  test.each([ana, omar, sam])('%s reads the lake as DuckDB shows it', async (user) => {
    for (const statement of lake) {
      const meant = await throughGateway(user, 'lake', statement);
      expect(await throughTrino(user, statement), statement).toEqual(meant);
    }
  });

  test('who has nothing is told so, whatever is asked', async () => {
    for (const user of [nina, 'analysts', 'operator', 'all users'])
      expect(await governed.trino.failure(user, 'select 1'), user).toMatch(/Access Denied/);
  });

  test("Trino's plugin leaves a token in its URLs where it is, and Writ takes it there", () => {
    const token = readFileSync(join(governed.company.home, 'decision-token'), 'utf8').trim();
    expect([...governed.tokens]).toEqual([token]);
  });
});

describe('expressions mean the same in Trino', () => {
  test.each([31, 32, 33])('random expressions on hostile values, seed %i', async (seed) => {
    const samples = fc.sample(new Expressions(columns).mixed(3), { numRuns: 150, seed });
    const parsed = samples.map((sample) => askedOf(sample)).filter((one) => one !== undefined);
    const asked = parsed.filter(({ expression }) => !usesToken(expression)); // refused there
    const wanted = meant(asked, trinoRows);
    for (const context of trinoContexts) {
      const query = async (text: string) => (await governed.trino.query(ana, text)).rows;
      expectAlike(asked, await askTrino(asked, context, query), wanted);
    }
  });

  test("nothing of the reader's session changes a result", async () => {
    const statement = 'select email, phone, region from shop.public.customers order by id';
    const before = await throughTrino(ana, statement);
    const session = {
      'x-trino-time-zone': 'Asia/Kolkata',
      'x-trino-language': 'tr-TR',
      'x-trino-path': 'lake.sales',
      'x-trino-catalog': 'lake',
      'x-trino-schema': 'sales',
    };
    const { rows: after } = await governed.trino.query(ana, statement, session);
    expect(after.map((row) => row.map((value) => value ?? '<null>').join('|'))).toEqual(before);
  });
});

describe('ways around', () => {
  const denied = /Access Denied/;

  test.each([
    [
      'SQL text for the source',
      "select * from table(shop.system.query(query => 'select email from public.customers'))",
    ],
    ['a procedure of the source', "call shop.system.execute(query => 'delete from public.orders')"],
    ['a cache of the source', 'call shop.system.flush_metadata_cache()'],
    ["a view of the database's over filtered tables", 'select * from shop.public.customer_orders'],
    ['a materialized view', 'select * from shop.public.top_customers'],
    ['a partition', 'select * from shop.public.events_2025_01'],
    ['a catalog that nobody governs', 'select * from tpch.tiny.nation'],
    ['properties of a table', 'select * from lake.sales."orders_history$properties"'],
    ['a view of one’s own', 'create view lake.sales.mine as select * from lake.sales.orders_history'],
    ['a copy', 'create table lake.sales.copy as select * from lake.sales.orders_history'],
    ['a write', 'update shop.public.customers set phone = email'],
    ['a removal', 'delete from shop.public.orders'],
    ['a session property', 'set session legacy_catalog_roles = true'],
    ["a catalog's session property", "set session shop.unsupported_type_handling = 'CONVERT_TO_VARCHAR'"],
    ['tasks of everybody', 'select * from system.runtime.tasks'],
    ['definitions of everybody', 'select * from system.metadata.materialized_views'],
    ['a grant', 'grant select on shop.public.customers to user "nina@acme.test"'],
    ['statistics', 'analyze lake.sales.orders_history'],
  ])('%s is refused', async (_, statement) => {
    expect(await governed.trino.failure(ana, statement)).toMatch(denied);
  });

  test('who is exempt reads the views; the view of who is not shows nobody else more', async () => {
    expect(await throughTrino(sam, 'select count(*) from shop.public.customer_orders')).not.toEqual(['0']);
    expect(
      await governed.trino.failure(
        sam,
        'create view lake.sales.open as select * from lake.sales.orders_history',
      ),
    ).toMatch(denied);
  });

  test('an error never shows a hidden row: filters come before what a person asks', async () => {
    const { trino } = governed;
    for (const predicate of [
      '1 / (order_id - 1) >= 0',
      "cast(case when region = 'APAC' then concat('x', cast(amount as varchar)) else '1' end as integer) = 1",
      "element_at(array[1], case when region <> 'EMEA' then 0 else 1 end) = 1",
    ]) {
      const statement = `select count(*) from lake.sales.orders_history where ${predicate}`;
      expect((await trino.query(ana, statement)).rows, predicate).toEqual([[333_200]]);
    }
    const masked = await trino.failure(
      ana,
      'select count(*) from lake.sales.orders_history where cast(customer_email as integer) = 1',
    );
    expect(masked).toMatch(/\*\*\*@\*\*\*/);
  });

  test('prepared statements, EXPLAIN and statistics see what the person sees', async () => {
    const { trino } = governed;
    const prepared = {
      'x-trino-prepared-statement': 'p=select+distinct+region+from+lake.sales.orders_history',
    };
    expect((await trino.query(ana, 'execute p', prepared)).rows).toEqual([['EMEA']]);
    const plan = String((await trino.query(ana, 'explain select email from shop.public.customers')).rows[0]);
    expect(plan).toContain('***@***');
    const stats = (await trino.query(ana, 'show stats for shop.public.customers')).rows;
    expect(stats.every((row) => row[5] === null && row[6] === null)).toBe(true);
  });

  test('metadata shows what may be known; queries of others stay theirs', async () => {
    expect(await throughTrino(ana, 'show catalogs')).toEqual(['lake', 'shop', 'system']);
    expect(
      await throughTrino(
        'etl',
        "select table_name from shop.information_schema.tables where table_schema = 'public'",
      ),
    ).toEqual(['orders']);
    expect(
      await throughTrino(
        ana,
        "select column_name from lake.information_schema.columns where table_name = 'orders_history' order by 1",
      ),
    ).toHaveLength(5);
    const owners = await throughTrino('etl', 'select distinct "user" from system.runtime.queries');
    expect(owners).toEqual(['etl']);
  });

  test('a column that the catalog does not know shows nothing, not even to who is exempt', async () => {
    const statement = 'select distinct "$path" from lake.sales.orders_history';
    expect(await throughTrino(sam, statement)).toEqual(['<null>']);
  });

  test('MODIFY writes, and only that', async () => {
    const { trino } = governed;
    const insert =
      "insert into shop.public.orders (id, customer_id, region, amount) values (90001, 1, 'EMEA', 3)";
    await trino.query('etl', insert);
    await trino.query('etl', 'update shop.public.orders set amount = 4 where id = 90001');
    expect(await throughTrino('etl', 'select amount from shop.public.orders where id = 90001')).toEqual([
      '4.00',
    ]);
    await trino.query('etl', 'delete from shop.public.orders where id = 90001');
    for (const statement of ['truncate table shop.public.orders', 'drop table shop.public.orders'])
      expect(await trino.failure('etl', statement), statement).toMatch(denied);
  });
});

describe('the record', () => {
  test('reads and refusals stand in it, with reasons', async () => {
    const found = await governed.company.writ(
      'audit',
      'query',
      `select principal, decision, command, tables, reasons from system.access.audit
       where kind = 'decision' and application = 'trino'`,
      '--json',
    );
    const { rows: recorded } = JSON.parse(found.stdout) as { rows: unknown[] };
    const text = recorded.map((row) => JSON.stringify(row));
    expect(
      text.some((row) => row.includes('SelectFromColumns') && row.includes('row filter own_region')),
    ).toBe(true);
    expect(text.some((row) => row.includes('shop.system.query') && row.includes('deny'))).toBe(true);
    expect(text.some((row) => row.includes('FilterColumns'))).toBe(false);
  });
});

describe('without Writ', () => {
  test('nothing runs', async () => {
    await governed.company.stop();
    expect(await governed.trino.failure(sam, 'select count(*) from shop.public.customers')).toMatch(/OPA/);
  });
});
