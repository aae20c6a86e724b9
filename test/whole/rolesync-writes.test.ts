import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Snapshot } from '../../src/policy/model.ts';
import { type GovernedShop, governedShop, outcome, withModify } from './rolesync-shop.ts';

// MODIFY through shadow views: what somebody bound by a filter and masks can change, through either door.

let company: GovernedShop;
let snapshot: Snapshot;
let admin: pg.Client;
type Login = Awaited<ReturnType<GovernedShop['login']>>;
let direct: Login;
let gateway: Login;
beforeAll(async () => {
  company = await governedShop();
  snapshot = await company.snapshot(withModify);
  await company.apply(snapshot);
  admin = await company.admin();
  direct = await company.login(snapshot, 'ana@acme.test', 'direct');
  gateway = await company.login(snapshot, 'ana@acme.test', 'gateway');
});
afterAll(() => company.stop());

const doors = [
  ['direct', () => direct, { governed: 'writ_public_direct', insert: 'writ_public_direct_insert' }],
  ['gateway', () => gateway, { governed: 'writ_public', insert: 'writ_public_insert' }],
] as const;

async function hidden(): Promise<unknown> {
  const rows = await admin.query(`select md5(string_agg(c::text, ',' order by id)) as customers,
    (select md5(string_agg(o::text, ',' order by id)) from public.orders o where region <> 'EMEA') as orders from public.customers c where region <> 'EMEA'`);
  return rows.rows[0];
}

describe.each(doors)('through the %s door', (_door, loginOf, schema) => {
  const run = (text: string) => outcome(loginOf(), text);
  let before: unknown;
  beforeAll(async () => {
    before = await hidden();
  });
  afterAll(async () => {
    expect(await hidden()).toEqual(before);
  });

  test('rows that are seen can be changed and deleted; hidden ones are not there', async () => {
    expect(
      await run(
        `update ${schema.governed}.customers set name = 'Changed' where id in (3, 1) returning id, name, email`,
      ),
    ).toEqual([{ id: 3, name: 'Changed', email: expect.stringMatching(/^.\*\*\*@\*\*\*$/) as string }]);
    expect(await run(`delete from ${schema.governed}.orders where id <= 6 returning region`)).toSatisfy(
      (rows: { region: string }[]) => rows.every((row) => row.region === 'EMEA'),
    );
  });

  test('a row cannot be moved out of sight', async () => {
    expect(await run(`update ${schema.governed}.customers set region = 'APAC' where id = 6`)).toBe('44000');
    expect(
      await run(`insert into ${schema.insert}.orders (customer_id, region, amount) values (3, 'APAC', 1)`),
    ).toBe('44000');
  });

  test('masked columns cannot be written', async () => {
    expect(await run(`update ${schema.governed}.customers set email = 'x@y.z' where id = 6`)).toBe('0A000');
    expect(
      await run(`insert into ${schema.insert}.customers (name, email, region) values ('x', 'x@y.z', 'EMEA')`),
    ).toBe('0A000');
  });

  test('INSERT goes through its own view, with the sequence and the trigger; RETURNING shows what may be seen', async () => {
    const day = `select total from public.order_totals where region = 'EMEA' and day = '2031-01-01'`;
    expect((await admin.query(day)).rows[0]?.total ?? '0').toBe(_door === 'direct' ? '0' : '12.50');
    const inserted = await run(
      `insert into ${schema.insert}.orders (customer_id, region, amount, ordered_at) values (3, 'EMEA', 12.50, '2031-01-01T12:00Z') returning region, amount`,
    );
    expect(inserted).toEqual([{ region: 'EMEA', amount: '12.50' }]);
    expect((await admin.query(day)).rows[0].total).toBe(_door === 'direct' ? '12.50' : '25.00');
  });

  test('ON CONFLICT DO UPDATE is refused on every view', async () => {
    for (const view of [schema.governed, schema.insert]) {
      expect(
        await run(
          `insert into ${view}.orders (id, customer_id, region, amount) values (7, 3, 'EMEA', 1) on conflict (id) do update set region = 'EMEA' returning *`,
        ),
      ).toBe('42501');
    }
    expect(
      await run(
        `insert into ${schema.insert}.orders (id, customer_id, region, amount) values (7, 3, 'EMEA', 1) on conflict do nothing returning *`,
      ),
    ).toEqual([]);
  });

  test('MERGE changes what is seen and inserts nothing', async () => {
    const merge = (action: string) =>
      `merge into ${schema.governed}.customers c using (values (3), (1)) v(id) on c.id = v.id ${action}`;
    expect(
      await run(`${merge(`when matched then update set name = 'Merged'`)} returning c.id, c.email`),
    ).toEqual([{ id: 3, email: expect.stringMatching(/^.\*\*\*@/) as string }]);
    expect(await run(merge(`when matched then update set region = 'AMER'`))).toBe('44000');
    expect(await run(merge(`when not matched then insert (name, region) values ('x', 'EMEA')`))).toBe(
      '42501',
    );
  });

  test('OLD and NEW in RETURNING, FOR UPDATE and cascades show nothing hidden', async () => {
    expect(
      await run(
        `update ${schema.governed}.customers set name = 'Again' where id = 3 returning old.email as was, new.email as is`,
      ),
    ).toEqual([
      { was: expect.stringMatching(/\*\*\*@/) as string, is: expect.stringMatching(/\*\*\*@/) as string },
    ]);
    expect(
      await run(`select distinct region from (select region from ${schema.governed}.customers for update) c`),
    ).toEqual([{ region: 'EMEA' }]);
  });

  test('the base stays closed', async () => {
    expect(await run(`update public.customers set name = 'x'`)).toBe('42501');
    expect(await run(`insert into public.orders (customer_id, region, amount) values (3, 'EMEA', 1)`)).toBe(
      '42501',
    );
    expect(await run('truncate public.orders')).toBe('42501');
    expect(await run(`copy public.orders from stdin`)).toBe('42501');
  });
});

