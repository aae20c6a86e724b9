import { isUtf8 } from 'node:buffer';
import { WritError } from '../../kernel/errors.ts';
import type { Frame } from './client-link.ts';
import type { ErrorFields } from './encode.ts';

// Frontend messages as values, and the few backend messages that we look into. Pure.

export type Target = 'statement' | 'portal';

export interface BindMessage {
  readonly type: 'bind';
  readonly portal: string;
  readonly statement: string;
  /** 0 text, 1 binary; none: all text, one: for all. */
  readonly parameterFormats: readonly number[];
  /** null is NULL. */
  readonly parameters: readonly (Buffer | null)[];
  readonly resultFormats: readonly number[];
}

export type FrontendMessage =
  | { readonly type: 'query'; readonly text: string }
  | {
      readonly type: 'parse';
      readonly name: string;
      readonly text: string;
      readonly parameterTypes: readonly number[];
    }
  | BindMessage
  | { readonly type: 'describe'; readonly target: Target; readonly name: string }
  | { readonly type: 'execute'; readonly portal: string; readonly maxRows: number }
  | { readonly type: 'close'; readonly target: Target; readonly name: string }
  | { readonly type: 'copy-data'; readonly bytes: Buffer }
  | { readonly type: 'copy-fail'; readonly message: string }
  | { readonly type: 'copy-done' | 'flush' | 'sync' | 'terminate' | 'function-call' };

/** @throws protocol_violation (malformed or unknown), bad_encoding (a text is not UTF-8) */
export function decode(frame: Frame): FrontendMessage {
  const reader = new Reader(frame.payload);
  const message = decodeBody(frame.type, reader);
  reader.end();
  return message;
}

function decodeBody(type: string, reader: Reader): FrontendMessage {
  switch (type) {
    case 'Q':
      return { type: 'query', text: reader.cString() };
    case 'P':
      return {
        type: 'parse',
        name: reader.cString(),
        text: reader.cString(),
        parameterTypes: reader.list16(() => reader.uint32()),
      };
    case 'B':
      return decodeBind(reader);
    case 'D':
      return { type: 'describe', target: reader.target(), name: reader.cString() };
    case 'E':
      return { type: 'execute', portal: reader.cString(), maxRows: reader.int32() };
    case 'C':
      return { type: 'close', target: reader.target(), name: reader.cString() };
    case 'S':
      return { type: 'sync' };
    case 'H':
      return { type: 'flush' };
    case 'X':
      return { type: 'terminate' };
    case 'd':
      return { type: 'copy-data', bytes: reader.rest() };
    case 'c':
      return { type: 'copy-done' };
    case 'f':
      return { type: 'copy-fail', message: reader.cString() };
    case 'F':
      reader.rest();
      return { type: 'function-call' };
    default:
      throw new WritError('protocol_violation', {
        message: `invalid frontend message type ${type.charCodeAt(0)}`,
      });
  }
}

function decodeBind(reader: Reader): BindMessage {
  return {
    type: 'bind',
    portal: reader.cString(),
    statement: reader.cString(),
    parameterFormats: reader.list16(() => reader.int16()),
    parameters: reader.list16(() => reader.value()),
    resultFormats: reader.list16(() => reader.int16()),
  };
}

/** Only the names of a Bind: what a relay needs of it. @throws protocol_violation, bad_encoding */
export function decodeBindNames(payload: Buffer): { readonly portal: string; readonly statement: string } {
  const reader = new Reader(payload);
  return { portal: reader.cString(), statement: reader.cString() };
}

/** The password, or the bytes of a SASL message before their end. @throws protocol_violation */
export function decodePassword(frame: Frame): string {
  if (frame.type !== 'p') {
    throw new WritError('protocol_violation', {
      message: `expected password response, got message type ${frame.type.charCodeAt(0)}`,
    });
  }
  const reader = new Reader(frame.payload);
  const password = reader.cString();
  reader.end();
  return password;
}

/** Fields of an ErrorResponse or NoticeResponse; broken ones are left out (the server behind us is not trusted). */
export function decodeFields(payload: Buffer): ErrorFields {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < payload.length && payload[at] !== 0) {
    const end = payload.indexOf(0, at + 1);
    if (end < 0) break;
    fields.set(String.fromCharCode(payload[at] ?? 0), payload.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return fields;
}

/** A server's text without its closing NUL. */
export function decodeTag(payload: Buffer): string {
  const end = payload.indexOf(0);
  return payload.toString('utf8', 0, end < 0 ? payload.length : end);
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  cString(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new WritError('protocol_violation', { message: 'invalid string in message' });
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end + 1;
    if (!isUtf8(bytes)) throw new WritError('bad_encoding');
    return bytes.toString('utf8');
  }

  target(): Target {
    const kind = this.#take(1)[0];
    if (kind === 0x53) return 'statement';
    if (kind === 0x50) return 'portal';
    throw new WritError('protocol_violation', { message: `invalid message subtype ${kind}` });
  }

  int16(): number {
    return this.#take(2).readInt16BE(0);
  }

  int32(): number {
    return this.#take(4).readInt32BE(0);
  }

  uint32(): number {
    return this.#take(4).readUInt32BE(0);
  }

  /** A 16-bit count (Postgres reads up to 65,535 parameters) and so many items. */
  list16<T>(item: () => T): T[] {
    const count = this.#take(2).readUInt16BE(0);
    return Array.from({ length: count }, item);
  }

  value(): Buffer | null {
    const length = this.int32();
    if (length === -1) return null;
    return this.#take(length);
  }

  rest(): Buffer {
    return this.#take(this.#bytes.length - this.#at);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) {
      throw new WritError('protocol_violation', { message: 'invalid message format' });
    }
  }

  #take(length: number): Buffer {
    if (length < 0 || this.#at + length > this.#bytes.length) {
      throw new WritError('protocol_violation', { message: 'insufficient data left in message' });
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
