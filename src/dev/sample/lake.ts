import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { literal, sql, trustedSql } from '../../kernel/sql.ts';

// The sample lake: one table of Parquet, written aside and renamed, so that a file with its final name is whole.

/** Makes `<folder>/sales/orders_history/part-0.parquet` (1,000,000 rows, the same on every machine) where it is missing. */
export async function createSampleLake(folder: string): Promise<void> {
  const table = join(folder, 'sales', 'orders_history');
  const file = join(table, 'part-0.parquet');
  if (existsSync(file)) return;
  mkdirSync(table, { recursive: true, mode: 0o700 });
  const draft = `${file}.new`;
  rmSync(draft, { force: true });
  const database = await DuckDBInstance.create(':memory:');
  const connection = await database.connect();
  try {
    const rows = trustedSql(readFileSync(new URL('./orders-history.sql', import.meta.url), 'utf8'), 'file');
    await connection.run(sql`copy (${rows}) to ${literal(draft)} (format parquet)`.text);
  } finally {
    connection.closeSync();
    database.closeSync();
  }
  renameSync(draft, file);
}
