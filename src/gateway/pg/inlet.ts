import type { Socket } from 'node:net';
import { WritError } from '../../kernel/errors.ts';
import { Framer, type ReceivedFrame, startupLength } from './framer.ts';

/**
 * Reads a socket by exact amounts, before a TLS handshake or a session takes it over; `release` hands back what was read
 * ahead.
 */
export class Inlet {
  readonly #socket: Socket;
  #held: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Bytes that arrived and were not taken. */
  get buffered(): number {
    return this.#held.length + this.#socket.readableLength;
  }

  /** The next byte, left where it is; undefined when the client left without a word. */
  async peek(): Promise<number | undefined> {
    return (await this.#hold(1)) ? this.#held[0] : undefined;
  }

  /** Puts back what was not taken: from now on somebody else reads. */
  release(): void {
    if (this.#held.length > 0) this.#socket.unshift(this.#held);
    this.#held = Buffer.alloc(0);
  }

  /** A packet of the start-up phase, its length included; undefined when the client left. @throws protocol_violation */
  async packet(): Promise<Buffer | undefined> {
    const head = await this.#take(4);
    const length = head === undefined ? undefined : startupLength(head);
    if (head === undefined || length === undefined) return undefined;
    const rest = await this.#take(length - 4);
    return rest === undefined ? undefined : Buffer.concat([head, rest], length);
  }

  /** One message; undefined when the client left. `maxLength` bounds its payload. @throws protocol_violation */
  async frame(maxLength: number): Promise<ReceivedFrame | undefined> {
    const head = await this.#take(5);
    if (head === undefined) return undefined;
    const framer = new Framer({ maxLength });
    const [empty] = framer.push(head);
    if (framer.violation !== undefined) throw framer.violation;
    if (empty !== undefined) return empty;
    const body = await this.#take(head.readInt32BE(1) - 4);
    return body === undefined ? undefined : framer.push(body)[0];
  }

  async #take(length: number): Promise<Buffer | undefined> {
    if (!(await this.#hold(length))) return undefined;
    const bytes = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return bytes;
  }

  /** Whether so many bytes could be had. */
  async #hold(length: number): Promise<boolean> {
    while (this.#held.length < length) {
      // All there is: asking for an exact amount and waiting for more would be told of the same bytes at once, forever.
      const bytes: Buffer | null = this.#socket.read();
      if (bytes !== null) this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
      else if (this.#socket.readableEnded || this.#socket.destroyed) return false;
      else await this.#more();
    }
    return true;
  }

  #more(): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        socket.off('readable', finish).off('end', finish).off('close', finish).off('error', fail);
        resolve();
      };
      const fail = (cause: Error): void => {
        finish();
        reject(new WritError('unreachable', { message: 'the client connection failed', cause }));
      };
      socket.on('readable', finish).on('end', finish).on('close', finish).on('error', fail);
    });
  }
}
