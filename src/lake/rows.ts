import type { LakeBatch, ResultColumn, TextRow } from './engine.ts';

const none = Buffer.alloc(0);

/** A batch as the worker sent it; rows are decoded only for those who look at them. */
export class Batch implements LakeBatch {
  readonly columns: readonly ResultColumn[];
  readonly count: number;
  readonly bytes: Buffer;

  /** @param payload count of rows (4 bytes) and the rows; undefined: no rows */
  constructor(columns: readonly ResultColumn[], payload: Buffer | undefined) {
    this.columns = columns;
    this.count = payload?.readUInt32BE(0) ?? 0;
    this.bytes = payload?.subarray(4) ?? none;
  }

  get rows(): readonly TextRow[] {
    return decodeRows(this.bytes);
  }
}

/** Bodies of DataRow messages, one after the other → texts. */
export function decodeRows(bytes: Buffer): readonly TextRow[] {
  const rows: TextRow[] = [];
  let at = 0;
  while (at < bytes.length) {
    const count = bytes.readUInt16BE(at);
    at += 2;
    const row: (string | null)[] = [];
    for (let i = 0; i < count; i++) {
      const length = bytes.readInt32BE(at);
      at += 4;
      row.push(length < 0 ? null : bytes.toString('utf8', at, at + length));
      at += Math.max(length, 0);
    }
    rows.push(row);
  }
  return rows;
}
