import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { expressionExamples } from '../../src/policy/expression/examples.ts';
import { initParser, parseExpression } from '../../src/policy/expression/parse.ts';
import { printPostgres } from '../../src/policy/expression/print-postgres.ts';
import { everything, note } from '../policy/expression/coverage.ts';
import {
  type Asked,
  askedOf,
  askPostgres,
  Duckdb,
  duckdbContexts,
  expectAlike,
  insertion,
  meant,
  postgresContext,
  postgresTable,
  within,
} from '../policy/expression/engines.ts';
import { exampleQuestion } from '../policy/expression/examples.ts';
import { columns, Expressions, postgresColumns } from '../policy/expression/expression-cases.ts';
import { fixedRows, hostileRow, postgresRow, type Row } from '../policy/expression/hostile-rows.ts';
import { tokenKeyTable } from '../policy/expression/token-key.ts';

// One expression, two engines, hostile values and a hostile session: the answers are the same. Seeds are new at every
// run; a failure prints its seed and the smallest expression and rows that still fail.

let home: string;
let server: EmbeddedPostgres;
let client: pg.Client;
let duckdb: Duckdb;

beforeAll(async () => {
  await initParser();
  home = mkdtempSync(join(tmpdir(), 'writ-expression-'));
  server = await startEmbeddedPostgres({ home, port: 0 });
  client = new pg.Client({ connectionString: server.adminUrl });
  await client.connect();
  await client.query(postgresTable(true));
  await client.query(tokenKeyTable.postgres);
  duckdb = await Duckdb.open();
});

afterAll(async () => {
  duckdb?.close();
  await client?.end();
  await server?.stop();
  rmSync(home, { recursive: true, force: true });
});

const ask = async (text: string) => (await client.query<(string | null)[]>({ text, rowMode: 'array' })).rows;

/** Several statements in one text; one list of rows for each. */
const askAll = async (text: string) => {
  const results: unknown = await client.query({ text, rowMode: 'array' });
  return (results as pg.QueryArrayResult<(string | null)[]>[]).map((result) => result.rows);
};

const expressions = new Expressions(columns);
const forms = Object.entries(expressions.forms((type) => expressions.of(type, 1)));

async function agree(list: readonly Asked[], rows: readonly Row[]): Promise<void> {
  const wanted = meant(list, rows);
  expectAlike(list, await askPostgres(list, rows, askAll), wanted);
  await duckdb.fill(rows);
  for (const context of duckdbContexts) expectAlike(list, await duckdb.ask(list, rows, context), wanted);
}

describe('Postgres and DuckDB answer alike, and as the language means', { timeout: 60_000 }, () => {
  beforeAll(() => client.query("set timezone = 'UTC'"));

  test('mixed expressions and values', async () => {
    const go = within(10_000);
    await fc.assert(
      fc.asyncProperty(
        expressions.mixed(3),
        fc.array(hostileRow, { minLength: 1, maxLength: 4 }),
        async (sample, rows) => {
          if (!go()) return;
          const one = askedOf(sample);
          fc.pre(one !== undefined);
          await agree([one], rows);
        },
      ),
      { numRuns: 1500 },
    );
  });

  test('every row of the matrix and every form', async () => {
    const asked = new Set<string>();
    const rows = fixedRows.slice(0, 60);
    for (const [, { type, arbitrary }] of forms) {
      const several = fc.array(arbitrary, { minLength: 8, maxLength: 8 });
      await fc.assert(
        fc.asyncProperty(several, async (texts) => {
          const list = texts.map((text) => askedOf({ text, type })).filter((one) => one !== undefined);
          fc.pre(list.length > 0);
          for (const { expression } of list) note(expression, asked);
          await agree(list, rows);
        }),
        { numRuns: 2 },
      );
    }
    expect(everything.filter((name) => !asked.has(name))).toEqual([]);
  });

  test('numerics that only Postgres holds: over 38 digits, NaN, infinities', async () => {
    const wide = new Expressions(postgresColumns);
    const go = within(4_000);
    await fc.assert(
      fc.asyncProperty(
        wide.mixed(2),
        fc.array(postgresRow, { minLength: 1, maxLength: 4 }),
        async (sample, rows) => {
          if (!go()) return;
          const one = askedOf(sample, postgresColumns);
          fc.pre(one !== undefined);
          expectAlike([one], await askPostgres([one], rows, askAll), meant([one], rows));
        },
      ),
      { numRuns: 1500 },
    );
  });
});

