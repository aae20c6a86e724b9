import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { initParser, parseExpression } from '../../src/policy/expression/parse.ts';
import { printPostgres } from '../../src/policy/expression/print-postgres.ts';
import {
  askDuckdb,
  askedOf,
  askPostgres,
  duckdbContexts,
  postgresContext,
  postgresTable,
} from '../policy/expression/engines.ts';
import { evaluate, showValue } from '../policy/expression/evaluate.ts';
import { columns, rows } from '../policy/expression/expression-cases.ts';

// One expression, two engines, hostile values and a hostile session: the answers are the same.

let home: string;
let server: EmbeddedPostgres;
let client: pg.Client;

beforeAll(async () => {
  await initParser();
  home = mkdtempSync(join(tmpdir(), 'writ-expression-'));
  server = await startEmbeddedPostgres({ home, port: 0 });
  client = new pg.Client({ connectionString: server.adminUrl });
  await client.connect();
  for (const statement of postgresTable) await client.query(statement);
});

afterAll(async () => {
  await client?.end();
  await server?.stop();
  rmSync(home, { recursive: true, force: true });
});

const ask = async (text: string) => (await client.query<(string | null)[]>({ text, rowMode: 'array' })).rows;

describe('Postgres and DuckDB answer alike, and as the language means', () => {
  test.each([201,202,203,204,205,206,207,208])('random expressions, seed %i', async (seed) => {
    await client.query("set timezone = 'UTC'");
    const asked = askedOf(200, seed);
    const [context] = duckdbContexts;
    if (context === undefined) throw new Error('no context');
    const postgres = await askPostgres(asked, ask);
    const duckdb = await askDuckdb(asked, context);
    for (const [i, { text, expression }] of asked.entries()) {
      const meant = rows.map((row) => showValue(evaluate(expression, row), expression.type));
      const differing = rows.flatMap((row, r) => {
        const answers = { postgres: postgres[i]?.[r], duckdb: duckdb[i]?.[r], meant: meant[r] };
        const alike = answers.postgres === answers.meant && answers.duckdb === answers.meant;
        return alike ? [] : [{ text, row, ...answers }];
      });
      expect(differing.slice(0, 1)).toEqual([]);
    }
  });
});

describe("nothing of the reader's session changes a result", () => {
  const settings = [
    "set timezone = 'Asia/Kolkata'",
    "set datestyle = 'SQL, DMY'",
    'set standard_conforming_strings = off',
    "set bytea_output = 'escape'",
    "set intervalstyle = 'sql_standard'",
    'set transform_null_equals = on',
    'set search_path = hostile_schema, pg_catalog',
  ];

  // Operators and functions of the reader's own that shadow the catalog's and answer the opposite.
  const traps = [
    'create schema hostile_schema',
    'create function hostile_schema.lies(text, text) returns boolean language sql as $$ select true $$',
    'create operator hostile_schema.= (leftarg = text, rightarg = text, function = hostile_schema.lies)',
    "create function hostile_schema.left(text, int) returns text language sql as $$ select 'trap' $$",
    "create function hostile_schema.split_part(text, text, int) returns text language sql as $$ select 'trap' $$",
    'create domain hostile_schema.text as pg_catalog.text check (value is null)',
  ];

  test('settings, search path, operators and functions of the same name', async () => {
    await client.query("set timezone = 'UTC'");
    const asked = askedOf(150, 21).filter(
      ({ expression }) => expression.type === 'boolean' || expression.type === 'text',
    );
    const texts = asked.map(({ expression }) => printPostgres(expression, postgresContext).text);
    const list = texts.map((text, i) => `(${text})::pg_catalog.text as c${i}`).join(', ');
    const question = `select ${list} from public.hostile order by row_id`;
    const before = await ask(question);
    for (const statement of [...traps, ...settings]) await client.query(statement);
    const after = await ask(question);
    await client.query('reset all');
    expect(after).toEqual(before);
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