test('nothing is written on a lease that has ended, whatever the table', async () => {
  const inserts: [string, string][] = [
    ['etl', `insert into orders (customer_id, region, amount) values (3, 'APAC', 1)`],
    [
      'ana@acme.test',
      `insert into writ_public_direct_insert.orders (customer_id, region, amount) values (3, 'EMEA', 1)`,
    ],
    ['ana@acme.test', `insert into countries values ('XX', 'x', 'x')`],
    ['ana@acme.test', `update countries set name = 'x'`],
    ['ana@acme.test', `delete from orders`],
    [
      'ana@acme.test',
      `merge into countries c using (values ('XX')) v(code) on c.code = v.code when not matched then insert values ('XX', 'x', 'x')`,
    ],
  ];
  for (const [who, text] of inserts) {
    const login = await company.login(snapshot, who, 'direct');
    await admin.query(`update writ.lease set expires_at = clock_timestamp() where login = $1`, [login.login]);
    expect([text, await outcome(login, text)]).toEqual([text, '28000']);
  }
});

test('a login may change its own password and gains nothing by it', async () => {
  expect(await outcome(direct, `alter role "${direct.login}" password 'mine' valid until 'infinity'`)).toBe(
    '42501',
  );
  expect(await outcome(direct, `alter role "${direct.login}" set row_security = off`)).toEqual([]);
  expect(await outcome(direct, 'select distinct region from customers')).toEqual([{ region: 'EMEA' }]);
});

test('etl, exempt on orders, loads the base table through the gateway and the clear view directly', async () => {
  const etl = await company.login(snapshot, 'etl', 'gateway');
  const upsert = (table: string) =>
    `insert into ${table} (id, customer_id, region, amount) values (8, 3, 'APAC', 5) on conflict (id) do update set amount = excluded.amount returning amount`;
  expect(await outcome(etl, upsert('public.orders'))).toEqual([{ amount: '5.00' }]);
  const direct = await company.login(snapshot, 'etl', 'direct');
  expect(await outcome(direct, upsert('orders'))).toEqual([{ amount: '5.00' }]);
  expect(await outcome(direct, 'select count(distinct region)::int as n from orders')).toEqual([{ n: 3 }]);
  expect(await outcome(direct, 'select * from customers')).toBe('42501');
  expect(await outcome(direct, 'select * from public.orders')).toBe('42501');
});

test('sam, exempt from everything, writes masked columns', async () => {
  const sam = await company.login(snapshot, 'sam@acme.test', 'direct');
  expect(await outcome(sam, `update customers set email = 'new@x.io' where id = 1 returning email`)).toEqual([
    { email: 'new@x.io' },
  ]);
});

test('who is exempt from one rule and bound by another reads through exemption terms', async () => {
  const mixed = await company.snapshot((text) =>
    text.replace('except: [stewards, loaders] }', 'except: [stewards, loaders, omar@acme.test] }'),
  );
  await company.apply(mixed);
  expect((await company.plan(mixed)).operations).toEqual([]);
  const omar = await company.login(mixed, 'omar@acme.test', 'direct');
  expect(
    await outcome(
      omar,
      `select count(distinct region)::int as n, bool_and(email ~ '\\*') as masked from customers`,
    ),
  ).toEqual([{ n: 3, masked: true }]);
  // Orders carry no mask: omar is exempt from everything there, and finds them under the same plain name.
  expect(await outcome(omar, 'select count(distinct region)::int as n from orders')).toEqual([{ n: 3 }]);
  expect(await outcome(omar, `select count(distinct region)::int as n from customer_orders`)).toEqual([
    { n: 3 },
  ]);
  expect(await outcome(direct, 'select distinct region from customers')).toEqual([{ region: 'EMEA' }]);
  expect(await outcome(direct, 'select distinct region from orders')).toEqual([{ region: 'EMEA' }]);
});