describe("nothing of the reader's session changes a result", () => {
  const settings = [
    "set timezone = 'Asia/Kolkata'",
    "set timezone = 'Pacific/Apia'",
    "set datestyle = 'SQL, DMY'",
    "set intervalstyle = 'sql_standard'",
    'set standard_conforming_strings = off',
    'set escape_string_warning = on',
    'set backslash_quote = off',
    'set array_nulls = off',
    'set quote_all_identifiers = on',
    'set transform_null_equals = on',
    "set bytea_output = 'escape'",
    'set extra_float_digits = -15',
    "set xmloption = 'document'",
    "set lc_messages = 'C'",
    "set lc_monetary = 'C'",
    "set lc_numeric = 'C'",
    "set lc_time = 'C'",
    "set default_text_search_config = 'pg_catalog.german'",
    "set client_encoding = 'SQL_ASCII'",
    'set row_security = off',
    'set check_function_bodies = off',
    "set default_transaction_isolation = 'serializable'",
    'set default_transaction_read_only = on',
    "set plan_cache_mode = 'force_generic_plan'",
    "set constraint_exclusion = 'on'",
    'set from_collapse_limit = 1; set join_collapse_limit = 1; set geqo_threshold = 2',
    'set enable_seqscan = off; set enable_bitmapscan = off; set enable_indexscan = off',
    'set enable_hashagg = off; set enable_sort = off; set enable_material = off; set enable_memoize = off',
    'set enable_nestloop = off; set enable_mergejoin = off; set enable_hashjoin = off',
    'set jit = on; set jit_above_cost = 0; set jit_inline_above_cost = 0; set jit_optimize_above_cost = 0',
    'set debug_parallel_query = on; set parallel_setup_cost = 0; set min_parallel_table_scan_size = 0',
    'set work_mem = 64; set statement_timeout = 60000',
    'set search_path = hostile_schema, pg_catalog, public',
    'set session authorization reader; set search_path = hostile_schema, pg_catalog, public',
  ];

  // Operators and functions of the reader's own that shadow the catalog's and answer the opposite.
  const traps = [
    'create schema hostile_schema',
    'create function hostile_schema.lies(text, text) returns boolean language sql as $$ select true $$',
    'create operator hostile_schema.= (leftarg = text, rightarg = text, function = hostile_schema.lies)',
    'create operator hostile_schema.<> (leftarg = text, rightarg = text, function = hostile_schema.lies)',
    "create function hostile_schema.left(text, int) returns text language sql as $$ select 'trap' $$",
    "create function hostile_schema.split_part(text, text, int) returns text language sql as $$ select 'trap' $$",
    'create function hostile_schema.length(text) returns int language sql as $$ select 7 $$',
    'create domain hostile_schema.text as pg_catalog.text check (value is null)',
    'create collation hostile_schema."C" from "und-x-icu"',
    'create role reader login',
    'alter role reader set bytea_output = escape',
    'grant usage on schema hostile_schema to reader; grant select on public.shown to reader',
  ];

  // No answer is shown as it is: a digest says as well whether it changed, whatever the client's encoding.
  const digest = (list: readonly Asked[]) =>
    `select row_id, ${list.map((_, i) => `pg_catalog.md5(c${i}::pg_catalog.text)`).join(', ')} from public.shown order by row_id`;

  test('settings, search path, operators, functions and collations of the same name', {
    timeout: 60_000,
  }, async () => {
    await client.query(`reset all; ${postgresTable(false).replace('hostile', 'public.kept')}`);
    await client.query(insertion(fixedRows, 'postgres').replace('hostile', 'public.kept'));
    const list = forms
      .filter(([, { type }]) => type === 'boolean' || type === 'text' || type === 'integer')
      .flatMap(([, { type, arbitrary }]) => fc.sample(arbitrary, 3).map((text) => askedOf({ text, type })))
      .filter((one) => one !== undefined);
    const printed = list.map(({ expression }) => printPostgres(expression, postgresContext).text);
    // As rolesync does where a mask reads texts of two collations.
    const columnList = list.map(({ expression }, i) =>
      expression.type === 'text'
        ? `((${printed[i]}) collate pg_catalog."default") as c${i}`
        : `(${printed[i]}) as c${i}`,
    );
    await client.query(
      `create view public.shown as select row_id, ${columnList.join(', ')} from public.kept`,
    );
    const before = await ask(digest(list));
    for (const statement of traps) await client.query(statement);
    for (const setting of settings) {
      await client.query(setting);
      const after = await ask(digest(list));
      await client.query('reset session authorization; reset all');
      for (const [r, row] of before.entries())
        for (const [c, value] of row.entries())
          if (after[r]?.[c] !== value)
            expect.fail(`${setting}: ${list[c - 1]?.text} on ${JSON.stringify(fixedRows[r])}`);
    }
  });

  test('an index serves the ordinary row filter', async () => {
    await client.query('reset all; create table indexed (region text); create index on indexed (region)');
    await client.query(
      "insert into indexed select 'r' || g from generate_series(1, 20000) g; analyze indexed",
    );
    const { expression } = parseExpression("t = any(attribute('region'))", columns, 'boolean');
    if (expression === undefined) throw new Error('no expression');
    const filter = printPostgres(expression, {
      ...postgresContext,
      column: () => ({ ...postgresContext.principal(), text: 'region' }),
    });
    const plan = (await ask(`explain select * from indexed where ${filter.text}`)).flat().join('\n');
    expect(plan).toMatch(/Index/);
  });
});

test.each(expressionExamples.map((example) => [example.expression, example] as const))(
  'the example %s gives what the page says',
  async (_, example) => {
    expect((await ask(exampleQuestion(example, 'postgres'))).flat()).toEqual(
      example.rows.map((row) => row.result),
    );
  },
);
