import { expect, test } from 'vitest';
import { matrix } from '../../../src/policy/expression/matrix.ts';
import { matrixPage } from '../../../src/policy/expression/matrix-page.ts';

test('docs/expressions.md says what the code does', async () => {
  await expect(matrixPage()).toMatchFileSnapshot('../../../docs/expressions.md');
});

test('no row stands twice, and text is never ordered', () => {
  const keys = matrix.map(
    (row) => `${row.operator} ${row.operands.join()} ${row.operator === '::' ? row.result : ''}`,
  );
  expect(new Set(keys).size).toBe(keys.length);
  expect(
    matrix.filter((row) => ['<', '<=', '>', '>='].includes(row.operator) && row.operands.includes('text')),
  ).toEqual([]);
});
