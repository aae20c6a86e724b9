import { createHash, createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import { WritError } from './errors.ts';

// The key of token(), as HMAC-SHA-256 needs it (RFC 2104). Whoever prints or serializes it gets no byte of it.

const length = 32;
const blockLength = 64;

/** Hashed to compare keys without reading them; a token of it is nobody's mask. */
export const fingerprintText = 'writ token key fingerprint';

/** The key of every scratch instance of `writ policy test`, open to everybody: what a test expects holds in each run. */
export const scratchTokenKey = '00'.repeat(length);

export class TokenKey {
  readonly #key: Buffer;

  private constructor(key: Buffer) {
    this.#key = key;
  }

  /** @throws invalid_config, without the text, unless it is 64 hex digits */
  static parse(hex: string, where: string): TokenKey {
    const text = hex.trim();
    if (!/^[0-9a-f]{64}$/i.test(text))
      throw new WritError('invalid_config', {
        message: `${where} holds no key of ${length} bytes in hex`,
        hint: 'put the key back; without it every token changes',
      });
    return new TokenKey(Buffer.from(text, 'hex'));
  }

  /** The key, padded for the inner and for the outer hash. For the parameters of a statement only. */
  blocks(): { readonly inner: Buffer; readonly outer: Buffer } {
    return { inner: this.#block(0x36), outer: this.#block(0x5c) };
  }

  /** Tells keys apart: the hash of the HMAC of a constant, 64 hex digits. */
  fingerprint(): string {
    const hmac = createHmac('sha256', this.#key).update(fingerprintText).digest();
    return createHash('sha256').update(hmac).digest('hex');
  }

  toJSON(): string {
    return this.toString();
  }

  toString(): string {
    return '[token key]';
  }

  [inspect.custom](): string {
    return this.toString();
  }

  #block(pad: number): Buffer {
    const block = Buffer.alloc(blockLength);
    this.#key.copy(block);
    return block.map((byte) => byte ^ pad) as Buffer;
  }
}
