import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { analyze } from '../../src/lake/analyze.ts';
import type { Uses } from '../../src/lake/walk.ts';

let instance: DuckDBInstance;

beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:');
});

afterAll(() => instance.closeSync());

async function usesOf(text: string): Promise<Uses | undefined> {
  const connection = await instance.connect();
  const prepared = await connection.prepare('select json_serialize_sql($1::varchar)');
  prepared.bindVarchar(1, text);
  const rows = (await prepared.runAndReadAll()).getRows();
  connection.closeSync();
  return analyze(String(rows[0]?.[0]));
}

const tablesOf = async (text: string) => (await usesOf(text))?.tables.map((use) => use.table);

describe('names of WITH', () => {
  it.each([
    ['with a as (select 1) select * from a', []],
    ['with a as (select * from a) select * from a', ['a']],
    ['with a as (select 1), b as (select * from a) select * from b', []],
    ['with b as (select * from a), a as (select 1) select * from b', ['a']],
    ['with A as (select 1) select * from a', []],
    ['with a as (select 1) select * from s.a', ['a']],
    ['select * from (with a as (select 1) select * from a) x, a', ['a']],
    ['with a as (select 1) select (select count(*) from a), * from t', ['t']],
    ['with recursive a as (select 1 as n union all select n + 1 from a where n < 3) select * from a', []],
    ['with recursive a as (select n from a union all select n + 1 from a) select * from a', ['a']],
    ['select * from t where exists (with t as (select 1) select * from t)', ['t']],
    ['(with a as (select 1) select * from a) union all select * from a', ['a']],
  ])('%s', async (text, tables) => {
    expect(await tablesOf(text)).toEqual(tables);
  });
});

describe('what is let through', () => {
  it.each([
    "select date '2020-01-01', interval '1' day, interval 3 months, [1, 2], {'a': 1}, x[1], x[1:2] from t",
    'select list_transform(l, x -> x + 1), [x for x in l if x > 1], list_filter(l, lambda x: x > 1) from t',
    'select case when a then b end, case a when 1 then 2 else 3 end, a between 1 and 2, a collate nocase from t',
    'select count(*) filter (where a) over (partition by b order by c rows between 1 preceding and current row) from t',
    "select a like 'b', a ilike 'b', a ~ 'c', a glob 'd', a similar to 'e', not a, a is null, a is distinct from b from t",
    'select try_cast(a as int), cast(a as decimal(3, 2)), a::json, a::struct(x int), a::int[3], a::timestamptz from t',
    'select a in (1, 2), a not in (select 1), exists (select 1), (select 1), a = any([1]), a > all (select 1) from t',
    "select map {'a': 1}, extract(year from d), position('a' in b), substring(a from 1 for 2), trim(both ' ' from x) from t",
    "select a at time zone 'UTC', coalesce(a, b), nullif(a, b), -a, a || b, row(1, 2), null, true, 1.5, 1e10 from t",
    'select distinct on (a) a from t order by b desc nulls last, c limit 10 offset 3',
    'select a from t limit 10%',
    'select a from t union by name select b from u order by 1',
    '(select 1) except (select 2) intersect (select 3)',
    'select a, count(*) from t group by rollup (a), grouping sets ((a), (b)), cube (c)',
    'select a from t group by all having count(*) > 1 qualify row_number() over () = 1 order by all',
    'select * from a join b using (id) left join c on a.x = c.y natural join d asof join e on a.t >= e.t positional join f',
    'select * from unnest([1, 2]) with ordinality as u(x, o), generate_series(1, 10) g',
    "select unnest([1, 2]), unnest({'a': 1}, recursive := true)",
    'values (1, 2), (3, 4)',
    'from t select a where b',
    'select * from t using sample 3',
    'select * from t tablesample reservoir (10 rows) repeatable (3)',
    'with a(x) as materialized (select 1) select * from a',
    'select * from (pivot t on a in (1, 2) using sum(b) group by c)',
    'select * from (unpivot t on a, b into name n value v)',
    "select columns(* exclude a) + 1, columns(c -> c like 'a%'), * replace (a + 1 as a), * rename (a as b) from t",
    'describe select * from t',
    'describe t',
    'select $1, $2 from t where a = $1',
    'select current_date, current_timestamp, now(), current_user, session_user, current_schema',
    'select struct_pack(a := 1), t.x.upper(), try(a / b), any_value(x), quantile_cont(x, 0.5), x ** y, x // y from t',
    'select sum(x) over w, first_value(x ignore nulls) over (order by y) from t window w as (partition by z)',
    "select string_agg(a, ',' order by b), array_agg(distinct a), count(distinct x) from t",
  ])('%s', async (text) => {
    expect(await usesOf(text)).toBeDefined();
  });

  it('nothing, for nothing', async () => {
    expect(await usesOf(' -- nothing')).toBeUndefined();
  });

  it('nesting that is not endless', async () => {
    const deep = `select ${'('.repeat(900)}1${')'.repeat(900)}${' + 1'.repeat(900)}`;
    await expect(usesOf(deep)).rejects.toMatchObject({ sqlstate: expect.stringMatching(/0A000|42601/) });
  });
});

describe('what stands where', () => {
  it('tells the place of an error in characters', async () => {
    await expect(usesOf("select 'é' from from")).rejects.toMatchObject({
      code: 'syntax_error',
      position: 17,
    });
  });

  it('collects parameters and columns', async () => {
    const uses = await usesOf('select a, t.b from t where c = $2 and d = $1');
    expect(uses?.parameters).toEqual([1, 2]);
    expect(uses?.columns.map((column) => column.parts.join('.'))).toEqual(['a', 't.b', 'c', 'd']);
    expect(uses?.allColumns).toBe(false);
  });
});
