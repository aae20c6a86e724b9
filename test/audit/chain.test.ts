import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  chainOf,
  eraseLine,
  formatLine,
  genesis,
  isErased,
  leafHolds,
  leafOf,
  parseLine,
} from '../../src/audit/chain.ts';
import { Chainer } from '../../src/audit/chainer.ts';

const fill = (byte: number) => (target: Buffer) => void target.fill(byte);

describe('leaf and chain', () => {
  test('the leaf is SHA-256 of 0x00, salt and payload; with an empty salt that of RFC 6962', () => {
    const hex = Buffer.from(leafOf(Buffer.alloc(0), Buffer.alloc(0)), 'base64url').toString('hex');
    expect(hex).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d');
    const salt = Buffer.alloc(16, 7);
    const expected = createHash('sha256')
      .update(Buffer.from([0]))
      .update(salt)
      .update('{}')
      .digest('base64url');
    expect(leafOf(salt, Buffer.from('{}'))).toBe(expected);
  });

  test('the chain is SHA-256 of the previous value and the leaf; its start names the writer', () => {
    const previous = genesis('gateway');
    const leaf = leafOf(Buffer.alloc(16), Buffer.from('{}'));
    const expected = createHash('sha256')
      .update(Buffer.from(previous, 'base64url'))
      .update(Buffer.from(leaf, 'base64url'))
      .digest('base64url');
    expect(chainOf(previous, leaf)).toBe(expected);
    expect(genesis('other')).not.toBe(previous);
  });
});

describe('lines', () => {
  const payloads = fc.string({ unit: 'grapheme', maxLength: 300 }).map((text) => JSON.stringify({ text }));

  test('the batched writer makes exactly the lines that the plain functions make', () => {
    fc.assert(
      fc.property(fc.array(payloads, { maxLength: 20 }), (texts) => {
        const chainer = new Chainer({ seq: 0, chain: genesis('w') }, fill(9));
        for (const text of texts) chainer.add(text);
        const salt = Buffer.alloc(16, 9);
        let chain = genesis('w');
        const expected = texts.map((payload, i) => {
          const leaf = leafOf(salt, Buffer.from(payload));
          chain = chainOf(chain, leaf);
          return formatLine({ seq: i + 1, leaf, chain, salt: salt.toString('base64url'), payload });
        });
        expect(chainer.batch().toString('utf8')).toBe(expected.join(''));
        chainer.commit();
        expect(chainer.tip()).toEqual({ seq: texts.length, chain });
      }),
    );
  });

  test('format and parse are inverse; leaves hold', () => {
    fc.assert(
      fc.property(payloads, fc.integer({ min: 1, max: 2 ** 48 }), (payload, seq) => {
        const salt = Buffer.alloc(16, seq % 256);
        const leaf = leafOf(salt, Buffer.from(payload));
        const line = {
          seq,
          leaf,
          chain: chainOf(genesis('w'), leaf),
          salt: salt.toString('base64url'),
          payload,
        };
        const parsed = parseLine(formatLine(line).slice(0, -1));
        expect(parsed).toEqual(line);
        expect(parsed !== undefined && leafHolds(parsed)).toBe(true);
        expect(leafHolds({ ...line, payload: `${payload} ` })).toBe(false);
      }),
    );
  });

  test('an erased record keeps seq, leaf and chain', () => {
    const salt = Buffer.alloc(16, 1);
    const leaf = leafOf(salt, Buffer.from('{}'));
    const line = {
      seq: 1,
      leaf,
      chain: chainOf(genesis('w'), leaf),
      salt: salt.toString('base64url'),
      payload: '{}',
    };
    const erased = parseLine(formatLine(eraseLine(line)).trimEnd());
    expect(erased).toEqual({ ...line, salt: '-', payload: '-' });
    expect(erased !== undefined && isErased(erased) && leafHolds(erased)).toBe(true);
  });

  test('other text for the same salt bytes is an edit', () => {
    const salt = Buffer.alloc(16, 0);
    const leaf = leafOf(salt, Buffer.from('{}'));
    const line = { seq: 1, leaf, chain: leaf, salt: 'AAAAAAAAAAAAAAAAAAAAAB', payload: '{}' };
    expect(leafHolds(line)).toBe(false);
  });

  test.each([
    '',
    'x',
    '1\t2\t3',
    '0\ta\tb\tc\t{}',
    `1\t${'a'.repeat(43)}\t${'b'.repeat(43)}\t-\t{}`,
    '#writ-audit v1',
  ])('no record: %j', (text) => expect(parseLine(text)).toBeUndefined());

  test('a batch that was rolled back leaves no trace in the chain', () => {
    const one = new Chainer({ seq: 0, chain: genesis('w') }, fill(3));
    one.add('{"lost":true}');
    one.rollback();
    expect(one.batch().length).toBe(0);
    one.add('{"kept":true}');
    const other = new Chainer({ seq: 0, chain: genesis('w') }, fill(3));
    other.add('{"kept":true}');
    expect(one.batch().toString()).toBe(other.batch().toString());
  });

  test('a record larger than every buffer is written whole', () => {
    const chainer = new Chainer({ seq: 0, chain: genesis('w') }, fill(3));
    const payload = JSON.stringify({ text: 'ü'.repeat(400_000) });
    chainer.add(payload);
    chainer.add('{}');
    const [first = ''] = chainer.batch().toString('utf8').split('\n');
    expect(parseLine(first)?.payload).toBe(payload);
  });
});
