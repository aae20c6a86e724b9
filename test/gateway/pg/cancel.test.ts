import { expect, test } from 'vitest';
import { CancelRegistry } from '../../../src/gateway/pg/cancel.ts';

test('only the key cancels, and only while the session lives', async () => {
  const registry = new CancelRegistry(() => 0);
  let hits = 0;
  const short = registry.add(4, () => void hits++);
  const long = registry.add(32, () => void hits++);
  expect([short.key.length, long.key.length]).toEqual([4, 32]);
  await registry.request('a', short.pid, short.key);
  await registry.request('a', long.pid, long.key);
  expect(hits).toBe(2);
  await registry.request('a', short.pid, long.key);
  await registry.request('a', long.pid, Buffer.alloc(32));
  registry.remove(short.pid);
  await registry.request('a', short.pid, short.key);
  expect(hits).toBe(2);
});

test('an address that guesses is not heard for a while; others are', async () => {
  let now = 0;
  const registry = new CancelRegistry(() => now);
  let hits = 0;
  const { pid, key } = registry.add(4, () => void hits++);
  for (let i = 0; i < 20; i++) await registry.request('guesser', i, Buffer.alloc(4, i));
  await registry.request('guesser', pid, key);
  expect(hits).toBe(0);
  await registry.request('other', pid, key);
  now = 10_000;
  await registry.request('guesser', pid, key);
  expect(hits).toBe(2);
});
