import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode, decodeFields } from '../../../src/gateway/pg/decode.ts';
import * as encode from '../../../src/gateway/pg/encode.ts';
import { WritError } from '../../../src/kernel/errors.ts';

const frame = (type: string, ...parts: readonly Buffer[]) => ({ type, payload: Buffer.concat(parts) });
const text = encode.cString;

describe('frontend messages', () => {
  test('Query, with a byte order mark kept', () => {
    expect(decode(frame('Q', text('\ufeffselect')))).toEqual({ type: 'query', text: '\ufeffselect' });
  });
  test('Parse', () => {
    const types = Buffer.from([0, 1, 0xff, 0xff, 0xff, 0xff]);
    expect(decode(frame('P', text('n'), text('q'), types))).toEqual({
      type: 'parse',
      name: 'n',
      text: 'q',
      parameterTypes: [4294967295],
    });
  });
  test('Bind', () => {
    const message = decode(
      frame(
        'B',
        text('p'),
        text('s'),
        encode.int16(1),
        encode.int16(1),
        encode.int16(2),
        encode.int32(-1),
        encode.int32(1),
        Buffer.from('x'),
        encode.int16(0),
      ),
    );
    expect(message).toEqual({
      type: 'bind',
      portal: 'p',
      statement: 's',
      parameterFormats: [1],
      parameters: [null, Buffer.from('x')],
      resultFormats: [],
    });
  });

  test.each<[string, ReturnType<typeof frame>, string]>([
    ['no terminator', frame('Q', Buffer.from('select')), '08P01'],
    ['bytes behind the terminator', frame('Q', Buffer.from('a\0b\0')), '08P01'],
    ['not UTF-8', frame('Q', Buffer.from([0xc3, 0x28, 0])), '22021'],
    ['an encoded surrogate', frame('Q', Buffer.from([0xed, 0xa0, 0x80, 0])), '22021'],
    [
      'a value longer than the message',
      frame('B', text(''), text(''), encode.int16(0), encode.int16(1), encode.int32(9), encode.int16(0)),
      '08P01',
    ],
    [
      'a negative length',
      frame('B', text(''), text(''), encode.int16(0), encode.int16(1), encode.int32(-2), encode.int16(0)),
      '08P01',
    ],
    ['Describe of nothing known', frame('D', Buffer.from('X\0')), '08P01'],
    ['an unknown type', frame('z'), '08P01'],
    ['something in Sync', frame('S', Buffer.from('x')), '08P01'],
  ])('%s', (_, bad, sqlstate) => {
    expect(() => decode(bad)).toThrow(expect.objectContaining({ sqlstate }));
  });

  test('whatever the bytes: a message or a WritError', () => {
    fc.assert(
      fc.property(fc.constantFrom(...'QPBDECSHXdcfFz'), fc.uint8Array({ maxLength: 60 }), (type, bytes) => {
        try {
          decode({ type, payload: Buffer.from(bytes) });
        } catch (error) {
          expect(error).toBeInstanceOf(WritError);
        }
      }),
    );
  });
});

test('an error goes out with all its fields, and never with its cause', () => {
  const error = new WritError('permission_denied', {
    message: 'no',
    detail: 'why\0hidden',
    hint: 'ask',
    position: 4,
    cause: 'secret',
  });
  const bytes = encode.errorResponse(error, 'FATAL');
  expect(Object.fromEntries(decodeFields(bytes.subarray(5)))).toEqual({
    S: 'FATAL',
    V: 'FATAL',
    C: '42501',
    M: 'no',
    D: 'whyhidden',
    H: 'ask',
    P: '4',
  });
  expect(bytes.includes('secret')).toBe(false);
});
