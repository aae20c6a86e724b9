import { describe, expect, test } from 'vitest';
import { genesis } from '../../src/audit/chain.ts';
import { checkWriterName, formatHeader, parseHeader, segmentFileName } from '../../src/audit/segment.ts';

describe('segments', () => {
  test('a header says writer, number and previous chain value', () => {
    const header = { writer: 'gateway-1', segment: 12, previous: genesis('gateway-1') };
    const text = formatHeader(header);
    expect(text).toBe(`#writ-audit v1 writer=gateway-1 segment=12 previous=${header.previous}\n`);
    expect(parseHeader(text.trimEnd())).toEqual(header);
  });

  test.each([
    '',
    '#writ-audit v2 writer=a segment=1 previous=x',
    '#writ-audit v1 writer=a segment=0 previous=x',
  ])('no header: %j', (text) => expect(parseHeader(text)).toBeUndefined());

  test('file names sort like sequence numbers', () => {
    expect(segmentFileName(1)).toBe('0000000000000001.log');
    expect(segmentFileName(9) < segmentFileName(10)).toBe(true);
  });

  test.each(['', '../x', 'A', 'a b', 'a'.repeat(64)])('no writer name: %j', (name) => {
    expect(() => checkWriterName(name)).toThrow(/invalid audit writer name/);
  });
});
