import type { ResultColumn } from '../../lake/engine.ts';
import { encodeBinary } from './binary-values.ts';
import { cString, int16, int32, message } from './encode.ts';

// RowDescription and DataRow from values that are Postgres text. Pure.

/** 0 text, 1 binary. */
export type Format = 0 | 1;

/** One format per column, from a Bind's list: none is all text, one stands for all. */
export function formatsOf(given: readonly number[], columns: number): readonly Format[] {
  return Array.from({ length: columns }, (_, i) => {
    const format = given.length === 1 ? given[0] : given[i];
    return format === 1 ? 1 : 0;
  });
}

export function rowDescription(columns: readonly ResultColumn[], formats: readonly Format[] = []): Buffer {
  const fields = columns.flatMap((column, i) => [
    cString(column.name),
    int32(0),
    int16(0),
    int32(column.typeOid),
    int16(column.typeSize),
    int32(-1),
    int16(formats[i] ?? 0),
  ]);
  return message('T', int16(columns.length), ...fields);
}

const headSize = 5;

/**
 * DataRow messages for bodies of rows in text format (as a lake batch has them), one after the other.
 * @returns the messages, and how many bytes of the bodies were used for `limit` rows
 */
export function dataRows(
  bodies: Buffer,
  columns: readonly ResultColumn[],
  formats: readonly Format[],
  limit = Number.POSITIVE_INFINITY,
): { readonly messages: Buffer; readonly used: number; readonly rows: number } {
  const binary = formats.includes(1);
  const parts: Buffer[] = [];
  let at = 0;
  let rows = 0;
  while (at < bodies.length && rows < limit) {
    const end = endOfRow(bodies, at);
    const body = bodies.subarray(at, end);
    parts.push(header(binary ? undefined : body.length), binary ? binaryBody(body, columns, formats) : body);
    at = end;
    rows++;
  }
  if (binary)
    for (let i = 0; i < parts.length; i += 2) parts[i]?.writeInt32BE((parts[i + 1]?.length ?? 0) + 4, 1);
  return { messages: Buffer.concat(parts), used: at, rows };
}

function header(length = 0): Buffer {
  const out = Buffer.allocUnsafe(headSize);
  out.writeUInt8(0x44, 0);
  out.writeInt32BE(length + 4, 1);
  return out;
}

function endOfRow(bodies: Buffer, start: number): number {
  let at = start + 2;
  for (let left = bodies.readUInt16BE(start); left > 0; left--) {
    const length = bodies.readInt32BE(at);
    at += 4 + Math.max(length, 0);
  }
  return at;
}

function binaryBody(body: Buffer, columns: readonly ResultColumn[], formats: readonly Format[]): Buffer {
  const parts = [body.subarray(0, 2)];
  let at = 2;
  for (const [i, column] of columns.entries()) {
    const length = body.readInt32BE(at);
    const value = body.subarray(at + 4, at + 4 + Math.max(length, 0));
    if (length < 0 || formats[i] === 0) parts.push(body.subarray(at, at + 4), value);
    else {
      const encoded = encodeBinary(value.toString('utf8'), column.typeOid);
      parts.push(int32(encoded.length), encoded);
    }
    at += 4 + value.length;
  }
  return Buffer.concat(parts);
}

/** One DataRow from texts, for answers that we make ourselves. */
export function textRow(values: readonly (string | null)[]): Buffer {
  const parts = values.flatMap((value) => {
    if (value === null) return [int32(-1)];
    const bytes = Buffer.from(value, 'utf8');
    return [int32(bytes.length), bytes];
  });
  return message('D', int16(values.length), ...parts);
}
