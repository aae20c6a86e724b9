import { describe, expect, it } from 'vitest';
import { decodeParameter, encodeBinary, readArrayText } from '../../../src/gateway/pg/binary-values.ts';
import { dataRows, formatsOf, rowDescription, textRow } from '../../../src/gateway/pg/rows.ts';

describe('binary values', () => {
  it.each([
    [16, 't'],
    [16, 'f'],
    [17, '\\x00ff10'],
    [20, '-9223372036854775808'],
    [21, '-32768'],
    [23, '2147483647'],
    [25, 'é 😀'],
    [701, '0.1'],
    [701, '-1.5'],
    [1082, '2024-02-29'],
    [1082, '1999-12-31'],
    [1082, '0044-03-15 BC'],
    [1082, 'infinity'],
    [1083, '23:59:59.999999'],
    [1114, '1969-12-31 23:59:59.999999'],
    [1114, '-infinity'],
    [1184, '2024-01-01 10:00:00.5+00'],
    [1184, '0044-03-15 00:00:00+00 BC'],
    [1700, '0'],
    [1700, '12.50'],
    [1700, '-0.0001'],
    [1700, '10000'],
    [1700, '123456789012345678901234567890.123456789'],
    [1700, '100000000'],
    [1700, '0.00'],
    [1700, 'NaN'],
    [2950, '6d3d2a44-4b1f-4bd0-8a5e-0f9b7d1f2a11'],
    [114, '{"a":1}'],
  ])('type %i: %s there and back', (oid, text) => {
    expect(decodeParameter(encodeBinary(text, oid), 1, oid)).toBe(text);
  });

  it('are what Postgres sends', () => {
    expect(encodeBinary('12345.678', 1700).toString('hex')).toBe('0003000100000003' + '000109291a7c');
    expect(encodeBinary('2000-01-02', 1082).toString('hex')).toBe('00000001');
    expect(encodeBinary('{1,NULL}', 1007).toString('hex')).toBe(
      '00000001' + '00000001' + '00000017' + '00000002' + '00000001' + '0000000400000001' + 'ffffffff',
    );
  });

  it('that are malformed are refused', () => {
    expect(() => decodeParameter(Buffer.alloc(3), 1, 23)).toThrow(
      expect.objectContaining({ sqlstate: '22P03' }),
    );
    expect(() => decodeParameter(Buffer.alloc(3), 1, 9999)).toThrow(
      expect.objectContaining({ sqlstate: '0A000' }),
    );
  });

  it('arrays are read as Postgres writes them', () => {
    expect(readArrayText('{a,"b c",NULL,"NULL","x\\"y\\\\z",""}')).toEqual([
      'a',
      'b c',
      null,
      'NULL',
      'x"y\\z',
      '',
    ]);
    expect(readArrayText('{}')).toEqual([]);
  });
});

describe('rows', () => {
  const columns = [
    { name: 'a', typeOid: 23, typeSize: 4 },
    { name: 'b', typeOid: 25, typeSize: -1 },
  ];
  const bodies = Buffer.concat(
    [textRow(['7', null]), textRow(['8', 'x'])].map((message) => message.subarray(5)),
  );

  it('go as they are in text format', () => {
    const { messages, rows } = dataRows(bodies, columns, [0, 0]);
    expect(rows).toBe(2);
    expect(messages).toEqual(Buffer.concat([textRow(['7', null]), textRow(['8', 'x'])]));
  });

  it('are cut where the client wants them cut', () => {
    const first = dataRows(bodies, columns, [0, 0], 1);
    expect(first.rows).toBe(1);
    expect(dataRows(bodies.subarray(first.used), columns, [0, 0], 5).messages).toEqual(textRow(['8', 'x']));
  });

  it('are encoded per column in binary format', () => {
    const { messages } = dataRows(bodies, columns, [1, 0], 1);
    expect(messages.toString('hex')).toBe('44' + '00000012' + '0002' + '00000004' + '00000007' + 'ffffffff');
  });

  it('formats: none is text, one is for all', () => {
    expect(formatsOf([], 2)).toEqual([0, 0]);
    expect(formatsOf([1], 2)).toEqual([1, 1]);
    expect(formatsOf([0, 1], 2)).toEqual([0, 1]);
  });

  it('are described', () => {
    expect(rowDescription(columns, [1, 0]).toString('latin1')).toContain('a\0');
  });
});
