import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LakeSession } from '../../src/lake/engine.ts';
import { type GovernedLakeEngine, openLakeEngine } from '../../src/lake/open-engine.ts';
import { WorkerProcess } from '../../src/lake/worker-process.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { people } from '../policy/fixture.ts';
import { lake, makeLake, rowsOf, sampleSnapshot } from './sample.ts';

// Ways around: each is refused by the walk, and where it would leave the governed folder also by the locked worker when
// it is handed the text as it is.

let location: string;
let outside: string;
let engine: GovernedLakeEngine;
let ana: LakeSession;
let sam: LakeSession;
let snapshot: Snapshot;
let worker: WorkerProcess;

beforeAll(async () => {
  location = await makeLake();
  outside = mkdtempSync(join(tmpdir(), 'writ-test-outside-'));
  writeFileSync(join(outside, 'secret.csv'), 'a\n1\n');
  snapshot = await sampleSnapshot({ lake: location });
  engine = openLakeEngine({ limits: { spares: 1 } });
  ana = await engine.open(lake, people.ana);
  sam = await engine.open(lake, people.sam);
  worker = WorkerProcess.start();
  await worker.ready;
  await worker.lock({
    directories: [location],
    temporary: join(outside, 'temporary'),
    memory: '256MB',
    temporarySize: '1GB',
    threads: 1,
    database: 'lake',
    schemas: ['sales'],
    answers: {},
  });
}, 60_000);

afterAll(async () => {
  worker?.kill();
  await engine?.close();
  rmSync(location, { recursive: true, force: true });
  rmSync(outside, { recursive: true, force: true });
});

async function raw(text: string): Promise<number> {
  let rows = 0;
  const request = { sql: text, governed: { version: '', views: [] }, parameters: [] };
  for await (const batch of worker.run(request, () => undefined)) rows += batch.bytes?.readUInt32BE(0) ?? 0;
  return rows;
}

const place = (text: string) => text.replaceAll('OUT', outside).replaceAll('LAKE', location);

describe('refused by the walk and by the locked worker', () => {
  it.each([
    ["select * from read_csv('OUT/secret.csv')"],
    ["select * from read_text('/etc/passwd')"],
    ["select * from read_blob('OUT/secret.csv')"],
    ["select * from read_json('OUT/secret.csv')"],
    ["select * from sniff_csv('OUT/secret.csv')"],
    ["select * from parquet_metadata('OUT/x.parquet')"],
    ["select * from 'OUT/secret.csv'"],
    ['select * from "OUT/secret.csv"'],
    ["select * from 'file://OUT/secret.csv'"],
    ["select * from read_csv('LAKE/../../etc/passwd')"],
    ["copy (select 1) to 'OUT/pwned.csv'"],
    ["attach 'OUT/x.db' as x"],
    ["attach 'https://example.com/x.db' as x"],
    ['install httpfs'],
    ["load 'OUT/x.duckdb_extension'"],
    ["export database 'OUT/dump'"],
    ['set enable_external_access = true'],
    ['reset enable_external_access'],
    ["set allowed_directories = ['/']"],
    ["set memory_limit = '100GB'"],
    ['set lock_configuration = false'],
    // What could change the meaning of an expression.
    ["set timezone = 'Asia/Kolkata'"],
    ["set global timezone = 'Asia/Kolkata'"],
    ["set calendar = 'buddhist'"],
    ["set default_collation = 'nocase'"],
    ["set default_null_order = 'nulls_first'"],
    ['set ieee_floating_point_ops = false'],
    ['set integer_division = true'],
    ['set old_implicit_casting = true'],
    ["set disabled_optimizers = 'filter_pushdown'"],
    ['pragma enable_external_access'],
    ["select getenv('HOME')"],
    ["create secret s (type s3, key_id 'a', secret 'b')"],
  ])('%s', async (text) => {
    await expect(ana.prepare(place(text), snapshot)).rejects.toMatchObject({
      sqlstate: expect.stringMatching(/0A000|42P01|42601/),
    });
    await expect(raw(place(text))).rejects.toBeInstanceOf(Error);
  });
});

