import { describe, expect, test } from 'vitest';
import { formatReason } from '../../../src/kernel/decision.ts';
import type { PrincipalName } from '../../../src/kernel/principal.ts';
import { parseSecurableName } from '../../../src/kernel/securable-name.ts';
import { compileFiles } from '../../../src/policy/compile.ts';
import { catalogOf, people, table } from '../../policy/fixture.ts';
import {
  ana,
  etl,
  govern,
  loadParser,
  nina,
  outcome,
  partOf,
  sam,
  steward,
  writer,
} from './statement/sample.ts';

loadParser();

/** [who, what is sent by the client, what is sent to Postgres] */
type Rewrite = readonly [PrincipalName, string, string];

const g = '"writ_public"."customers"';
const reads: readonly Rewrite[] = [
  [ana, 'select * from customers', `select * from ${g}`],
  [ana, 'select * from public.customers', `select * from ${g}`],
  [ana, 'select * from shop.public.customers', `select * from ${g}`],
  [ana, 'SELECT * FROM "customers"', `SELECT * FROM ${g}`],
  [ana, 'select * from CUSTOMERS;', `select * from ${g};`],
  [ana, 'select * from public . /* x */ -- y\n "customers" c', `select * from ${g} c`],
  [ana, 'select * from U&"cust!006fmers" uescape \'!\' c', `select * from ${g} c`],
  [ana, 'select * from U&"\\0070ublic" . customers', `select * from ${g}`],
  [ana, 'select * from"customers"where"id"=1', `select * from${g}where"id"=1`],
  [ana, 'select * from customers"c"', `select * from ${g} "c"`],
  [ana, 'table customers', `table ${g}`],
  [ana, 'select * from only (customers)', `select * from only (${g})`],
  [ana, 'select * from customers * limit 1', `select * from ${g} * limit 1`],
  [ana, 'select * from "Mixed Case"', 'select * from "public"."Mixed Case"'],
  [ana, 'select "Näme" from "Mixed Case"', 'select "Näme" from "public"."Mixed Case"'],
  [ana, 'select * from public.countries', 'select * from public.countries'],
  [sam, 'select * from customers', 'select * from "writ_public_clear"."customers"'],
  [steward, 'select * from customers', 'select * from "public"."customers"'],
  [etl, 'select * from orders', 'select * from "public"."orders"'],
  [ana, 'select * from customer_orders', 'select * from "writ_public"."customer_orders"'],
  [ana, 'select * from customer_orders_daily', 'select * from "writ_public"."customer_orders_daily"'],
  [
    ana,
    'select (select max(id) from customers), x from countries x',
    `select (select max(id) from ${g}), x from "public"."countries" x`,
  ],
  [ana, 'select 1 where exists (select from customers)', `select 1 where exists (select from ${g})`],
  [
    ana,
    'select id from customers union all (select id from orders order by 1)',
    `select id from ${g} union all (select id from "writ_public"."orders" order by 1)`,
  ],
  [
    ana,
    'select * from countries, lateral (select 1 from customers) x',
    `select * from "public"."countries", lateral (select 1 from ${g}) x`,
  ],
  [ana, 'select customers from customers', `select customers from ${g}`],
  [ana, 'select * from pg_class', 'select * from "pg_catalog"."pg_class"'],
  [ana, 'select * from information_schema.tables', 'select * from information_schema.tables'],
  [ana, 'select public.customers.email from customers', `select ${g}.email from ${g}`],
  [ana, 'select shop.public.customers.* from public.customers', `select ${g}.* from ${g}`],
  [ana, 'select customers.email from customers', `select customers.email from ${g}`],
  [ana, 'select u&public.customers.id from customers', `select u& ${g}.id from ${g}`],
  [ana, 'select (select public.customers.id) from customers', `select (select ${g}.id) from ${g}`],
  [
    ana,
    'select app.orders.y, public.orders.id from app.orders, public.orders',
    'select app.orders.y, "writ_public"."orders".id from app.orders, "writ_public"."orders"',
  ],
  [ana, "select 'é', * from customers", `select 'é', * from ${g}`],
  [ana, 'values (1), (2)', 'values (1), (2)'],
  [ana, 'declare c cursor for select * from customers', `declare c cursor for select * from ${g}`],
  [ana, 'copy (select * from customers) to stdout', `copy (select * from ${g}) to stdout`],
  [
    ana,
    'copy customers (id, "email") to stdout (format csv)',
    `copy (SELECT "id", "email" FROM ${g}) to stdout (format csv)`,
  ],
  [ana, 'copy public.countries to stdout', 'copy public.countries to stdout'],
  [ana, 'explain select * from customers', `explain select * from ${g}`],
  [ana, 'explain analyze select * from countries', 'explain analyze select * from "public"."countries"'],
  [
    sam,
    'explain analyze select * from customers',
    'explain analyze select * from "writ_public_clear"."customers"',
  ],
  [ana, 'select region_total(1)', 'select "public"."region_total"(1)'],
  [ana, 'select shop.public.region_total(1)', 'select "public"."region_total"(1)'],
  [ana, 'select public.region_total(1)', 'select public.region_total(1)'],
  [ana, "select lower('A')", `select "pg_catalog"."lower"('A')`],
  [
    ana,
    'select count(*), now(), coalesce(1, 2), current_user',
    'select count(*), now(), coalesce(1, 2), current_user',
  ],
  [
    ana,
    'select (information_schema._pg_expandarray(array[1])).n',
    'select (information_schema._pg_expandarray(array[1])).n',
  ],
];

