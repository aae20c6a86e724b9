import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { discoverLake } from '../../src/lake/discover.ts';
import type { LakeSession, TextRow } from '../../src/lake/engine.ts';
import { systemCatalog } from '../../src/lake/system-catalog.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { people, sampleCatalog } from '../policy/fixture.ts';

export const lake = parseSecurableName('lake');
export const system = parseSecurableName('system');

/** A small sample lake of real Parquet: `sales.orders_history` with 300 rows, 100 of each region. */
export async function makeLake(rows = 300): Promise<string> {
  const location = mkdtempSync(join(tmpdir(), 'writ-test-lake-'));
  mkdirSync(join(location, 'sales', 'orders_history'), { recursive: true });
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(
    `copy (
       select i as order_id, 'user' || i || '@acme.test' as customer_email, ['EMEA', 'APAC', 'AMER'][1 + i % 3] as region,
              (i * 1.25)::decimal(12, 2) as amount,
              timestamptz '2026-01-01 00:00:00+00' + to_minutes(i) as ordered_at
       from range(${rows}) t(i)
     ) to '${join(location, 'sales', 'orders_history', 'part-0.parquet')}'`,
  );
  connection.closeSync();
  instance.closeSync();
  return location;
}

/** The sample policy, compiled over the sample catalog with the lake and audit folder at hand. */
export async function sampleSnapshot(
  places: { readonly lake?: string; readonly audit?: string },
  edit: (policy: string) => string = (policy) => policy,
): Promise<Snapshot> {
  const base = sampleCatalog();
  const found = [
    places.lake === undefined ? undefined : await discoverLake(lake, places.lake),
    systemCatalog(system),
  ].flatMap((one) => one?.tables ?? []);
  const tables = new Map(base.tables);
  for (const name of base.tables.keys()) if (name.startsWith('system.')) tables.delete(name);
  for (const table of found) tables.set(table.name, table);
  const catalogs = new Map(base.catalogs);
  if (places.lake !== undefined) catalogs.set(lake, { name: lake, kind: 'LAKE', location: places.lake });
  if (places.audit !== undefined)
    catalogs.set(system, { name: system, kind: 'SYSTEM', location: places.audit });
  const digest = JSON.stringify(places);
  const files = [{ path: 'sample.yaml', text: edit(readFileSync('policies/sample.yaml', 'utf8')) }];
  const catalog = { ...base, tables, catalogs, digest };
  const { snapshot, findings } = await compileFiles(files, catalog, [people.nina], Date.now());
  if (snapshot === undefined) throw new Error(JSON.stringify(findings));
  return snapshot;
}

/** All rows of one statement. */
export async function rowsOf(
  session: LakeSession,
  snapshot: Snapshot,
  text: string,
  parameters: readonly (string | null)[] = [],
): Promise<readonly TextRow[]> {
  const statement = await session.prepare(text, snapshot);
  const rows: TextRow[] = [];
  for await (const batch of session.run(statement, parameters)) rows.push(...batch.rows);
  return rows;
}
