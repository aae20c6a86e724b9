import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { message } from '../../../src/gateway/pg/encode.ts';
import { Framer, startupLength } from '../../../src/gateway/pg/framer.ts';

const seen = (framer: Framer, chunks: readonly Buffer[]): string[] =>
  chunks
    .flatMap((chunk) => framer.push(chunk))
    .map(({ type, payload }) => `${type}:${payload.toString('hex')}`);

const transcript = Buffer.concat([
  message('Q', Buffer.from('select 1\0')),
  message('S'),
  message('B', Buffer.alloc(300, 7)),
  message('X'),
]);

describe('frames do not depend on where the chunks are cut', () => {
  const whole = seen(new Framer({ maxLength: 1000 }), [transcript]);

  test('at every byte', () => {
    expect(whole.map((frame) => frame.slice(0, 2))).toEqual(['Q:', 'S:', 'B:', 'X:']);
    for (let at = 0; at <= transcript.length; at++) {
      const chunks = [transcript.subarray(0, at), transcript.subarray(at)];
      expect(seen(new Framer({ maxLength: 1000 }), chunks)).toEqual(whole);
    }
  });

  test('byte by byte', () => {
    const bytes = [...transcript].map((byte) => Buffer.from([byte]));
    expect(seen(new Framer({ maxLength: 1000 }), bytes)).toEqual(whole);
  });

  test('any messages, any cuts, garbage behind them', () => {
    const messages = fc.array(
      fc.tuple(fc.constantFrom(...'QPBDECSHdcf'), fc.uint8Array({ maxLength: 90_000 })),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(
        messages,
        fc.array(fc.nat(200_000), { maxLength: 8 }),
        fc.uint8Array(),
        (list, cuts, garbage) => {
          const bytes = Buffer.concat([
            ...list.map(([type, body]) => message(type, Buffer.from(body))),
            Buffer.from(garbage),
          ]);
          const points = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
          const chunks = points.slice(1).map((end, i) => bytes.subarray(points[i], end));
          const [one, many] = [new Framer({ maxLength: 100_000 }), new Framer({ maxLength: 100_000 })];
          expect(seen(many, chunks)).toEqual(seen(one, [bytes]));
          expect(many.violation?.message).toBe(one.violation?.message);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('bad lengths', () => {
  test.each([0, 3, -5, 2 ** 31 - 1, 1005])('length %i', (length) => {
    const bytes = Buffer.concat([message('S'), Buffer.from('Q\0\0\0\0')]);
    bytes.writeInt32BE(length, 6);
    const framer = new Framer({ maxLength: 1000 });
    // What stood before it is still said.
    expect(seen(framer, [bytes])).toEqual(['S:']);
    expect(framer.violation).toMatchObject({ code: 'protocol_violation' });
    expect(framer.push(transcript)).toEqual([]);
  });

  test('startup packets', () => {
    expect(startupLength(Buffer.alloc(3))).toBeUndefined();
    expect(startupLength(Buffer.from([0, 0, 0x27, 0x10]))).toBe(10_000);
    for (const bytes of [
      [0, 0, 0, 7],
      [0, 0, 0x27, 0x11],
      [0x40, 0, 0, 0],
      [0xff, 0, 0, 0],
    ])
      expect(() => startupLength(Buffer.from(bytes))).toThrow('invalid length of startup packet');
  });
});

test('a long CopyData comes out in pieces that make up the message', () => {
  const long = message('d', Buffer.alloc(300_000, 1));
  const all = Buffer.concat([long, message('c')]);
  const framer = new Framer({ maxLength: 1000, streamCopyData: true });
  const frames = [0, 1, 2, 3].flatMap((i) => framer.push(all.subarray(i * 100_000, (i + 1) * 100_000)));
  expect(frames.map(({ type, last }) => `${type}${last}`)).toEqual([
    'dfalse',
    'dfalse',
    'dfalse',
    'dtrue',
    'ctrue',
  ]);
  expect(Buffer.concat(frames.map(({ raw }) => raw)).equals(all)).toBe(true);
});
