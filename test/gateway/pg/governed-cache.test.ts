import { expect, test } from 'vitest';
import type { GovernedQuery } from '../../../src/gateway/pg/governed.ts';
import { GovernedCache } from '../../../src/gateway/pg/governed-cache.ts';

const governed = (text: string): GovernedQuery => ({
  parts: [],
  text,
  refusal: undefined,
  mapPosition: (at) => at,
});

test('the least recently used goes first', () => {
  const cache = new GovernedCache(3);
  for (const key of ['a', 'b', 'c']) cache.set(key, governed(key));
  cache.get('a');
  cache.set('d', governed('d'));
  expect(['a', 'b', 'c', 'd'].map((key) => cache.get(key)?.text)).toEqual(['a', undefined, 'c', 'd']);
});

test('bounded by characters, too', () => {
  const cache = new GovernedCache(100, 10);
  for (const key of ['aaaa', 'bbbb', 'cccc']) cache.set(key, governed(key));
  expect(cache.size).toBe(2);
  cache.set('x'.repeat(40_000), governed('long'));
  expect(cache.size).toBe(2);
});