const writes: readonly Rewrite[] = [
  [writer, 'insert into orders (id) values (1)', 'insert into "writ_public_insert"."orders" (id) values (1)'],
  [
    writer,
    'insert into orders (id) values (1) on conflict do nothing',
    'insert into "writ_public_insert"."orders" (id) values (1) on conflict do nothing',
  ],
  [
    writer,
    'update orders set amount = 1 where public.orders.id = 2',
    'update "writ_public"."orders" set amount = 1 where "writ_public"."orders".id = 2',
  ],
  [
    writer,
    'update orders o set (region, amount) = (select region, 1 from customers c where c.id = o.id)',
    `update "writ_public"."orders" o set (region, amount) = (select region, 1 from ${g} c where c.id = o.id)`,
  ],
  [
    writer,
    'delete from orders using customers c where c.id = 1',
    `delete from "writ_public"."orders" using ${g} c where c.id = 1`,
  ],
  [
    writer,
    'with orders as (select 1 as id) delete from orders where id in (select id from orders)',
    'with orders as (select 1 as id) delete from "writ_public"."orders" where id in (select id from orders)',
  ],
  [
    writer,
    'with d as (delete from orders returning *) select * from d',
    'with d as (delete from "writ_public"."orders" returning *) select * from d',
  ],
  [
    writer,
    'merge into orders o using customers c on o.id = c.id when matched then delete',
    `merge into "writ_public"."orders" o using ${g} c on o.id = c.id when matched then delete`,
  ],
  [
    writer,
    'select id from orders for update of orders',
    'select id from "writ_public"."orders" for update of orders',
  ],
  [
    writer,
    'insert into countries (code) values (1) on conflict (code) do update set name = excluded.name returning public.countries.code',
    'insert into "public"."countries" (code) values (1) on conflict (code) do update set name = excluded.name returning public.countries.code',
  ],
  [
    etl,
    'insert into orders (id) values (1) on conflict (id) do update set amount = excluded.amount',
    'insert into "public"."orders" (id) values (1) on conflict (id) do update set amount = excluded.amount',
  ],
  [
    etl,
    'copy orders (id, amount) from stdin with (format csv)',
    'copy "public"."orders" (id, amount) from stdin with (format csv)',
  ],
  [
    writer,
    'update orders set amount = 1 returning with (old as o, new as n) o.amount, n.amount',
    'update "writ_public"."orders" set amount = 1 returning with (old as o, new as n) o.amount, n.amount',
  ],
];

describe('what is sent', () => {
  test.each([...reads, ...writes])('%s: %s', (principal, text, sent) => {
    const query = govern(text, principal);
    expect(outcome(query)).toBe(sent);
    expect(query.parts.map((part) => part.decision.effect)).toEqual(['allow']);
  });

  test('empty texts and comments have no parts and stay as they are', () => {
    for (const text of ['', ' \n', ';', '-- x', '/* a */ ; ;'])
      expect(govern(text)).toMatchObject({ parts: [], text, refusal: undefined });
  });

  test('a search path of two schemas: the first that has the name', () => {
    const more = { searchPath: ['app', 'public'] };
    expect(govern('select * from orders, customers', ana, more).text).toBe(
      `select * from "app"."orders", ${g}`,
    );
  });

  test('the database that the catalog is may be written for the catalog', async () => {
    const found = catalogOf({ sales: 'POSTGRES' }, [table('sales.public.t', { id: 'bigint' })]);
    const catalogs = new Map([...found.catalogs].map(([name, info]) => [name, { ...info, database: 'db1' }]));
    const grants = 'kind: grants\ngrants: [{ on: sales, to: all users, privileges: [ALL PRIVILEGES] }]\n';
    const files = [{ path: 'grants.yaml', text: grants }];
    const { snapshot } = await compileFiles(files, { ...found, catalogs }, [ana], 0);
    const more = { catalog: parseSecurableName('sales'), ...(snapshot === undefined ? {} : { snapshot }) };
    expect(outcome(govern('select * from db1.public.t', ana, more))).toBe('select * from "public"."t"');
    expect(govern('select * from db2.public.t', ana, more).refusal?.sqlstate).toBe('0A000');
  });
});

