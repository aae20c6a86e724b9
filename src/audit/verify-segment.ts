import { chainOf, genesis, isErased, leafHolds, parseLine } from './chain.ts';
import type { FileLine } from './read.ts';
import { parseHeader, type SegmentFile } from './segment.ts';

// One writer's lines, checked in order. Pure: lines in, findings out. After a finding it goes on with what the file
// says, so that one edit is one finding and not a million.

export interface Finding {
  /** `broken`: the log is not what was written. `note`: worth knowing, and explained by a crash or an erasure. */
  readonly severity: 'broken' | 'note';
  readonly file: string;
  /** 1-based; 0 where the file as a whole is meant. */
  readonly line: number;
  readonly what: string;
}

export interface KnownPlace {
  readonly seq: number;
  readonly chain: string;
}

export class WriterCheck {
  readonly findings: Finding[] = [];
  records = 0;
  erased = 0;
  #chain: string;
  #seq = 0;
  #segment = 0;
  readonly #writer: string;
  readonly #known: KnownPlace | undefined;
  #knownSeen = false;

  constructor(writer: string, known?: KnownPlace) {
    this.#writer = writer;
    this.#chain = genesis(writer);
    this.#known = known;
    this.#knownSeen = known === undefined || (known.seq === 0 && known.chain === this.#chain);
  }

  /** Where the chain ends, as far as it was read. */
  get tip(): KnownPlace {
    return { seq: this.#seq, chain: this.#chain };
  }

  /** Checks one segment, from its header to its end. `last`: no segment of this writer follows. */
  segment(file: SegmentFile, lines: Iterable<FileLine>, last: boolean): void {
    let first = true;
    for (const line of lines) {
      if (first) this.#header(file, line, last);
      else this.#record(file, line, last);
      first = false;
    }
    if (first) this.#torn(file, 1, last, 'the segment is empty: its header was never written');
  }

  /** What can only be said when everything was read. */
  end(file: string): void {
    if (this.#knownSeen || this.#known === undefined) return;
    const { seq } = this.#known;
    const what =
      this.#seq < seq
        ? `the end is missing: the log stops at record ${this.#seq}, the checkpoint knows record ${seq}`
        : `record ${seq} is not the one that the checkpoint knows`;
    this.#broken(file, 0, what);
  }

  #header(file: SegmentFile, line: FileLine, last: boolean): void {
    const header = line.whole ? parseHeader(line.text) : undefined;
    if (header === undefined) {
      if (!line.whole) this.#torn(file, 1, last, 'the header is cut off');
      else this.#broken(file.path, 1, 'the first line is no segment header');
      this.#segment += 1;
      return;
    }
    if (header.writer !== this.#writer) {
      this.#broken(file.path, 1, `the segment was written by ${header.writer}, not by ${this.#writer}`);
    }
    this.#order(file, header.segment);
    if (header.previous !== this.#chain) {
      this.#broken(
        file.path,
        1,
        `the segment does not continue record ${this.#seq}: its previous chain value differs`,
      );
      this.#chain = header.previous;
    }
    this.#segment = header.segment;
  }

  #order(file: SegmentFile, segment: number): void {
    const expected = this.#segment + 1;
    if (segment > expected) {
      const missing =
        segment - expected === 1 ? `segment ${expected} is` : `segments ${expected} to ${segment - 1} are`;
      this.#broken(file.path, 1, `${missing} missing before this one`);
      this.#seq = Math.max(this.#seq, file.firstSeq - 1);
    } else if (segment < expected) {
      this.#broken(file.path, 1, `segment ${segment} stands where segment ${expected} is expected`);
    }
    if (file.firstSeq !== this.#seq + 1) {
      this.#broken(
        file.path,
        1,
        `the file's name says record ${file.firstSeq}, expected is record ${this.#seq + 1}`,
      );
    }
  }

  #record(file: SegmentFile, line: FileLine, last: boolean): void {
    if (!line.whole) {
      this.#torn(file, line.number, last, `the last line is cut off (${Buffer.byteLength(line.text)} bytes)`);
      return;
    }
    const record = line.utf8 ? parseLine(line.text) : undefined;
    if (record === undefined) {
      this.#broken(file.path, line.number, `not a record: ${JSON.stringify(line.text.slice(0, 40))}`);
      return;
    }
    this.records += 1;
    if (isErased(record)) this.erased += 1;
    if (!leafHolds(record)) {
      this.#broken(
        file.path,
        line.number,
        `record ${record.seq} was altered: its content does not match its leaf hash`,
      );
    }
    this.#sequence(file, line.number, record.seq);
    if (chainOf(this.#chain, record.leaf) !== record.chain) {
      this.#broken(
        file.path,
        line.number,
        `record ${record.seq} does not follow the one before it: the chain is broken`,
      );
    }
    if (this.#known?.seq === record.seq && this.#known.chain === record.chain) this.#knownSeen = true;
    this.#seq = Math.max(this.#seq, record.seq);
    this.#chain = record.chain;
  }

  #sequence(file: SegmentFile, line: number, seq: number): void {
    const expected = this.#seq + 1;
    if (seq > expected) {
      const missing =
        seq - expected === 1 ? `record ${expected} is` : `records ${expected} to ${seq - 1} are`;
      this.#broken(file.path, line, `${missing} missing before record ${seq}`);
    } else if (seq < expected) {
      this.#broken(
        file.path,
        line,
        `record ${seq} comes again or out of order, expected is record ${expected}`,
      );
    }
  }

  /** Only the newest segment may end in the middle of a line: the process was killed while writing it, or writes now. */
  #torn(file: SegmentFile, line: number, last: boolean, what: string): void {
    if (last) this.findings.push({ severity: 'note', file: file.path, line, what });
    else this.#broken(file.path, line, what);
  }

  #broken(file: string, line: number, what: string): void {
    this.findings.push({ severity: 'broken', file, line, what });
  }
}
