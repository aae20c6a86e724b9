import { expect, test } from 'vitest';
import { compileFiles } from '../../src/policy/compile.ts';
import { catalogOf, table } from './fixture.ts';

// Columns that a reader would take for what `require` names, however they are spelled.

const text = `
kind: tags
tags: { pii: {} }
require: [{ columnsLike: ["*email*"], tag: pii }]
`;

async function found(column: string): Promise<readonly string[]> {
  const catalog = catalogOf({ shop: 'POSTGRES' }, [table('shop.public.t', { [column]: 'text' })]);
  const { findings } = await compileFiles([{ path: 'p.yaml', text }], catalog, [], 0);
  return findings.filter(({ rule }) => rule === 'untagged-look-alike').map(({ rule }) => rule);
}

test.each([
  'Email',
  'customer.email',
  'my "email"',
  'еmаil', // Cyrillic е and а
  'ΕΜΑΙL', // Greek capitals
  'ｅｍａｉｌ', // full width
  'e\u0301mail',
  'émail',
  'em\u200bail', // a space without width
  'EMAİL',
  'emaıl',
  '𝐞𝐦𝐚𝐢𝐥',
])('%j looks like *email*', async (column) => {
  expect(await found(column)).toEqual(['untagged-look-alike']);
});

test.each(['mail', 'ema_il', 'región', 'имя'])('%j does not', async (column) => {
  expect(await found(column)).toEqual([]);
});
