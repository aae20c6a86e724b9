import { WritError } from '../../kernel/errors.ts';
import { maxMessageLength } from './framer.ts';

// Walks the messages of a Postgres server without collecting them: rows pass through as the bytes they came in, only
// the short messages that a session lives by are looked into. No sockets.

/** What becomes of one message: `true` passes it on, `false` drops it, bytes replace it. */
export type Verdict = boolean | Buffer;

export interface ScannerSink {
  /** A message of a type in `collected`, whole. */
  message(type: string, payload: Buffer): Verdict;
  /** Another message begins. `length` is that of its payload. It passes on. */
  begins(type: string, length: number): void;
}

const headerLength = 5;

/** Cuts a server's byte stream. The output is the input but for what the sink dropped or replaced. */
export class BackendScanner {
  readonly #collected: ReadonlySet<number>;
  readonly #sink: ScannerSink;
  /** Bytes of a passing message still to come. */
  #passing = 0;
  #held: Buffer[] = [];
  #heldLength = 0;
  #needed = headerLength;

  constructor(collected: string, sink: ScannerSink) {
    this.#collected = new Set([...collected].map((type) => type.charCodeAt(0)));
    this.#sink = sink;
  }

  /** Bytes of the message that is passing and not yet complete on the other side. */
  get passing(): number {
    return this.#passing;
  }

  /** Only what completes the message that is passing: for whoever wants to stop between two messages. */
  finishMessage(chunk: Buffer): Buffer {
    const rest = chunk.subarray(0, this.#passing);
    this.#passing -= rest.length;
    return rest;
  }

  /** @returns the bytes to pass on, in order. @throws protocol_violation when the stream makes no sense */
  push(chunk: Buffer): Buffer[] {
    const out: Buffer[] = [];
    if (this.#heldLength === 0) {
      this.#walk(chunk, out);
      return out;
    }
    this.#held.push(chunk);
    this.#heldLength += chunk.length;
    if (this.#heldLength < this.#needed) return out;
    const whole = Buffer.concat(this.#held, this.#heldLength);
    this.#held = [];
    this.#heldLength = 0;
    this.#walk(whole, out);
    return out;
  }

  #walk(bytes: Buffer, out: Buffer[]): void {
    let at = Math.min(this.#passing, bytes.length);
    this.#passing -= at;
    let passedFrom = 0;
    const passTo = (end: number): void => {
      if (end <= passedFrom) return;
      out.push(end - passedFrom === bytes.length ? bytes : bytes.subarray(passedFrom, end));
    };
    while (at < bytes.length) {
      const left = bytes.length - at;
      const length = left < headerLength ? undefined : bytes.readInt32BE(at + 1);
      if (length !== undefined && (length < 4 || length > 0x3fffffff)) throw broken();
      const type = bytes[at] ?? 0;
      const collect = length === undefined || this.#collected.has(type);
      const total = length === undefined ? headerLength : length + 1;
      if (collect && left < total) {
        if (total > maxMessageLength) throw broken();
        passTo(at);
        this.#held = [bytes.subarray(at)];
        this.#heldLength = left;
        this.#needed = total;
        return;
      }
      if (collect) {
        const verdict = this.#sink.message(
          String.fromCharCode(type),
          bytes.subarray(at + headerLength, at + total),
        );
        if (verdict !== true) {
          passTo(at);
          if (verdict !== false) out.push(verdict);
          passedFrom = at + total;
        }
      } else {
        this.#sink.begins(String.fromCharCode(type), total - headerLength);
      }
      this.#passing = Math.max(0, total - left);
      at = Math.min(at + total, bytes.length);
    }
    passTo(bytes.length);
  }
}

function broken(): WritError {
  return new WritError('unreachable', {
    message: 'the server behind the catalog sent a message of impossible length',
  });
}