/** [who, text, SQLSTATE, part of message and detail] */
type Refusal = readonly [PrincipalName, string, string, string];

const refusals: readonly Refusal[] = [
  [
    nina,
    'select * from customers',
    '42501',
    'permission denied for table customers · no USE CATALOG on shop',
  ],
  [etl, 'select * from customers', '42501', 'no SELECT on shop.public.customers'],
  [ana, 'delete from orders', '42501', 'no MODIFY on shop.public.orders'],
  [ana, 'select * from nowhere', '42P01', 'relation "nowhere" does not exist'],
  [ana, 'select * from public.nowhere', '42P01', 'relation "public.nowhere" does not exist'],
  [ana, 'select * from lake.sales.orders_history', '0A000', 'cross-catalog'],
  [ana, 'select * from events_2026_01', '42501', 'through its parent'],
  [ana, 'select * from writ_public.customers', '42501', 'schemas of Writ'],
  [ana, 'select * from writ.lease', '42501', 'schemas of Writ'],
  [ana, 'select writ_public.customers.email from customers', '42501', 'schemas of Writ'],
  [ana, 'select writ.attribute(1)', '42501', 'schemas of Writ'],
  [ana, 'select * from pg_temp.x', '42501', 'temporary and TOAST'],
  [ana, 'select * from pg_toast.pg_toast_2619', '42501', 'temporary and TOAST'],
  [ana, 'select * from unknown_view', '0A000', 'cannot be governed'],
  [writer, 'insert into customer_orders (id) values (1)', '0A000', 'views are read only'],
  [
    writer,
    'insert into orders (id) values (1) on conflict (id) do update set amount = 1',
    '0A000',
    'hidden from you',
  ],
  [writer, 'insert into orders (id) values (1) returning id', '42501', 'own_region'],
  [writer, "update customers set email = 'x'", '42501', 'column mask mask_email'],
  [writer, "insert into customers (id, phone) values (1, 'x')", '42501', 'column mask mask_phone'],
  [
    writer,
    'merge into orders o using countries c on true when not matched then insert (id) values (1)',
    '0A000',
    'own_region',
  ],
  [writer, 'copy orders from stdin', '0A000', 'COPY FROM is refused on orders'],
  [ana, 'select * from customers tablesample system (1)', '0A000', 'TABLESAMPLE'],
  [ana, 'select customer_email(1)', '42501', 'no EXECUTE on shop.public.customer_email'],
  [ana, 'select no_such_function(1)', '42883', 'no_such_function'],
  [ana, 'selec 1', '42601', 'syntax error at or near "selec"'],
  [ana, 'select 1\0', '08P01', 'NUL'],
  [ana, 'select \ud800', '22021', 'UTF8'],
];

describe('what is refused', () => {
  test.each(refusals)('%s: %s', (principal, text, sqlstate, words) => {
    const query = govern(text, principal);
    expect(outcome(query)).toContain(`${sqlstate} `);
    expect(outcome(query)).toContain(words);
    expect(query.text).toBe('');
    expect(partOf(query).decision.effect).toBe('deny');
    expect(partOf(query).decision.because).not.toEqual([]);
  });

  test('hint and position: whom to ask, and where', () => {
    const { refusal } = govern("select 'é' from countries, customers", nina);
    expect(refusal).toMatchObject({
      hint: 'Ask platform, the owner of shop.public.countries.',
      position: 17,
    });
    expect(govern("select 'é', frm from from").refusal?.position).toBe(22);
  });

  test('too large a text, too deep a text: never handed to the parser', () => {
    expect(govern(`select '${'x'.repeat(1_048_576)}'`).refusal?.sqlstate).toBe('54000');
    expect(govern(`select 1${'+1'.repeat(20_000)}`).refusal?.sqlstate).toBe('54001');
    expect(govern(`select ${'('.repeat(20_000)}1`).refusal?.sqlstate).toBe('54001');
    expect(govern('select 1').refusal).toBeUndefined();
  });
});

describe('several statements', () => {
  test('all or nothing; every part is recorded as it was decided', () => {
    const query = govern('select 1; select email from customers; drop table orders; select * from nowhere');
    expect(query.refusal?.message).toBe('permission denied to run DROP');
    expect(query.text).toBe('');
    expect(query.parts.map(({ command, decision }) => `${command} ${decision.effect}`)).toEqual([
      'SELECT allow',
      'SELECT allow',
      'DROP deny',
      'SELECT deny',
    ]);
  });

  test('each is rewritten, the rest stays', () => {
    expect(govern(' select 1 ;; select id from orders; -- end').text).toBe(
      ' select 1 ;; select id from "writ_public"."orders"; -- end',
    );
  });
});

