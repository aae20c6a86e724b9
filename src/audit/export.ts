import { readRecords } from './read.ts';

export interface ExportFilter {
  /** Milliseconds since the epoch; `from` counts, `to` does not. */
  readonly from?: number;
  readonly to?: number;
}

/**
 * One JSON object per line: the event's fields beside `writer`, `seq`, `leaf` and `chain`. Erased records are listed
 * without a payload (`erased: true`) unless a time is asked for, which they no longer tell.
 */
export function* exportJsonl(folder: string, filter: ExportFilter = {}): Generator<string> {
  const timed = filter.from !== undefined || filter.to !== undefined;
  for (const { writer, line, event } of readRecords(folder)) {
    if (event === undefined ? timed : !within(event.time, filter)) continue;
    const place = { writer, seq: line.seq, leaf: line.leaf, chain: line.chain };
    yield `${JSON.stringify(event === undefined ? { ...place, erased: true } : { ...place, ...event })}\n`;
  }
}

function within(time: number, { from = -Infinity, to = Infinity }: ExportFilter): boolean {
  return time >= from && time < to;
}
