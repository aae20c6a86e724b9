import { WritError } from '../../kernel/errors.ts';
import type { Frame } from './client-link.ts';

// Bytes in, frames out; no sockets. A frame is: type (1 byte), length (4 bytes, counts itself), payload.
// Whatever the cuts between chunks, the frames are the same.

/** Longest StartupMessage that Postgres takes (MAX_STARTUP_PACKET_LENGTH). */
export const maxStartupLength = 10_000;
/** PG_MAX_AUTH_TOKEN_LENGTH and its terminating NUL. */
export const maxPasswordLength = 65_535 + 1;
/** Longest message after authentication; CopyData is streamed and needs no cap. */
export const maxMessageLength = 64 * 1024 * 1024;

const headerLength = 5;
const copyData = 0x64;
/** CopyData longer than this is handed on in pieces. */
const streamAbove = 64 * 1024;

export interface ReceivedFrame extends Frame {
  /** The bytes as they arrived, header included: forwarded without copying. */
  readonly raw: Buffer;
  /** False for a piece of a streamed CopyData that is not its last. */
  readonly last: boolean;
}

export interface FramerOptions {
  /** Longest payload, in bytes. */
  readonly maxLength: number;
  /** Hand on long CopyData in pieces instead of collecting it. */
  readonly streamCopyData?: boolean;
}

/** Collects frames out of chunks. After `violation` is set nothing more comes out: answer it and close. */
export class Framer {
  violation: WritError | undefined;
  readonly #options: FramerOptions;
  #held: Buffer[] = [];
  #heldLength = 0;
  /** How many bytes must be held before looking again is worth it. */
  #needed = headerLength;
  /** Bytes of a streamed CopyData still to come. */
  #streaming = 0;

  constructor(options: FramerOptions) {
    this.#options = options;
  }

  /** Frames completed by this chunk, in order. They share the chunk's memory where it held them whole. */
  push(chunk: Buffer): ReceivedFrame[] {
    if (this.violation !== undefined) return [];
    const frames: ReceivedFrame[] = [];
    const rest = this.#streaming > 0 ? this.#passPiece(chunk, frames) : chunk;
    if (rest.length === 0) return frames;
    if (this.#heldLength === 0) {
      this.#cut(rest, frames);
      return frames;
    }
    this.#held.push(rest);
    this.#heldLength += rest.length;
    if (this.#heldLength < this.#needed) return frames;
    const whole = Buffer.concat(this.#held, this.#heldLength);
    this.#held = [];
    this.#heldLength = 0;
    this.#cut(whole, frames);
    return frames;
  }

  #cut(bytes: Buffer, frames: ReceivedFrame[]): void {
    let at = 0;
    while (bytes.length - at >= headerLength) {
      const type = bytes[at] ?? 0;
      const length = bytes.readInt32BE(at + 1);
      const streamed = type === copyData && this.#options.streamCopyData === true && length > streamAbove;
      if (length < 4 || (!streamed && length - 4 > this.#options.maxLength)) {
        this.violation = badLength(type, length);
        return;
      }
      const end = at + 1 + length;
      if (end > bytes.length) {
        if (streamed) {
          this.#streaming = end - bytes.length;
          frames.push(frame(bytes.subarray(at), false));
          return;
        }
        this.#hold(bytes.subarray(at), 1 + length);
        return;
      }
      frames.push(frame(bytes.subarray(at, end), true));
      at = end;
    }
    if (at < bytes.length) this.#hold(bytes.subarray(at), headerLength);
  }

  #hold(bytes: Buffer, needed: number): void {
    this.#held = [bytes];
    this.#heldLength = bytes.length;
    this.#needed = needed;
  }

  #passPiece(chunk: Buffer, frames: ReceivedFrame[]): Buffer {
    const piece = chunk.subarray(0, this.#streaming);
    this.#streaming -= piece.length;
    frames.push({ type: 'd', payload: piece, raw: piece, last: this.#streaming === 0 });
    return chunk.subarray(piece.length);
  }
}

function frame(raw: Buffer, last: boolean): ReceivedFrame {
  return { type: String.fromCharCode(raw[0] ?? 0), payload: raw.subarray(headerLength), raw, last };
}

function badLength(type: number, length: number): WritError {
  return new WritError('protocol_violation', {
    message: `invalid message length ${length} (message type 0x${type.toString(16).padStart(2, '0')})`,
  });
}

/** Length of a startup packet (it has no type byte), or undefined until its 4 bytes are there. @throws protocol_violation */
export function startupLength(bytes: Buffer): number | undefined {
  if (bytes.length < 4) return undefined;
  const length = bytes.readInt32BE(0);
  if (length < 8 || length > maxStartupLength) {
    throw new WritError('protocol_violation', { message: 'invalid length of startup packet' });
  }
  return length;
}
