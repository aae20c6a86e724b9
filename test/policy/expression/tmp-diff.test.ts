import { describe, expect, test } from 'vitest';
import { initParser } from '../../../src/policy/expression/parse.ts';
import { askDuckdb, askedOf, duckdbContexts } from './engines.ts';
import { evaluate, showValue } from './evaluate.ts';
import { rows } from './expression-cases.ts';

await initParser();

describe('DuckDB answers as the language means, on hostile values', () => {
  test.each([101,102,103,104,105,106,107,108])('random expressions, seed %i', async (seed) => {
    const asked = askedOf(200, seed);
    for (const context of duckdbContexts) {
      const answers = await askDuckdb(asked, context);
      for (const [i, { text, expression }] of asked.entries()) {
        const meant = rows.map((row) => showValue(evaluate(expression, row), expression.type));
        const differing = rows.flatMap((row, r) =>
          answers[i]?.[r] === meant[r] ? [] : [{ text, row, answer: answers[i]?.[r], meant: meant[r] }],
        );
        expect(differing.slice(0, 1)).toEqual([]);
      }
    }
  });
});
