import { expect, test } from 'vitest';
import type { PolicyInForce } from '../../src/catalog/store.ts';
import { operatorName } from '../../src/kernel/principal.ts';
import { rolledBack } from '../../src/rolesync/follow.ts';

const policy = (commit: string): PolicyInForce => ({
  snapshot: commit,
  appliedAt: 0,
  appliedBy: operatorName,
  files: [],
  ...(commit === '-' ? {} : { source: { repository: 'r', ref: 'main', commit, signers: [] } }),
});

test.each([
  ['', ''],
  ['-', ''],
  ['a b c', ''],
  ['a b a', 'b'],
  ['a b c a', 'b c'],
  ['a b c b', 'c'],
  ['a b a b', 'a'],
  ['a b a c', ''],
  ['a a', ''],
  ['- a b - a', 'b'],
])('in force one after the other: %j; not followed again: %j', (sequence, held) => {
  const policies = sequence.split(' ').filter(Boolean).map(policy);
  expect([...rolledBack(policies)].join(' ')).toBe(held);
});
