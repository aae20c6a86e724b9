import fc from 'fast-check';
import { expect, test } from 'vitest';
import { commandComplete, message, parameterStatus, readyForQuery } from '../../../src/gateway/pg/encode.ts';
import { BackendScanner, type Verdict } from '../../../src/gateway/pg/scanner.ts';

const transcript = Buffer.concat([
  message('T', Buffer.alloc(40, 2)),
  message('D', Buffer.alloc(100, 3)),
  message('D', Buffer.alloc(0)),
  commandComplete('SELECT 2'),
  parameterStatus('a', 'b'),
  readyForQuery('I'),
]);

function scan(
  chunks: readonly Buffer[],
  verdict: (type: string) => Verdict,
): { out: string; seen: string[] } {
  const seen: string[] = [];
  const scanner = new BackendScanner('CZS', {
    message: (type, payload) => {
      seen.push(`${type}!${payload.length}`);
      return verdict(type);
    },
    begins: (type, length) => seen.push(`${type}${length}`),
  });
  const out = Buffer.concat(chunks.flatMap((chunk) => scanner.push(chunk))).toString('hex');
  expect(scanner.passing).toBe(0);
  return { out, seen };
}

test('wherever the chunks are cut: the same messages seen, the same bytes passed', () => {
  const verdict = (type: string): Verdict =>
    type === 'C' ? message('C', Buffer.from('OTHER\0')) : type !== 'S';
  const whole = scan([transcript], verdict);
  expect(whole.seen).toEqual(['T40', 'D100', 'D0', 'C!9', 'S!4', 'Z!1']);
  const expected = Buffer.concat([
    transcript.subarray(0, 45 + 105 + 5),
    message('C', Buffer.from('OTHER\0')),
    readyForQuery('I'),
  ]);
  expect(whole.out).toBe(expected.toString('hex'));
  for (let a = 0; a <= transcript.length; a++) {
    for (const b of [a, Math.min(a + 3, transcript.length)]) {
      const chunks = [transcript.subarray(0, a), transcript.subarray(a, b), transcript.subarray(b)];
      expect(scan(chunks, verdict)).toEqual(whole);
    }
  }
});

test('passed on untouched when nothing is replaced', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 50 })), (sizes) => {
      const chunks: Buffer[] = [];
      let at = 0;
      for (const size of sizes) {
        chunks.push(transcript.subarray(at, at + size));
        at += size;
      }
      chunks.push(transcript.subarray(at));
      expect(scan(chunks, () => true).out).toBe(transcript.toString('hex'));
    }),
  );
});

test('the message that is passing can be completed alone', () => {
  const scanner = new BackendScanner('Z', { message: () => true, begins: () => {} });
  scanner.push(transcript.subarray(0, 60));
  expect(scanner.passing).toBe(90);
  expect(scanner.finishMessage(transcript.subarray(60)).length).toBe(90);
  expect(scanner.passing).toBe(0);
});

test('a length that cannot be', () => {
  const scanner = new BackendScanner('Z', { message: () => true, begins: () => {} });
  expect(() => scanner.push(Buffer.from([0x44, 0, 0, 0, 3]))).toThrow('impossible length');
});
