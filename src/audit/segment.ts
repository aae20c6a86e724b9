import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { WritError } from '../kernel/errors.ts';
import { isHash } from './chain.ts';

// Names and headers of segments: `audit/<writer>/<first seq, 16 digits>.log`, whose first line is
// `#writ-audit v1 writer=<writer> segment=<number from 1> previous=<chain value before its first record>`.

export interface SegmentHeader {
  readonly writer: string;
  /** 1 for a writer's first segment, then without a gap. */
  readonly segment: number;
  readonly previous: string;
}

export interface SegmentFile {
  readonly path: string;
  readonly writer: string;
  /** Sequence number of the first record that belongs into it. */
  readonly firstSeq: number;
}

const headerPattern = /^#writ-audit v1 writer=([a-z0-9_-]+) segment=([1-9][0-9]*) previous=(\S+)$/;

/** @throws invalid_argument unless 1 to 63 of a–z, 0–9, `_`, `-`. */
export function checkWriterName(writer: string): string {
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(writer)) {
    throw new WritError('invalid_argument', {
      message: `invalid audit writer name ${JSON.stringify(writer)}`,
    });
  }
  return writer;
}

export function formatHeader(header: SegmentHeader): string {
  return `#writ-audit v1 writer=${header.writer} segment=${header.segment} previous=${header.previous}\n`;
}

/** Reads a header line (without its line end); undefined when it is none. */
export function parseHeader(line: string): SegmentHeader | undefined {
  const match = headerPattern.exec(line);
  const previous = match?.[3] ?? '';
  if (match === null || !isHash(previous)) return undefined;
  return { writer: match[1] ?? '', segment: Number(match[2]), previous };
}

export function segmentFileName(firstSeq: number): string {
  return `${String(firstSeq).padStart(16, '0')}.log`;
}

/** A writer's segments in order of their first sequence number. */
export function listSegments(folder: string, writer: string): readonly SegmentFile[] {
  const below = join(folder, writer);
  if (!existsSync(below)) return [];
  return readdirSync(below)
    .filter((name) => /^[0-9]{16}\.log$/.test(name))
    .sort()
    .map((name) => ({ path: join(below, name), writer, firstSeq: Number(name.slice(0, 16)) }));
}

/** Every writer that has a folder. */
export function listWriters(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^[a-z0-9][a-z0-9_-]{0,62}$/.test(entry.name))
    .map((entry) => entry.name)
    .sort();
}