describe('the record', () => {
  test('tables and columns by their securable names, stars expanded, denied ones too', () => {
    const part = partOf(
      govern("select c.email, o.* from customers c join orders o using (id) where name = 'x'"),
    );
    expect([...part.tables].sort()).toEqual(['shop.public.customers', 'shop.public.orders']);
    expect([...part.columns].sort()).toEqual(
      [
        'customers.email',
        'customers.id',
        'customers.name',
        'orders.amount',
        'orders.customer_id',
        'orders.id',
        'orders.ordered_at',
        'orders.region',
      ].map((name) => `shop.public.${name}`),
    );
    expect(partOf(govern('select email from customers', nina)).tables).toEqual(['shop.public.customers']);
    expect(partOf(govern('truncate orders')).tables).toEqual(['shop.public.orders']);
  });

  test('reasons: grants and the rules that bind', () => {
    const { because } = partOf(govern('select 1 from customer_orders')).decision;
    expect(because.map(formatReason)).toEqual([
      'USE CATALOG on shop granted to analysts',
      'USE SCHEMA on shop granted to analysts',
      'SELECT on shop granted to analysts',
      'row filter own_region on metastore',
      'column mask mask_email on metastore',
      'column mask mask_phone on metastore',
    ]);
  });

  test('an alias that renames columns is seen through', () => {
    expect(partOf(govern('select c.b, a from customers as c(a, x, b)')).columns).toEqual([
      'shop.public.customers.email',
      'shop.public.customers.id',
    ]);
  });

  test('literals never reach it, not even from what cannot be parsed', () => {
    const texts = [
      "alter user x password 'secret'",
      "select 'secret' from",
      'select $secret$ x $secret$ /* secret */',
    ];
    for (const text of texts)
      for (const part of govern(text).parts) expect(part.redacted).not.toContain('secret');
  });
});

describe('prepared statements', () => {
  test('PREPARE leaves its statement for EXECUTE, which is decided again', () => {
    const prepare = partOf(govern('prepare p (int) as select email from customers where id = $1'));
    expect(prepare.effect).toMatchObject({ kind: 'prepare', name: 'p', statement: { command: 'SELECT' } });
    const statement = prepare.effect?.kind === 'prepare' ? prepare.effect.statement : undefined;
    const prepared = () => statement;
    expect(partOf(govern('execute p (1)', ana, { prepared }))).toMatchObject({
      command: 'EXECUTE',
      tables: ['shop.public.customers'],
      decision: { effect: 'allow' },
    });
    expect(outcome(govern('execute p (1)', nina, { prepared }))).toContain(
      '42501 permission denied for table',
    );
    expect(outcome(govern('execute p (1)', sam, { prepared }))).toContain(
      '0A000 prepared statement "p" was prepared',
    );
    expect(outcome(govern('explain analyze execute p (1)', ana, { prepared }))).toContain(
      '0A000 EXPLAIN ANALYZE',
    );
  });

  test('in one text; and a name that nobody knows is left to Postgres', () => {
    const query = govern('prepare p as select id from orders; execute p');
    expect(query.parts[1]?.tables).toEqual(['shop.public.orders']);
    expect(govern('execute unknown')).toMatchObject({ text: 'execute unknown', refusal: undefined });
  });

  test('effects on the session', () => {
    expect(partOf(govern('deallocate p')).effect).toEqual({ kind: 'deallocate', name: 'p' });
    expect(partOf(govern('deallocate all')).effect).toEqual({ kind: 'deallocate', name: undefined });
    expect(partOf(govern('discard all')).effect).toEqual({ kind: 'discard-all' });
    expect(partOf(govern('discard plans')).effect).toBeUndefined();
  });
});

describe('comments that the parser stumbles over', () => {
  test('are blanked, and the text without them is what is sent', () => {
    const query = govern("select 1 from customers where id not /* é */ in (1) -- 'x");
    expect(outcome(query)).toBe(`select 1 from ${g} where id not          in (1)      `);
    expect(query.mapPosition(query.text.indexOf('(1)') + 1)).toBe(
      'select 1 from customers where id not /* é */ in (1)'.indexOf('(1)') + 1,
    );
    expect(govern('select 1 not /* x */ in (2)').text).toBe('select 1 not         in (2)');
  });
});

describe('positions', () => {
  test('what Postgres reports on the sent text maps back to the client', () => {
    const text = "select 'é', x from customers where nope = 1";
    const query = govern(text, people.ana);
    for (const word of ['x from', 'nope', '1'])
      expect(query.mapPosition(query.text.indexOf(word) + 1)).toBe(text.indexOf(word) + 1);
    expect(query.mapPosition(query.text.indexOf('writ_public') + 1)).toBe(text.indexOf('customers') + 1);
    expect(query.mapPosition(10_000)).toBeUndefined();
    expect(govern('select 1').mapPosition(8)).toBe(8);
  });
});
