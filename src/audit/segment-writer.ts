import {
  chmodSync,
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Tip } from './chainer.ts';
import { recover } from './recover.ts';
import { formatHeader, segmentFileName } from './segment.ts';

/** `process`: written bytes survive the process. `power`: they survive the machine (fdatasync before release). */
export type Durability = 'process' | 'power';

export interface SegmentWriterOptions {
  readonly folder: string;
  readonly writer: string;
  /** A segment that has grown to this many bytes is sealed and the next one begun. */
  readonly segmentBytes: number;
  readonly durability: Durability;
}

/**
 * The open segment of one writer. A batch is written whole or not at all: whatever part of a failed one reached the
 * file is cut off again, at the latest before the next write.
 */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions;
  readonly recovered: { readonly tip: Tip; readonly cutBytes: number };
  #fd: number | undefined;
  #size = 0;
  #segment: number;
  #dirty = false;

  /** Makes the writer's folder, for its owner only. @throws errors of the file system */
  static prepare(folder: string, writer: string): void {
    const below = join(folder, writer);
    mkdirSync(below, { recursive: true, mode: 0o700 });
    chmodSync(below, 0o700);
  }

  /** Opens where the chain ended; the folder must be there. @throws errors of the file system */
  constructor(options: SegmentWriterOptions) {
    this.#options = options;
    const found = recover(options.folder, options.writer);
    this.recovered = { tip: found.tip, cutBytes: found.cutBytes };
    this.#segment = found.segment - 1;
    if (found.open !== undefined) {
      this.#fd = openSync(found.open.path, 'r+', 0o600);
      this.#size = found.open.size;
      this.#segment = found.segment;
    }
  }

  /** Appends a batch that follows `before`. @throws errors of the file system; the batch is then not in the log */
  write(batch: Buffer, before: Tip): void {
    const fd = this.#ready(before);
    try {
      this.#dirty = true;
      writeFully(fd, batch, this.#size);
      if (this.#options.durability === 'power') fdatasyncSync(fd);
      this.#dirty = false;
      this.#size += batch.length;
    } catch (error) {
      this.#cut();
      throw error;
    }
  }

  /** @throws errors of the file system */
  close(): void {
    if (this.#fd === undefined) return;
    const fd = this.#fd;
    this.#fd = undefined;
    if (this.#dirty) ftruncateSync(fd, this.#size);
    seal(fd);
  }

  /** The file to write to: cut back after a failure, or the next one when this is full. */
  #ready(before: Tip): number {
    if (this.#fd !== undefined) this.#checkUntouched(this.#fd);
    if (this.#fd !== undefined && this.#size < this.#options.segmentBytes) return this.#fd;
    return this.#begin(before);
  }

  /** A removed or shortened file would swallow records; the log says so and goes on in a new segment. */
  #checkUntouched(fd: number): void {
    if (this.#dirty) {
      ftruncateSync(fd, this.#size);
      this.#dirty = false;
    }
    const stat = fstatSync(fd);
    if (stat.nlink > 0 && stat.size === this.#size) return;
    this.#fd = undefined;
    closeSync(fd);
    throw new Error(
      stat.nlink === 0
        ? 'the open segment was removed by somebody else'
        : `the open segment was changed by somebody else: ${stat.size} bytes instead of ${this.#size}`,
    );
  }

  #begin(before: Tip): number {
    const { folder, writer } = this.#options;
    const path = join(folder, writer, segmentFileName(before.seq + 1));
    const header = Buffer.from(formatHeader({ writer, segment: this.#segment + 1, previous: before.chain }));
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fd = openSync(path, 'wx', 0o600);
    try {
      writeFully(fd, header, 0);
      syncFolder(dirname(path));
    } catch (error) {
      closeSync(fd);
      unlinkSync(path);
      throw error;
    }
    const sealed = this.#fd;
    this.#fd = fd;
    this.#size = header.length;
    this.#segment += 1;
    if (sealed !== undefined) seal(sealed);
    return fd;
  }

  #cut(): void {
    try {
      if (this.#fd !== undefined) ftruncateSync(this.#fd, this.#size);
      this.#dirty = false;
    } catch {
      // Still dirty: tried again before the next write.
    }
  }
}

function seal(fd: number): void {
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Positioned, so that a second attempt overwrites what a failed first one left. */
function writeFully(fd: number, bytes: Buffer, position: number): void {
  let at = 0;
  while (at < bytes.length) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
