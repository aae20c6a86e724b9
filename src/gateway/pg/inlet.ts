import type { Socket } from 'node:net';
import { WritError } from '../../kernel/errors.ts';
import { Framer, type ReceivedFrame, startupLength } from './framer.ts';

/**
 * Reads a socket by exact amounts, before a session takes it over: nothing is read ahead of what was asked for, so that
 * what follows (a TLS handshake, the first statement) is still in the socket.
 */
export class Inlet {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Bytes that arrived and were not taken. */
  get buffered(): number {
    return this.#socket.readableLength;
  }

  /** The next byte, left where it is; undefined when the client left without a word. */
  async peek(): Promise<number | undefined> {
    const byte = await this.#take(1);
    if (byte === undefined) return undefined;
    this.#socket.unshift(byte);
    return byte[0];
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
    for (;;) {
      const bytes: Buffer | null = this.#socket.read(length);
      if (bytes !== null) return bytes.length === length ? bytes : undefined;
      if (this.#socket.readableEnded || this.#socket.destroyed) return undefined;
      await this.#more();
    }
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
