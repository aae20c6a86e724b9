import { isUtf8 } from 'node:buffer';
import { closeSync, openSync, readSync } from 'node:fs';
import { isErased, parseLine, type RecordLine } from './chain.ts';
import type { AuditEvent } from './event.ts';
import { listSegments, listWriters } from './segment.ts';

// Reading segments in pieces: a log of any size in constant memory.

/** A line of a file without its line end; `whole` is false where the file ends in the middle of it. */
export interface FileLine {
  /** 1-based. */
  readonly number: number;
  readonly text: string;
  readonly whole: boolean;
  /** False where the bytes are no UTF-8, so that `text` is not what the file holds. */
  readonly utf8: boolean;
}

const pieceBytes = 1024 * 1024;

/** @throws errors of the file system */
export function* readLines(path: string): Generator<FileLine> {
  const fd = openSync(path, 'r');
  try {
    let rest = Buffer.alloc(0);
    let number = 0;
    const piece = Buffer.allocUnsafe(pieceBytes);
    for (;;) {
      const got = readSync(fd, piece, 0, pieceBytes, null);
      if (got === 0) break;
      const bytes =
        rest.length === 0 ? piece.subarray(0, got) : Buffer.concat([rest, piece.subarray(0, got)]);
      let from = 0;
      for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, from)) {
        yield fileLine(++number, bytes.subarray(from, end), true);
        from = end + 1;
      }
      rest = Buffer.from(bytes.subarray(from));
    }
    if (rest.length > 0) yield fileLine(number + 1, rest, false);
  } finally {
    closeSync(fd);
  }
}

function fileLine(number: number, bytes: Buffer, whole: boolean): FileLine {
  const text = bytes.toString('utf8');
  return { number, text, whole, utf8: !text.includes('\ufffd') || isUtf8(bytes) };
}

/** A record as it is read back; `event` is undefined once erased. */
export interface AuditRecord {
  readonly writer: string;
  readonly line: RecordLine;
  readonly event: AuditEvent | undefined;
}

/** Every readable record, writer by writer, in order. Hashes are not checked: that is `verifyAuditLog`. */
export function* readRecords(folder: string): Generator<AuditRecord> {
  for (const writer of listWriters(folder)) {
    for (const file of listSegments(folder, writer)) {
      for (const { text, whole } of readLines(file.path)) {
        const line = whole ? parseLine(text) : undefined;
        if (line !== undefined) yield { writer, line, event: parseEvent(line) };
      }
    }
  }
}

function parseEvent(line: RecordLine): AuditEvent | undefined {
  if (isErased(line)) return undefined;
  try {
    return JSON.parse(line.payload) as AuditEvent;
  } catch {
    return undefined;
  }
}
