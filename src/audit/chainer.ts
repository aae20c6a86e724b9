import { hash } from 'node:crypto';
import { hashBytes, saltBytes } from './chain.ts';

/** Fills the buffer with random bytes. */
export type RandomFill = (target: Buffer) => void;

/** Where a chain stands: the sequence number and chain value of its last record (0 and the genesis before the first). */
export interface Tip {
  readonly seq: number;
  readonly chain: string;
}

/**
 * Appends records to a batch of bytes: the same lines as chain.ts makes, without an allocation per field. It holds
 * the tip of what was batched and goes back to the last committed tip when a batch could not be written.
 */
export class Chainer {
  #committed: Tip;
  #seq: number;
  #chain: string;
  #batch = Buffer.allocUnsafe(256 * 1024);
  #used = 0;
  /** previous chain ‖ leaf */
  readonly #link = Buffer.alloc(2 * hashBytes);
  /** 0x00 ‖ salt ‖ payload */
  #leaf = Buffer.alloc(64 * 1024);
  readonly #salts = Buffer.alloc(1024 * saltBytes);
  #saltAt: number;
  readonly #fill: RandomFill;

  constructor(tip: Tip, fill: RandomFill) {
    this.#committed = tip;
    this.#seq = tip.seq;
    this.#chain = tip.chain;
    this.#link.write(tip.chain, 0, 'base64url');
    this.#saltAt = this.#salts.length;
    this.#fill = fill;
  }

  /** Adds one record to the batch. `payload` is canonical: no tab, no line end. @returns its sequence number */
  add(payload: string): number {
    const salt = this.#nextSalt();
    const payloadBytes = this.#writeLeafInput(salt, payload);
    const leaf = hash('sha256', this.#leaf.subarray(0, 1 + saltBytes + payloadBytes), 'base64url');
    this.#link.write(leaf, hashBytes, 'base64url');
    const chain = hash('sha256', this.#link, 'base64url');
    this.#link.write(chain, 0, 'base64url');
    this.#seq += 1;
    this.#chain = chain;
    const head = `${this.#seq}\t${leaf}\t${chain}\t${salt.toString('base64url')}\t`;
    this.#reserve(head.length + payloadBytes + 1);
    this.#used += this.#batch.write(head, this.#used, 'latin1');
    this.#used += this.#leaf.copy(this.#batch, this.#used, 1 + saltBytes, 1 + saltBytes + payloadBytes);
    this.#batch[this.#used++] = 0x0a;
    return this.#seq;
  }

  /** The bytes that were added since the last commit or rollback; valid until the next `add`. */
  batch(): Buffer {
    return this.#batch.subarray(0, this.#used);
  }

  /** How many bytes that is. */
  get batched(): number {
    return this.#used;
  }

  /** The batch is written: its end is the tip. */
  commit(): void {
    this.#committed = { seq: this.#seq, chain: this.#chain };
    this.#used = 0;
  }

  /** The batch could not be written: its records do not exist. */
  rollback(): void {
    this.#seq = this.#committed.seq;
    this.#chain = this.#committed.chain;
    this.#link.write(this.#chain, 0, 'base64url');
    this.#used = 0;
  }

  /** Where the written chain ends. */
  tip(): Tip {
    return this.#committed;
  }

  #writeLeafInput(salt: Buffer, payload: string): number {
    const needed = 1 + saltBytes + payload.length * 3;
    if (needed > this.#leaf.length) this.#leaf = Buffer.alloc(needed);
    this.#leaf[0] = 0;
    salt.copy(this.#leaf, 1);
    return this.#leaf.write(payload, 1 + saltBytes, 'utf8');
  }

  #nextSalt(): Buffer {
    if (this.#saltAt >= this.#salts.length) {
      this.#fill(this.#salts);
      this.#saltAt = 0;
    }
    this.#saltAt += saltBytes;
    return this.#salts.subarray(this.#saltAt - saltBytes, this.#saltAt);
  }

  #reserve(bytes: number): void {
    const needed = this.#used + bytes;
    if (needed <= this.#batch.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#batch.length * 2));
    this.#batch.copy(larger, 0, 0, this.#used);
    this.#batch = larger;
  }
}
