import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Discovered } from '../../src/catalog/model.ts';
import { openSqliteStore } from '../../src/catalog/sqlite-store.ts';
import { openCluster } from '../../src/fleet/open-cluster.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { sql } from '../../src/kernel/sql.ts';
import { type PrivatePostgres, privatePostgres } from './fleet-database.ts';

const shop = parseSecurableName('shop');
let server: PrivatePostgres;
let found: Discovered;

beforeAll(async () => {
  server = await privatePostgres();
  const cluster = openCluster({ name: 'main', adminUrl: server.adminUrl });
  await cluster.withAdmin('postgres', (connection) => connection.query(sql`create database effects`));
  await cluster.withAdmin('effects', (connection) => connection.query(application));
  found = await cluster.discover(shop, 'effects');
  await cluster.close();
});
afterAll(() => server.stop());

const application = sql`
  set search_path = public;
  create table customers (id integer primary key, region text, words tsvector, name text);
  create table orders (id integer primary key,
    customer_id integer constraint own_customer references customers on delete cascade on update set null,
    twin integer constraint twin references orders on delete set default);
  create table plain (id integer primary key, customer_id integer references customers);
  create table events (at date not null, customer_id integer constraint of_customer references customers on delete set null)
    partition by range (at);
  create table events_1 partition of events for values from ('2026-01-01') to ('2026-02-01');
  create function reads() returns trigger language plpgsql as 'begin return new; end';
  create function owned() returns trigger language plpgsql security definer as 'begin return new; end';
  create trigger totals after insert or update on orders for each row execute function reads();
  create trigger by_owner after insert on orders for each row execute function owned();
  create trigger disabled after insert on orders for each row execute function reads();
  alter table orders disable trigger disabled;
  create trigger words before insert on customers for each row
    execute function tsvector_update_trigger(words, 'pg_catalog.simple', name);
  create trigger on_part after insert on events_1 for each row execute function reads();
  create trigger on_all after insert on events for each row execute function reads();`;

const table = (name: string) => found.tables.find((one) => one.name === parseSecurableName(name));

test('triggers that read with the rights of the writer: not the definer’s, disabled ones, or Postgres’s own', () => {
  expect(table('shop.public.orders')?.triggers).toEqual(['totals']);
  expect(table('shop.public.customers')).not.toHaveProperty('triggers');
  expect(table('shop.public.events')?.triggers).toEqual(['on_all', 'on_part']);
});

test('foreign keys whose action writes, on the table that they refer to', () => {
  expect(table('shop.public.customers')?.cascades).toEqual([
    { constraint: 'of_customer', table: 'shop.public.events', actions: ['ON DELETE SET NULL'] },
    {
      constraint: 'own_customer',
      table: 'shop.public.orders',
      actions: ['ON DELETE CASCADE', 'ON UPDATE SET NULL'],
    },
  ]);
  expect(table('shop.public.orders')?.cascades).toEqual([
    { constraint: 'twin', table: 'shop.public.orders', actions: ['ON DELETE SET DEFAULT'] },
  ]);
  expect(table('shop.public.plain')).not.toHaveProperty('cascades');
});

test('the catalog store keeps both', () => {
  const store = openSqliteStore({ file: ':memory:' });
  store.putCatalog({ name: shop, kind: 'POSTGRES', cluster: 'main', database: 'effects' });
  store.replaceDiscovered(shop, found);
  const kept = store.snapshot().tables.get(parseSecurableName('shop.public.orders'));
  expect(kept).toEqual(table('shop.public.orders'));
  store.close();
});
