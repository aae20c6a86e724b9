import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { driftCluster, pauseTable, resumeTable } from '../../src/rolesync/reconcile.ts';
import { type GovernedShop, governedShop, outcome, withModify } from './rolesync-shop.ts';

// The application migrates its tables as if nobody else were there; the wall stands again when its statement is done.

let company: GovernedShop;
let snapshot: Snapshot;
let application: pg.Client;
let ana: pg.Client;
let sam: pg.Client;
beforeEach(async () => {
  company = await governedShop();
  snapshot = await company.snapshot();
  await company.apply(snapshot);
  application = await company.application('shop_app');
  ana = await company.login(snapshot, 'ana@acme.test', 'direct');
  sam = await company.login(snapshot, 'sam@acme.test', 'direct');
});
afterEach(() => company.stop());

const migrate = (text: string) => application.query(text);
const wall = () => outcome(ana, `select distinct region, email ~ '\\*\\*\\*@' as masked from customers`);
const stands = [{ region: 'EMEA', masked: true }];
const views = `drop view customer_orders; drop materialized view top_customers`;
const viewsAgain = async (): Promise<string> => {
  const definitions = await application.query(
    `select pg_get_viewdef('customer_orders'::regclass) as v, pg_get_viewdef('top_customers'::regclass) as m`,
  );
  return `create view customer_orders as ${definitions.rows[0].v}; create materialized view top_customers as ${definitions.rows[0].m}`;
};

