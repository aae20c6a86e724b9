import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expressionExamples } from '../../../src/policy/expression/examples.ts';
import { initParser } from '../../../src/policy/expression/parse.ts';
import { everything, note } from './coverage.ts';
import { type Asked, askedOf, Duckdb, duckdbContexts, expectAlike, meant, within } from './engines.ts';
import { exampleQuestion } from './examples.ts';
import { columns, Expressions } from './expression-cases.ts';
import { fixedRows, hostileRow } from './hostile-rows.ts';

// Seeds are new at every run; a failure prints its seed and the smallest expression and rows that still fail.

await initParser();

const expressions = new Expressions(columns);
const forms = Object.entries(expressions.forms((type) => expressions.of(type, 1)));
const asked = new Set<string>();
let folder: string;
let duckdb: Duckdb;
let parquet: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'writ-differential-'));
  duckdb = await Duckdb.open();
  await duckdb.fill(fixedRows);
  const file = join(folder, 'hostile.parquet');
  await duckdb.connection.run(`copy hostile to '${file}' (format parquet, row_group_size 2048)`);
  parquet = `read_parquet('${file}')`;
});
afterAll(() => {
  duckdb?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function agrees(list: readonly Asked[], rows: typeof fixedRows, from?: string): Promise<void> {
  const wanted = meant(list, rows);
  for (const context of duckdbContexts)
    expectAlike(list, await duckdb.ask(list, rows, context, from), wanted);
}

describe('DuckDB answers as the language means, on hostile values', () => {
  test('mixed expressions and values', { timeout: 60_000 }, async () => {
    const go = within(5_000);
    await fc.assert(
      fc.asyncProperty(
        expressions.mixed(3),
        fc.array(hostileRow, { minLength: 1, maxLength: 4 }),
        async (sample, rows) => {
          if (!go()) return;
          const one = askedOf(sample);
          fc.pre(one !== undefined);
          await duckdb.fill(rows);
          await agrees([one], rows);
        },
      ),
      { numRuns: 1500 },
    );
  });

  test('every row of the matrix and every form, on Parquet columns', { timeout: 60_000 }, async () => {
    for (const [, { type, arbitrary }] of forms) {
      const several = fc.array(arbitrary, { minLength: 8, maxLength: 8 });
      await fc.assert(
        fc.asyncProperty(several, async (texts) => {
          const list = texts.map((text) => askedOf({ text, type })).filter((one) => one !== undefined);
          fc.pre(list.length > 0);
          for (const { expression } of list) note(expression, asked);
          await agrees(list, fixedRows, parquet);
        }),
        { numRuns: 2 },
      );
    }
    expect(everything.filter((name) => !asked.has(name))).toEqual([]);
  });

  // Found by the properties above, or beside what they found.
  test.each([
    '(-2147483648 < (length(t) * -1))',
    '((i * -1) <> -2147483648)',
    '((b * -1) = 9223372036854775808)',
    '((0 - i) > -2147483648)',
    '((length(t) + -2147483648) < (length(u) - 2147483647))',
    '(((case when f then 5 else 7 end) + -2147483648 + -3) < 0)',
    '((length(t) * 0 * 2147483647 * 2147483647) = 0)',
    "(case when split_part(coalesce(t, u, v), '-', 1) = v then f else not f end)",
  ])('%s', async (text) => {
    const one = askedOf({ text, type: 'boolean' });
    if (one === undefined) throw new Error('refused');
    await agrees([one], fixedRows, parquet);
  });

  // None of these can be set in a worker; the printed text must not depend on that alone. On default_collation it does: `=`
  // follows it, so that the lock (test/lake/attacks.test.ts) is all there is.
  test.each([
    "set timezone = 'Pacific/Apia'",
    "set calendar = 'buddhist'",
    "set default_null_order = 'nulls_first'",
    "set default_order = 'desc'",
    'set ieee_floating_point_ops = false',
    'set integer_division = true',
    'set old_implicit_casting = true',
    'set preserve_insertion_order = false',
    "set disabled_optimizers = 'expression_rewriter,filter_pushdown,statistics_propagation'",
    'pragma disable_optimizer',
  ])('with %s', async (setting) => {
    const other = await Duckdb.open();
    try {
      await other.connection.run(setting);
      await other.fill(fixedRows);
      const samples = forms.flatMap(([, { type, arbitrary }]) =>
        type.startsWith('timestamp') ? [] : fc.sample(arbitrary, 2).map((text) => askedOf({ text, type })),
      );
      const list = samples.filter((one) => one !== undefined);
      const [context] = duckdbContexts;
      if (context === undefined) throw new Error('no context');
      const answers = await other.ask(list, fixedRows, context);
      expectAlike(list, answers, meant(list, fixedRows));
    } finally {
      other.close();
    }
  });
});

test.each(expressionExamples.map((example) => [example.expression, example] as const))(
  'the example %s gives what the page says',
  async (_, example) => {
    const result = await duckdb.connection.runAndReadAll(exampleQuestion(example, 'duckdb'));
    expect(result.getRowsJson().flat()).toEqual(example.rows.map((row) => row.result));
  },
);
