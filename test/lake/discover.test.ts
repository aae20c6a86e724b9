import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { discoverLake } from '../../src/lake/discover.ts';
import { lake, makeLake } from './sample.ts';

let location: string;

beforeAll(async () => {
  location = await makeLake(10);
  mkdirSync(join(location, 'empty', 'nothing'), { recursive: true });
});

afterAll(() => rmSync(location, { recursive: true, force: true }));

it('finds schemas, tables and columns from Parquet', async () => {
  const found = await discoverLake(lake, location);
  expect(found.schemas).toEqual(['lake.empty', 'lake.sales']);
  expect(found.tables).toHaveLength(1);
  expect(found.tables[0]).toMatchObject({
    name: 'lake.sales.orders_history',
    files: ['sales/orders_history/*.parquet'],
  });
  expect(found.tables[0]?.columns.map(({ name, type, engineType }) => [name, type, engineType])).toEqual([
    ['order_id', 'bigint', 'BIGINT'],
    ['customer_email', 'text', 'VARCHAR'],
    ['region', 'text', 'VARCHAR'],
    ['amount', 'numeric', 'DECIMAL(12,2)'],
    ['ordered_at', 'timestamptz', 'TIMESTAMP WITH TIME ZONE'],
  ]);
});

it('says that a place cannot be read', async () => {
  await expect(discoverLake(lake, join(location, 'nowhere'))).rejects.toMatchObject({ code: 'unreachable' });
});
