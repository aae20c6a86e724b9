import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalEvent, canonicalJson } from '../../src/audit/canonical.ts';
import type { AuditEvent } from '../../src/audit/event.ts';

describe('canonical JSON', () => {
  test('keys are sorted at every level and undefined is left out', () => {
    expect(canonicalJson({ b: 1, a: { d: [true, null], c: undefined, b: 'x' } })).toBe(
      '{"a":{"b":"x","d":[true,null]},"b":1}',
    );
    expect(canonicalJson({ a: undefined })).toBe('{}');
    expect(canonicalJson([undefined])).toBe('[null]');
  });

  test('says what JSON.stringify says, whatever the order of keys', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });

  test('what JSON cannot say is refused', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1n, Symbol('x'), () => 1]) {
      expect(() => canonicalJson({ value })).toThrow(TypeError);
    }
  });

  test('a payload holds no tab, line end or comment sign', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (message) => {
        const event = { kind: 'log.open', id: '1', time: 1, message } as AuditEvent;
        const text = canonicalEvent(event);
        expect(text).not.toMatch(/[#\t\n\r]/);
        expect(JSON.parse(text)).toEqual(event);
      }),
    );
  });
});