describe('a migration with event triggers', () => {
  test('alters types, in its own transaction, with its views dropped and made again', async () => {
    const again = await viewsAgain();
    const prepared = { name: 'p', text: 'select count(*)::int as n from customers' };
    await ana.query(prepared);
    await migrate(
      `begin; ${views}; alter table customers alter column email type varchar(80), alter column name type varchar(200); ${again}; commit`,
    );
    expect(await wall()).toEqual(stands);
    expect((await ana.query(prepared)).rows[0].n).toBeGreaterThan(1000);
    expect(
      await outcome(ana, `select distinct region, email ~ '\\*' as masked from customer_orders`),
    ).toEqual(stands);
    expect(await outcome(ana, `select distinct region from top_customers`)).toEqual([{ region: 'EMEA' }]);
    expect(await outcome(sam, 'select count(*)::int as n from customers')).toEqual([{ n: 5000 }]);
    const types = await ana.query(
      `select format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = 'writ_public_direct.customers'::regclass and attname in ('name', 'email') order by attnum`,
    );
    expect(types.rows.map((row) => row.type)).toEqual(['character varying(200)', 'character varying(80)']);
    const next = await company.snapshot();
    await company.apply(next);
    expect((await company.plan(next)).operations).toEqual([]);
  });

  test('drops, adds and renames plain columns', async () => {
    await migrate('alter table customers drop column country, add column note text');
    expect(Object.keys((await ana.query('select * from customers limit 1')).rows[0])).toEqual([
      'id',
      'name',
      'email',
      'phone',
      'region',
      'created_at',
    ]);
    await migrate('alter table customers rename column created_at to since');
    expect(Object.keys((await ana.query('select * from customers limit 1')).rows[0])).toEqual([
      'id',
      'name',
      'email',
      'phone',
      'region',
      'since',
    ]);
    expect(await wall()).toEqual(stands);
    const next = await company.snapshot();
    await company.apply(next);
    expect((await company.plan(next)).operations).toEqual([]);
    expect(Object.keys((await ana.query('select * from customers limit 1')).rows[0])).toContain('note');
    expect(await wall()).toEqual(stands);
  });

  test('inside DO and functions, where no name can be seen', async () => {
    const again = await viewsAgain();
    await migrate(views);
    await migrate(
      `do $$ begin execute 'alter table cust' || 'omers alter column phone type varchar(40)'; end $$`,
    );
    await migrate(
      `create function go() returns void language plpgsql as $$ begin execute format('alter table %I alter amount type numeric(14,2)', 'ord' || 'ers'); end $$`,
    );
    await migrate('select go()');
    await migrate(`alter table U&"cust\\006Fmers" alter column name type varchar(99)`);
    await migrate(again);
    expect(await wall()).toEqual(stands);
    expect(await outcome(ana, 'select distinct region from customer_orders')).toEqual([{ region: 'EMEA' }]);
  });

  test('that fails leaves everything as it was', async () => {
    expect(
      await outcome(application, 'alter table orders alter column region type integer using region::integer'),
    ).not.toEqual([]);
    expect(
      await outcome(
        application,
        `begin; alter table orders alter column amount type numeric(20,2); rollback`,
      ),
    ).not.toBe('2BP01');
    await application.query('rollback');
    expect(await wall()).toEqual(stands);
    expect((await company.plan(snapshot)).operations).toEqual([]);
  });

  test('attaches and detaches partitions, and nobody waits for our views', async () => {
    await ana.query('begin; select count(*) from events; select count(*) from customers');
    await migrate(
      `set lock_timeout = '2s'; create table events_2025_04 (like events including all); alter table events attach partition events_2025_04 for values from ('2025-04-01') to ('2025-05-01')`,
    );
    await migrate(
      'alter table customers add constraint named check (name <> $$$$) not valid; alter table customers alter column country set statistics 50; create index on customers (country)',
    ).catch((error: unknown) => expect(error).toMatchObject({ code: '55P03' }));
    await ana.query('commit');
    expect(await outcome(ana, 'select * from public.events_2025_04')).toBe('42501');
    expect(await outcome(ana, 'select count(*) > 0 as some from events')).toEqual([{ some: true }]);
    await migrate('alter table events detach partition events_2025_01');
    expect(await outcome(ana, 'select * from public.events_2025_01')).toBe('42501');
  });

  test('drops a table, and with CASCADE whatever the application had over it', async () => {
    await migrate('drop table orders cascade');
    expect(await outcome(ana, 'select * from orders')).toMatch(/42P01|42501/);
    expect(await outcome(ana, 'select * from customer_orders')).toMatch(/42P01|42501/);
    expect(await wall()).toEqual(stands);
    expect(
      (await driftCluster(company.target(snapshot))).map((finding) => finding.summary).join('\n'),
    ).toMatch(/withdrawn: its table is gone/);
    const next = await company.snapshot((text) =>
      text.replace('shop.public.orders.region, ', '').replace(/^.*shop.public.orders, to: loaders.*$/m, ''),
    );
    await company.apply(next);
    expect((await company.plan(next)).operations).toEqual([]);
  });

  test('as shop_app inside SET ROLE by a superuser', async () => {
    const admin = await company.admin();
    await admin.query(
      `set role shop_app; drop view customer_orders; drop materialized view top_customers; alter table public.customers alter column email type varchar(70)`,
    );
    expect(await wall()).toEqual(stands);
  });
});