describe('refused by the walk', () => {
  it.each([
    ["select * from read_parquet('LAKE/sales/orders_history/*.parquet')"],
    ["select * from parquet_metadata('LAKE/sales/orders_history/part-0.parquet')"],
    ["select * from glob('LAKE/**')"],
    ["select * from 'LAKE/sales/orders_history/part-0.parquet'"],
    ["copy (select 1) to 'LAKE/sales/pwned.parquet'"],
    ["attach 'LAKE/x.db' as x"],
    ["select * from query('select 1')"],
    ["select * from query_table('orders_history')"],
    ["select * from json_execute_serialized_sql('{}')"],
    ["select json_serialize_sql('select 1')"],
    ["select current_setting('memory_limit')"],
    ["select getvariable('x')"],
    ["select nextval('s')"],
    ["select error('x')"],
    ['select * from duckdb_settings()'],
    ['select * from duckdb_views()'],
    ['select * from duckdb_secrets()'],
    ["select * from pragma_storage_info('x')"],
    ['select * from information_schema.tables'],
    ['select * from pg_catalog.pg_class'],
    ['select * from duckdb_columns'],
    ['select * from lake.sales.orders_history at (version => 1)'],
    ['select * from other.sales.orders_history'],
    ['select * from system.access.audit'],
    ['summarize orders_history'],
    ['pragma disable_optimizer'],
    ['show tables'],
    ['show all tables'],
    ['explain select 1'],
    ['explain analyze select * from orders_history'],
    ['call enable_logging()'],
    ["call enable_logging(storage = 'file', storage_path = '/tmp')"],
    ['pragma version'],
    ['use lake.sales'],
    ["set search_path = 'x'"],
    ['set variable a = 1'],
    ['create macro left(a, b) as a'],
    ['create view v as select 1'],
    ['create table t as select * from orders_history'],
    ['insert into orders_history select * from orders_history'],
    ['update orders_history set region = 1'],
    ['delete from orders_history'],
    ['drop view lake.sales.orders_history'],
    ['select 1; select 2'],
    ["with x as (select * from read_csv('/etc/passwd')) select * from x"],
    ["select (select count(*) from read_text('/etc/passwd'))"],
    ["select * from orders_history where exists (select 1 from glob('/**'))"],
    ["select list_transform([1], x -> current_setting('threads'))"],
    ["select sum(1) over (order by current_setting('threads'))"],
    ["select * replace (getvariable('x') as region) from orders_history"],
    ['select 1 limit (select count(*) from duckdb_settings())'],
    ['select * from orders_history order by (select 1 from duckdb_settings())'],
    ['select * from (values ((select count(*) from duckdb_tables())))'],
    ["select * from orders_history a left join orders_history b on current_setting('x') = ''"],
    ['select 1 union all select count(*) from duckdb_tables()'],
    ["select count(*) filter (where current_setting('x') = '') from orders_history"],
    ["select string_agg(region, ',' order by current_setting('x')) from orders_history"],
    ["select case when current_setting('x') = '' then 1 end"],
    ['select * from unnest((select list(name) from duckdb_settings()))'],
    ["select main.current_setting('x')"],
    ["select system.main.current_setting('x')"],
    ["select 'x'.current_setting()"],
  ])('%s', async (text) => {
    await expect(ana.prepare(place(text), snapshot)).rejects.toMatchObject({
      sqlstate: expect.stringMatching(/0A000|42P01|42601/),
    });
  });
});

describe('the worker', () => {
  it('refuses links out of the governed folder', async () => {
    const { symlinkSync } = await import('node:fs');
    symlinkSync(join(outside, 'secret.csv'), join(location, 'link.csv'));
    await expect(raw(`select * from read_csv('${location}/link.csv')`)).rejects.toBeInstanceOf(Error);
  });

  it('has no environment', async () => {
    const { readFileSync } = await import('node:fs');
    if (process.platform === 'linux') expect(readFileSync(`/proc/${worker.pid}/environ`, 'utf8')).toBe('');
  });
});

