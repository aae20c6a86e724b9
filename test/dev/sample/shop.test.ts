import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../src/dev/embedded-postgres.ts';
import { createSampleShop, type ShopRole } from '../../../src/dev/sample/shop.ts';

const home = mkdtempSync(join(tmpdir(), 'writ-shop-'));
const file = join(home, 'cluster-roles.json');
let server: EmbeddedPostgres;
let urls: Record<ShopRole, string>;

beforeAll(async () => {
  server = await startEmbeddedPostgres({ home, port: 0 });
  urls = await createSampleShop(server.adminUrl, file);
});
afterAll(async () => {
  await server.stop();
  rmSync(home, { recursive: true });
});

async function ask(role: ShopRole, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: urls[role] });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('the sample shop', () => {
  it('holds thousands of rows, regions spread evenly', async () => {
    const counts = await ask(
      'shop_app',
      `select 'customers' as t, region, count(*)::int as n from customers group by 2
       union all select 'orders', region, count(*)::int from orders group by 2 order by 1, 2`,
    );
    expect(counts.map(({ n }) => n)).toEqual([1667, 1667, 1666, 6668, 6668, 6664]);
    expect(await ask('shop_app', 'select count(*)::int as n from events')).toEqual([{ n: 6000 }]);
  });

  it('is the same on every machine', async () => {
    const rows = await ask(
      'shop_app',
      `select c.*::text as c, o.*::text as o from customers c join orders o on o.customer_id = c.id order by o.id`,
    );
    expect(createHash('sha256').update(JSON.stringify(rows)).digest('hex')).toBe(
      '86a29a449333c505660144c281521f3cf0027dd031112facc8627f708185ba6a',
    );
  });

  it('belongs to the application', async () => {
    const others = await ask(
      'shop_app',
      `select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'public' and pg_get_userbyid(c.relowner) <> 'shop_app'`,
    );
    expect(others).toEqual([]);
    expect(
      await ask('shop_app', "select pg_get_userbyid(datdba) as o from pg_database where datname = 'shop'"),
    ).toEqual([{ o: 'shop_app' }]);
  });

  it('keeps its totals by trigger', async () => {
    const wrong = await ask(
      'shop_app',
      `select region, day, total from order_totals
       except select region, (ordered_at at time zone 'UTC')::date, sum(amount) from orders group by 1, 2`,
    );
    expect(wrong).toEqual([]);
  });

  it('has the classic holes: a definer function and a materialized view with e-mails', async () => {
    expect(await ask('shop_report', 'select customer_email(1) as e')).toEqual([
      { e: 'bob.meyer1@example.com' },
    ]);
    expect(await ask('shop_app', 'select id, email from top_customers order by id limit 1')).toMatchObject([
      { email: expect.stringContaining('@example.com') },
    ]);
  });

  it('gives each unmanaged role what it needs and no more', async () => {
    const rights = await ask(
      'shop_app',
      `select r, has_table_privilege(r, 'customers', 'select') as customers, has_table_privilege(r, 'orders', 'insert') as load,
              has_table_privilege(r, 'customer_orders', 'select') as report
       from unnest(array['shop_backup', 'shop_report', 'shop_loader']) as r`,
    );
    expect(rights).toEqual([
      { r: 'shop_backup', customers: true, load: false, report: true },
      { r: 'shop_report', customers: false, load: false, report: true },
      { r: 'shop_loader', customers: false, load: true, report: false },
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('is made once', async () => {
    await ask('shop_app', 'create table mine ()');
    expect(await createSampleShop(server.adminUrl, file)).toEqual(urls);
    expect(await ask('shop_app', 'select * from mine')).toEqual([]);
  });
});