describe('access is withdrawn when', () => {
  test("a filter's column is renamed or dropped", async () => {
    await migrate('alter table customers rename column region to area');
    expect(await outcome(ana, 'select * from customers')).toMatch(/42P01|42501/);
    expect(await outcome(ana, 'select * from customer_orders')).toMatch(/42P01|42501/);
    const drift = await driftCluster(company.target(snapshot));
    expect(drift).toContainEqual({
      severity: 'critical',
      summary: expect.stringMatching(/customers.*region.*renamed/) as string,
    });
    await migrate('alter table customers rename column area to region');
    expect(await wall()).toEqual(stands);
    await migrate('alter table orders drop column region cascade');
    expect(await outcome(ana, 'select * from orders')).toMatch(/42P01|42501/);
  });

  test('a masked column is swapped for another of the same name', async () => {
    await migrate(
      `${views}; alter table customers rename column email to email_old; alter table customers add column email text; update customers set email = email_old`,
    );
    expect(await outcome(ana, 'select * from customers')).toMatch(/42P01|42501/);
  });

  test("a ruled column gets a type of the application's own", async () => {
    await migrate(`${views}; create type hue as enum ('EMEA', 'APAC', 'AMER');
      create function hue_text(hue) returns text language sql immutable as $$ select 'EMEA' $$;
      create cast (hue as text) with function hue_text(hue) as implicit;
      alter table customers alter column region type hue using region::hue`);
    expect(await outcome(ana, 'select * from customers')).toMatch(/42P01|42501/);
  });

  test('the name belongs to another table: rename and swap', async () => {
    await migrate(
      'create table customers_new (like customers including all); insert into customers_new select * from customers',
    );
    await migrate(
      'begin; alter table customers rename to customers_old; alter table customers_new rename to customers; commit',
    );
    for (const table of ['customers', 'public.customers', 'customer_orders', 'writ_public_direct.customers'])
      expect(await outcome(ana, `select * from ${table}`)).toMatch(/42P01|42501/);
    const drift = await driftCluster(company.target(snapshot));
    expect(drift).toContainEqual({
      severity: 'critical',
      summary: expect.stringMatching(/another table/) as string,
    });
    // With the catalog as it was, an apply does not put a view over the new table.
    const stale = await company.apply(snapshot);
    expect(stale.notEnforced.join('\n')).toMatch(/another table/);
    expect(await outcome(ana, 'select * from customers')).toMatch(/42P01|42501/);
    await expect(company.snapshot()).rejects.toThrow(/customers_old.email looks like/);
    await migrate('drop table customers_old cascade');
    const next = await company.snapshot();
    await company.apply(next);
    expect((await company.plan(next)).operations).toEqual([]);
    expect(await wall()).toEqual(stands);
  });

  test('the swap happened while our triggers were off', async () => {
    const admin = await company.admin();
    await admin.query('alter event trigger writ_ddl_start disable; alter event trigger writ_ddl_end disable');
    await migrate(
      'create table customers_new (like customers including all); alter table customers rename to customers_old; alter table customers_new rename to customers',
    );
    const drift = await driftCluster(company.target(snapshot));
    expect(
      drift
        .filter((finding) => finding.severity === 'critical')
        .map((finding) => finding.summary)
        .join('\n'),
    ).toMatch(/another one now[\s\S]*event triggers are altered/);
    await migrate(
      'alter table customers_old rename column email to address; alter table customers_old rename column phone to number',
    );
    const next = await company.snapshot();
    await company.apply(next);
    expect((await company.plan(next)).operations).toEqual([]);
    expect(await outcome(ana, 'select * from customers')).toEqual([]);
  });

  test('the application changes its own view', async () => {
    await migrate(
      'create or replace view customer_orders as select o.id as order_id, c.id as customer_id, c.name, c.phone as email, o.region, o.amount, o.ordered_at from orders o join customers c on c.id = o.customer_id',
    );
    expect(await outcome(ana, 'select * from customer_orders')).toMatch(/42P01|42501/);
    const next = await company.snapshot();
    await company.apply(next);
    expect(
      await outcome(
        ana,
        `select bool_and(email like '***%') as masked from customer_orders where email is not null`,
      ),
    ).toEqual([{ masked: true }]);
  });
});

test('a view without rules that is changed to show a governed table is taken away, however deep it lies', async () => {
  await migrate(
    `create view inner_view as select code, name from countries; create view outer_view as select * from inner_view`,
  );
  const governed = await company.snapshot();
  await company.apply(governed);
  const gateway = await company.login(governed, 'ana@acme.test', 'gateway');
  const ask = [
    [ana, 'select count(*)::int as n from outer_view'],
    [gateway, 'select count(*)::int as n from writ_public.outer_view'],
  ] as const;
  for (const [client, text] of ask) expect(await outcome(client, text)).toEqual([{ n: 12 }]);
  expect(await outcome(gateway, 'select * from public.outer_view')).toBe('42501');
  await migrate('create or replace view inner_view as select email as code, name from customers');
  for (const [client, text] of ask) expect(await outcome(client, text)).toMatch(/42P01|42501/);
  const next = await company.snapshot();
  await company.apply(next);
  expect(
    await outcome(ana, `select bool_and(code ~ '\\*') as masked, count(*) > 1000 as many from outer_view`),
  ).toEqual([{ masked: true, many: true }]);
});

