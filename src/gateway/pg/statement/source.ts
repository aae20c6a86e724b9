import { blankComments } from '../../../kernel/sql-lexer.ts';

// A statement's text as Postgres' parser sees it: UTF-8 bytes, one character per byte, so that the parser's byte
// offsets are indexes. Positions towards people count characters from 1.

export interface Source {
  /** The text as it was sent. */
  readonly text: string;
  /** One character per UTF-8 byte. */
  readonly bytes: string;
  /** The bytes that the client sent: of the same length, so that offsets are the same. */
  readonly client: string;
}

export function toSource(text: string): Source {
  const ascii = !/[^\u0000-\u007f]/.test(text);
  const bytes = ascii ? text : toBytes(text);
  return { text, bytes, client: bytes };
}

/**
 * The same text with its comments blanked; undefined where it has none. The parser stumbles over a comment after words
 * that it looks beyond (`not /* x *\/ in`), where Postgres does not.
 */
export function withoutComments(source: Source): Source | undefined {
  const bytes = blankComments(source.bytes);
  return bytes === source.bytes ? undefined : { text: fromBytes(bytes), bytes, client: source.client };
}

export function toBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

export function fromBytes(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** Byte offset → 1-based character position. */
export function characterAt(bytes: string, offset: number): number {
  let position = 1;
  for (let i = 0; i < offset && i < bytes.length; i++) if (!isContinuation(bytes, i)) position++;
  return position;
}

/** 1-based character position → byte offset; undefined past the end (the end itself counts). */
export function offsetOf(bytes: string, position: number): number | undefined {
  let at = 1;
  for (let i = 0; i < bytes.length; i++) {
    if (isContinuation(bytes, i)) continue;
    if (at === position) return i;
    at++;
  }
  return at === position ? bytes.length : undefined;
}

function isContinuation(bytes: string, i: number): boolean {
  const code = bytes.charCodeAt(i);
  return code >= 0x80 && code < 0xc0;
}
