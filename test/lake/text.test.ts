import { describe, expect, it } from 'vitest';
import { dateText, floatText, intervalText, timestampText } from '../../src/lake/worker/text.mjs';

describe('floatText, as Postgres prints', () => {
  it.each([
    [0, '0'],
    [-0, '-0'],
    [0.1, '0.1'],
    [1, '1'],
    [-1.5, '-1.5'],
    [123456789012345, '123456789012345'],
    [100000000000000, '100000000000000'],
    [1e15, '1e+15'],
    [1234567890123456, '1.234567890123456e+15'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [5e-324, '5e-324'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    [Number.NEGATIVE_INFINITY, '-Infinity'],
  ])('%s', (value, text) => {
    expect(floatText(value, 15)).toBe(text);
  });

  it.each([
    [Math.fround(0.1), '0.1'],
    [100000, '100000'],
    [1000000, '1e+06'],
    [Math.fround(3.4028235e38), '3.4028235e+38'],
  ])('single precision %s', (value, text) => {
    expect(floatText(value, 6)).toBe(text);
  });
});

describe('times', () => {
  it('dates', () => {
    expect(dateText(0)).toBe('1970-01-01');
    expect(dateText(19782)).toBe('2024-02-29');
    expect(dateText(-719163)).toBe('0001-12-31 BC');
    expect(dateText(2147483647)).toBe('infinity');
  });

  it('timestamps', () => {
    expect(timestampText(-1n)).toBe('1969-12-31 23:59:59.999999');
    expect(timestampText(1_500_000n)).toBe('1970-01-01 00:00:01.5');
  });

  it('intervals', () => {
    expect(intervalText({ months: 14, days: -3, micros: 3_661_500_000n })).toBe(
      '1 year 2 mons -3 days 01:01:01.5',
    );
    expect(intervalText({ months: 0, days: 0, micros: 0n })).toBe('00:00:00');
    expect(intervalText({ months: 0, days: 0, micros: -1_000_000n })).toBe('-00:00:01');
  });
});