test('hostile names are names', async () => {
  const odd = `"Or'd""er; $writ$ --"`;
  await migrate(`create schema "We""ird"; create table "We""ird".${odd} (id serial, "co,l""umn'" text, "where" int); insert into "We""ird".${odd} ("where") values (1);
    create view "We""ird"."v'" as select * from "We""ird".${odd}`);
  const next = await company.snapshot(withModify);
  await company.apply(next);
  expect((await company.plan(next)).operations).toEqual([]);
  const direct = await company.login(next, 'ana@acme.test', 'direct');
  expect(await outcome(direct, `select "where" from ${odd}`)).toEqual([{ where: 1 }]);
  expect(await outcome(direct, `select "where" from "v'"`)).toEqual([{ where: 1 }]);
  expect(await outcome(direct, `insert into ${odd} ("where") values (2) returning id`)).toEqual([{ id: 2 }]);
  await migrate(`drop view "We""ird"."v'"; alter table "We""ird".${odd} alter "where" type bigint`);
  expect(await outcome(direct, `select count(*)::int as n from ${odd}`)).toEqual([{ n: 2 }]);
});

test('pause and resume, where event triggers are not allowed', async () => {
  const admin = await company.admin();
  await admin.query('drop event trigger writ_ddl_start; drop event trigger writ_ddl_end');
  const again = await viewsAgain();
  await migrate(views);
  expect(await outcome(application, 'alter table customers alter column email type varchar(80)')).toBe(
    '0A000',
  );
  const table = parseSecurableName('shop.public.customers');
  await pauseTable({ ...company.target(snapshot), table });
  expect(await outcome(ana, 'select * from customers')).toMatch(/42P01|42501/);
  expect(await outcome(ana, 'select * from customer_orders')).toMatch(/42P01|42501/);
  expect(await driftCluster(company.target(snapshot))).toContainEqual({
    severity: 'reported',
    summary: expect.stringMatching(/public.customers is paused/) as string,
  });
  await migrate(`alter table customers alter column email type varchar(80); ${again}`);
  await company.apply(snapshot);
  expect(await outcome(ana, 'select * from customers')).toMatch(/42P01|42501/);
  const next = await company.snapshot();
  await resumeTable({ ...company.target(next), table });
  expect(await wall()).toEqual(stands);
  expect((await company.plan(next)).operations).toEqual([]);
});

test('the event triggers build the same views, grants included, as the reconciler', async () => {
  const admin = await company.admin();
  const modify = await company.snapshot(withModify);
  await company.apply(modify);
  const all = `select oid::regclass::text as view, pg_get_viewdef(oid) as text, reloptions::text as options,
    array(select format('%s %s', a.grantee::regrole, a.privilege_type) from aclexplode(relacl) a where a.grantee <> relowner order by 1) as acl from pg_class where relkind = 'v' and relnamespace::regnamespace::text ~ '^writ_' order by 1`;
  await admin.query('set search_path = pg_catalog');
  const before = (await admin.query(all)).rows;
  expect(before.length).toBeGreaterThan(15);
  await admin.query(`set writ.rebuilding = 'on'; select writ.drop_view(v) from writ.compiled_view v`);
  expect((await admin.query(all)).rows).toEqual([]);
  await admin.query(`select writ.restore_views('{}')`);
  expect((await admin.query(all)).rows).toEqual(before);
  expect((await company.plan(modify)).operations).toEqual([]);
});
