import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSampleLake } from '../../../src/dev/sample/lake.ts';

const folder = mkdtempSync(join(tmpdir(), 'writ-lake-'));
const files = join(folder, 'sales/orders_history/*.parquet');
beforeAll(() => createSampleLake(folder));
afterAll(() => rmSync(folder, { recursive: true }));

async function ask(sql: string): Promise<unknown[]> {
  const database = await DuckDBInstance.create(':memory:');
  const connection = await database.connect();
  const rows = (await connection.runAndReadAll(sql)).getRowObjectsJson();
  connection.closeSync();
  database.closeSync();
  return rows;
}

describe('the sample lake', () => {
  it('is a million rows of the contract, regions spread evenly', async () => {
    const columns = await ask(`describe select * from '${files}'`);
    expect(columns).toMatchObject([
      { column_name: 'order_id', column_type: 'BIGINT' },
      { column_name: 'customer_email', column_type: 'VARCHAR' },
      { column_name: 'region', column_type: 'VARCHAR' },
      { column_name: 'amount', column_type: 'DECIMAL(10,2)' },
      { column_name: 'ordered_at', column_type: 'TIMESTAMP' },
    ]);
    expect(await ask(`select region, count(*) as n from '${files}' group by 1 order by 1`)).toEqual([
      { region: 'AMER', n: '333400' },
      { region: 'APAC', n: '333400' },
      { region: 'EMEA', n: '333200' },
    ]);
  });

  it('is the same on every machine, and no value is missing', async () => {
    const [sum] = await ask(
      `select sum(amount)::varchar as amount, bit_xor(md5_number_lower(t::varchar))::varchar as digest, count(*) filter (where customer_email is null or region is null) as missing
       from '${files}' as t`,
    );
    expect(sum).toEqual({ amount: '254995000.00', digest: '4930106577257993216', missing: '0' });
  });

  it('leaves no half-written file', () => {
    expect(existsSync(join(folder, 'sales/orders_history/part-0.parquet.new'))).toBe(false);
  });
});
