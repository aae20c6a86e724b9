import { closeSync, fstatSync, ftruncateSync, openSync, readSync, unlinkSync, writeFileSync } from 'node:fs';
import { genesis, parseLine } from './chain.ts';
import type { Tip } from './chainer.ts';
import { listSegments, parseHeader, type SegmentHeader } from './segment.ts';

// Where a chain goes on after a stop or a crash. What a kill left half written at the end is cut; what is whole is
// never touched, even where its hashes are wrong: that is for `audit verify` to find, with the evidence in place.

export interface Recovered {
  readonly tip: Tip;
  /** The segment to go on with; undefined: begin a new one with this number. */
  readonly open: { readonly path: string; readonly size: number } | undefined;
  readonly segment: number;
  /** Bytes that were cut from the end. */
  readonly cutBytes: number;
}

/** Finds the end of a writer's chain and cuts what is torn behind it. @throws errors of the file system */
export function recover(folder: string, writer: string): Recovered {
  let cutBytes = 0;
  for (const file of [...listSegments(folder, writer)].reverse()) {
    const end = readEnd(file.path);
    if (end.header === undefined) {
      // The kill came between making the segment and its header: it holds no record.
      cutBytes += end.size;
      keepAside(file.path, 0, end.size);
      unlinkSync(file.path);
      continue;
    }
    cutBytes += cutTo(file.path, end);
    const before = { seq: file.firstSeq - 1, chain: end.header.previous };
    return {
      tip: end.last ?? before,
      open: { path: file.path, size: end.goodSize },
      segment: end.header.segment,
      cutBytes,
    };
  }
  return { tip: { seq: 0, chain: genesis(writer) }, open: undefined, segment: 1, cutBytes };
}

interface SegmentEnd {
  readonly header: SegmentHeader | undefined;
  readonly last: Tip | undefined;
  /** Offset behind the last whole record (or the header). */
  readonly goodSize: number;
  readonly size: number;
}

function readEnd(path: string): SegmentEnd {
  const fd = openSync(path, 'r');
  try {
    const size = fstatSync(fd).size;
    const head = readRange(fd, 0, Math.min(size, 512));
    const headerEnd = head.indexOf(0x0a);
    const header = headerEnd < 0 ? undefined : parseHeader(head.toString('utf8', 0, headerEnd));
    if (header === undefined) return { header, last: undefined, goodSize: 0, size };
    return { header, size, ...lastRecord(fd, headerEnd + 1, size) };
  } finally {
    closeSync(fd);
  }
}

/** Walks back from the end to the last line that is a whole record. */
function lastRecord(fd: number, from: number, size: number): { last: Tip | undefined; goodSize: number } {
  let window = 64 * 1024;
  for (;;) {
    const start = Math.max(from, size - window);
    const bytes = readRange(fd, start, size);
    let end = bytes.lastIndexOf(0x0a);
    while (end >= 0) {
      const before = end === 0 ? -1 : bytes.lastIndexOf(0x0a, end - 1);
      if (before < 0 && start > from) break;
      const line = parseLine(bytes.toString('utf8', before + 1, end));
      if (line !== undefined)
        return { last: { seq: line.seq, chain: line.chain }, goodSize: start + end + 1 };
      end = before;
    }
    if (start === from) return { last: undefined, goodSize: from };
    window *= 4;
  }
}

function readRange(fd: number, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from);
  let at = 0;
  while (at < bytes.length) {
    const got = readSync(fd, bytes, at, bytes.length - at, from + at);
    if (got === 0) break;
    at += got;
  }
  return bytes.subarray(0, at);
}

function cutTo(path: string, end: SegmentEnd): number {
  const cut = end.size - end.goodSize;
  if (cut === 0) return 0;
  keepAside(path, end.goodSize, end.size);
  const fd = openSync(path, 'r+');
  try {
    ftruncateSync(fd, end.goodSize);
  } finally {
    closeSync(fd);
  }
  return cut;
}

/** More than one torn line (zeros after a power cut, an edit) is kept beside the segment, so that a person can judge it. */
function keepAside(path: string, from: number, to: number): void {
  const fd = openSync(path, 'r');
  try {
    const bytes = readRange(fd, from, to);
    if (bytes.includes(0x0a)) writeFileSync(`${path}.cut`, bytes, { mode: 0o600, flag: 'a' });
  } finally {
    closeSync(fd);
  }
}