describe('hidden rows', () => {
  it.each([
    'select count(*) from orders_history where customer_email::int > 0',
    "select count(*) from orders_history where region = 'EMEA' or (customer_email || region)::int > 0",
    'select cast(region as int) from orders_history',
    "select strptime(region, '%Y') from orders_history",
    'select 1 / 0 + order_id::tinyint from orders_history order by order_id desc',
  ])('%s: no value in the error', async (text) => {
    const error = await rowsOf(ana, snapshot, text).then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    expect(error?.message ?? '').not.toMatch(/@|APAC|AMER|EMEA|user|300/);
  });

  it('do not make a predicate fail that only they would', async () => {
    // Would fail for APAC and AMER alone, if it were tried on them before the filter.
    const traps = [
      "(case when region = 'EMEA' then '1' else region end)::int = 1",
      "cast(replace(region, 'EMEA', '1') as int) = 1",
      "strptime(replace(region, 'EMEA', '2024'), '%Y') is not null",
      "order_id % 3 = 0 and replace(region, 'EMEA', '1')::int = 1",
      "(select max(replace(x.r, 'EMEA', '1')::int) from (select o.region as r) x) = 1",
    ];
    const shapes = [
      (trap: string) => `select count(*) from orders_history o where ${trap}`,
      (trap: string) => `select count(*) from (select * from orders_history) o where ${trap}`,
      (trap: string) =>
        `select count(*) from orders_history o join orders_history p using (order_id) where ${trap.replaceAll(/(?<!o\.)region/g, 'o.region').replaceAll(/(?<!\.)order_id/g, 'o.order_id')}`,
      (trap: string) => `with x as (select * from orders_history) select count(*) from x o where ${trap}`,
      (trap: string) => `select count(*) from orders_history o where order_id >= 0 and ${trap}`,
    ];
    for (const shape of shapes) {
      for (const trap of traps) {
        const text = shape(trap);
        expect(await rowsOf(ana, snapshot, text), text).toEqual([['100']]);
      }
    }
  });

  // DuckDB takes these for expressions that cannot fail and tries them on hidden rows, too (seen in joins and where a
  // Parquet column is dictionary-encoded).
  it.each([
    "list_transform([region], x -> replace(x, 'EMEA', '1')::int)[1] = 1",
    "[replace(x, 'EMEA', '1')::int for x in [region]] = [1]",
    "list_filter([region], lambda x: replace(x, 'EMEA', '1')::int = 1) = [region]",
    "date_diff(replace(region, 'EMEA', 'day'), date '2024-01-01', date '2024-01-02') = 1",
    "date_trunc(replace(region, 'EMEA', 'day'), ordered_at) is not null",
    "date_part(replace(region, 'EMEA', 'day'), ordered_at) is not null",
    "datesub(replace(region, 'EMEA', 'day'), ordered_at, ordered_at) = 0",
    "parse_formatted_bytes(replace(region, 'EMEA', '1KB')) > 0",
  ])('%s is refused where a filter binds', async (trap) => {
    const text = `select count(*) from orders_history where ${trap}`;
    await expect(ana.prepare(text, snapshot)).rejects.toMatchObject({ sqlstate: '0A000' });
  });

  it('do not matter to those who see all rows', async () => {
    const text =
      "select count(*) from orders_history where list_transform([region], x -> x || 'x')[1] = 'EMEAx'";
    expect(await rowsOf(sam, snapshot, text)).toEqual([['100']]);
    expect(await rowsOf(ana, snapshot, 'select list_transform([1], x -> x + 1)')).toEqual([['{2}']]);
  });

  it('are there for sam, so that the traps are real', async () => {
    const text = "select count(*) from orders_history where replace(region, 'EMEA', '1')::int = 1";
    await expect(rowsOf(sam, snapshot, text)).rejects.toMatchObject({ sqlstate: '22P02' });
  });
});

describe('masked columns', () => {
  it.each([
    "select count(*) from orders_history where customer_email like 'user%'",
    "select count(*) from orders_history where customer_email = 'user0@acme.test'",
    "select count(*) from orders_history group by customer_email having customer_email like 'user%' union all select 0",
    "select count(*) from orders_history o where o::varchar like '%user0@%'",
    "select count(*) from orders_history o where to_json(o)::varchar like '%user0@%'",
    "select count(*) from orders_history a join (select 'user0@acme.test' as customer_email) b using (customer_email)",
  ])('%s finds nothing', async (text) => {
    expect(await rowsOf(ana, snapshot, text)).toEqual([['0']]);
  });
});
