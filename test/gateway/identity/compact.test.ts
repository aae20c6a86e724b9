import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatCompact,
  hashSecret,
  makeCompact,
  parseCompact,
  secretMatches,
} from '../../../src/gateway/identity/compact.ts';

const random = fc.uint8Array({ minLength: 44, maxLength: 44 });

describe('compact credentials', () => {
  test('pass every limit on passwords, and are read back', () => {
    fc.assert(
      fc.property(random, (bytes) => {
        const compact = makeCompact(bytes);
        const text = formatCompact(compact);
        expect(text).toMatch(/^writ_[A-Za-z0-9_-]+$/);
        expect(Buffer.byteLength(text)).toBeLessThan(128);
        expect(parseCompact(text)).toEqual(compact);
        expect(secretMatches(compact.secret, hashSecret(compact.secret))).toBe(true);
      }),
    );
  });

  test('every random byte counts', () => {
    fc.assert(
      fc.property(random, fc.nat(43), (bytes, at) => {
        const other = Uint8Array.from(bytes);
        other[at] = (other[at] ?? 0) ^ 1;
        expect(formatCompact(makeCompact(other))).not.toBe(formatCompact(makeCompact(bytes)));
      }),
    );
    expect(() => makeCompact(new Uint8Array(43))).toThrow(RangeError);
  });

  test.each(['', 'writ_', 'writ_a_b', `writ_${'0'.repeat(24)}_`, `writ_${'0'.repeat(24)}_${'a'.repeat(44)}`])(
    'none: %j',
    (text) => expect(parseCompact(text)).toBeUndefined(),
  );

  test('nothing matches what is not kept, not even nothing', () => {
    for (const kept of [undefined, '', 'xyz', '00'.repeat(32), '00'.repeat(31)]) {
      expect(secretMatches('', kept)).toBe(false);
    }
  });
});
