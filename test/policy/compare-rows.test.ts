import { expect, test } from 'vitest';
import { sameRows } from '../../src/policy/compare-rows.ts';

test.each([
  ['a number of another spelling', 12.5, '12.50', true],
  ['a text is exact', '12.5', '12.50', false],
  ['a text of a number', '9007199254740993', '9007199254740993', true],
  ['true', true, 't', true],
  ['true in DuckDB', true, 'true', true],
  ['false is not true', true, 'f', false],
  ['NULL', null, null, true],
  ['NULL is no text', null, '', false],
  ['an empty text is not NULL', '', null, false],
  ['zero is no empty text', 0, '', false],
  ['JSON in any order of keys', { a: 1, b: [true] }, '{"b": [true], "a": 1}', true],
  ['an array of Postgres', ['a', 'b c'], '{a,"b c"}', true],
  ['an empty array', [], '{}', true],
  ['another array', ['a'], '{b}', false],
])('%s', (_, expected, got, same) => {
  expect(sameRows([[expected]], [[got]], false)).toBe(same);
});

test('order counts only where the query orders; every row has one partner', () => {
  const got = [['1'], ['2'], ['2']];
  expect(sameRows([[2], [1], [2]], got, false)).toBe(true);
  expect(sameRows([[2], [1], [2]], got, true)).toBe(false);
  expect(sameRows([[1], [2], [2]], got, true)).toBe(true);
  expect(sameRows([[1], [1], [2]], got, false)).toBe(false);
  expect(sameRows([[1], [2]], got, false)).toBe(false);
  expect(sameRows([[1, 1]], [['1']], false)).toBe(false);
});
