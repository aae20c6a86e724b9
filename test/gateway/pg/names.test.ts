import { expect, test } from 'vitest';
import { Names, type PreparedEntry } from '../../../src/gateway/pg/names.ts';

const entry = (text: string): PreparedEntry => ({
  text,
  snapshotId: 's',
  governed: undefined,
  part: undefined,
});
const one = entry('one');
const two = entry('two');

test('within a batch a name is what it is about to be; a later batch waits', () => {
  const names = new Names();
  const change = names.announce({ map: 'statement', name: 'a', entry: one });
  expect(names.statement('a')).toBe(one);
  names.nextBatch();
  expect(names.statement('a')).toBe('wait');
  expect(names.statement('b')).toBeUndefined();
  names.settle(change, true);
  expect(names.statement('a')).toBe(one);
});

test('a change that failed leaves the name as it was', () => {
  const names = new Names();
  names.settle(names.announce({ map: 'statement', name: 'a', entry: one }), true);
  const change = names.announce({ map: 'statement', name: 'a', entry: two });
  names.settle(change, false);
  expect(names.statement('a')).toBe(one);
});

test('DEALLOCATE ALL takes all statements and no portal', () => {
  const names = new Names();
  names.settle(names.announce({ map: 'statement', name: 'a', entry: one }), true);
  names.settle(names.announce({ map: 'portal', name: 'p', entry: one }), true);
  const all = names.announce({ map: 'statement', name: undefined });
  expect(names.statement('a')).toBeUndefined();
  names.settle(all, true);
  expect([names.statement('a'), names.portal('p')]).toEqual([undefined, one]);
  names.transactionEnded();
  expect(names.portal('p')).toBeUndefined();
});

test('names that Postgres cannot tell apart are one', () => {
  const names = new Names();
  const long = 'n'.repeat(63);
  names.settle(names.announce({ map: 'statement', name: `${long}x`, entry: one }), true);
  names.settle(names.announce({ map: 'statement', name: `${long}y`, entry: two }), true);
  expect(names.statement(`${long}x`)).toBe(two);
  names.settle(names.announce({ map: 'statement', name: long, entry: undefined }), true);
  expect(names.statement(`${long}y`)).toBeUndefined();
});
