import { randomFillSync, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '../kernel/clock.ts';
import { WritError } from '../kernel/errors.ts';
import { canonicalEvent } from './canonical.ts';
import { Chainer, type RandomFill, type Tip } from './chainer.ts';
import type { AuditEvent } from './event.ts';
import type { AuditLog, NewEvent, Place } from './log-interface.ts';
import { payloadOf } from './payload.ts';
import { redactEvent } from './redact.ts';
import { checkWriterName } from './segment.ts';
import { type Durability, SegmentWriter } from './segment-writer.ts';
import { Waiting } from './waiting.ts';
import { lockWriter } from './writer-lock.ts';

export interface AuditLogOptions {
  /** Holds one folder per writer; made with mode 0700. */
  readonly folder: string;
  /** Names the chain: one per process that writes, the same after a restart. a–z, 0–9, `_`, `-`. */
  readonly writer: string;
  readonly clock: Clock;
  /** A last look at each event before it is recorded, after the caps of redact.ts. */
  readonly redactHook?: (event: AuditEvent) => AuditEvent;
  readonly random?: { readonly fill: RandomFill; readonly uuid: () => string };
  readonly segmentBytes?: number;
  readonly durability?: Durability;
}

/** The log, and where its written chain ends: the checkpoint that `audit verify --since` takes. */
export type OpenAuditLog = AuditLog & { tip(): Tip & { readonly writer: string } };

const defaultSegmentBytes = 64 * 1024 * 1024;
/** A batch is written when it has grown to this, without waiting for the turn to end. */
const batchBytes = 1024 * 1024;
/** Milliseconds that an end may wait for a begin to ride along with: nobody waits for it, and a lost one is a finding. */
const endPatience = 5;
/** Milliseconds between two tries to write again after a failure. */
const probeInterval = 250;

/**
 * Opens the log, cuts what a kill left half written, and continues the chain with a `log.open` event.
 * @throws conflict when a live process holds the writer; record_not_writable when nothing can be written
 */
export function openAuditLog(options: AuditLogOptions): OpenAuditLog {
  checkWriterName(options.writer);
  try {
    return new SegmentedLog(options);
  } catch (error) {
    throw error instanceof WritError ? error : notWritable(error);
  }
}

class SegmentedLog implements AuditLog {
  readonly folder: string;
  readonly #options: AuditLogOptions;
  readonly #uuid: () => string;
  readonly #writer: SegmentWriter;
  readonly #chainer: Chainer;
  readonly #unlock: () => void;
  readonly #waiting = new Waiting();
  #scheduled: NodeJS.Immediate | undefined;
  /** Writes what was put off. */
  #later: NodeJS.Timeout | undefined;
  #broken:
    | {
        readonly error: WritError;
        readonly since: number;
        readonly why: string | undefined;
        readonly lastProbe: number;
      }
    | undefined;
  #closed = false;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.folder = options.folder;
    this.#uuid = options.random?.uuid ?? randomUUID;
    const { folder, writer, segmentBytes = defaultSegmentBytes, durability = 'process' } = options;
    // The lock lies in the writer's folder, which must exist and be private before anything is in it.
    SegmentWriter.prepare(folder, writer);
    this.#unlock = lockWriter(join(folder, writer));
    try {
      this.#writer = new SegmentWriter({ folder, writer, segmentBytes, durability });
      this.#chainer = new Chainer(this.#writer.recovered.tip, options.random?.fill ?? randomFillSync);
      const cut = this.#writer.recovered.cutBytes;
      this.append({ kind: 'log.open', message: cut === 0 ? 'opened' : `opened; ${cut} torn bytes cut` });
      this.flush();
    } catch (error) {
      this.#closed = true;
      this.#unlock();
      throw error;
    }
  }

  append(event: NewEvent): Place {
    if (this.#closed) throw notWritable(new Error('the log is closed'));
    if (this.#broken !== undefined && !this.#recovered()) throw this.#broken.error;
    return this.#add(event);
  }

  written(place: Place): Promise<void> {
    return new Promise((resolve, reject) => {
      this.whenWritten(place, (error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  whenWritten(place: Place, then: (error: Error | undefined) => void): void {
    this.#waiting.add(place, then);
    if (this.#chainer.batched > 0) this.#soon();
  }

  isWritten(place: Place): boolean {
    return this.#waiting.isWritten(place);
  }

  flush(): void {
    if (this.#broken !== undefined || !this.#writeBatch()) throw this.#failure();
  }

  healthy(): boolean {
    return !this.#closed && (this.#broken === undefined || this.#recovered());
  }

  tip(): Tip & { readonly writer: string } {
    return { writer: this.#options.writer, ...this.#chainer.tip() };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    let written = false;
    try {
      if (this.#broken === undefined) this.#add({ kind: 'log.close' });
      written = this.#broken === undefined && this.#writeBatch();
      this.#writer.close();
    } catch (error) {
      throw notWritable(error);
    } finally {
      this.#closed = true;
      clearImmediate(this.#scheduled);
      clearTimeout(this.#later);
      this.#unlock();
    }
    if (!written) throw this.#failure();
  }

  #add(event: NewEvent): Place {
    this.#chainer.add(this.#payload(event, this.#uuid(), this.#options.clock.now()));
    const place = this.#waiting.next();
    if (this.#chainer.batched >= batchBytes) this.#writeBatch();
    else if (event.kind === 'statement.end') this.#eventually();
    else this.#soon();
    return place;
  }

  #payload(event: NewEvent, id: string, time: number): string {
    const { redactHook } = this.#options;
    const short = redactHook === undefined ? payloadOf(event, id, time) : undefined;
    if (short !== undefined) return short;
    const redacted = redactEvent({ ...event, id, time } as AuditEvent);
    return canonicalEvent(redactHook?.(redacted) ?? redacted);
  }

  #soon(): void {
    this.#scheduled ??= setImmediate(() => this.#writeBatch());
  }

  #eventually(): void {
    this.#later ??= setTimeout(() => {
      this.#later = undefined;
      this.#writeBatch();
    }, endPatience);
  }

  /** @returns whether everything that was batched is written */
  #writeBatch(): boolean {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    if (this.#chainer.batched === 0) return true;
    try {
      this.#writer.write(this.#chainer.batch(), this.#chainer.tip());
    } catch (cause) {
      this.#fail(cause);
      return false;
    }
    this.#chainer.commit();
    this.#waiting.settle(undefined);
    return true;
  }

  #fail(cause: unknown): void {
    const now = this.#options.clock.now();
    this.#chainer.rollback();
    const error = notWritable(cause);
    const { since = now, why = error.detail } = this.#broken ?? {};
    this.#broken = { error, since, why, lastProbe: now };
    this.#waiting.settle(error);
  }

  #failure(): WritError {
    return this.#broken?.error ?? notWritable('unknown');
  }

  /** Tries, at most every quarter of a second, to write a record that tells of the gap. */
  #recovered(): boolean {
    const broken = this.#broken;
    if (broken === undefined) return true;
    if (Math.abs(this.#options.clock.now() - broken.lastProbe) < probeInterval) return false;
    this.#add({
      kind: 'log.open',
      message: `writing again; nothing could be recorded since ${new Date(broken.since).toISOString()}: ${broken.why}`,
    });
    if (!this.#writeBatch()) return false;
    this.#broken = undefined;
    return true;
  }
}

function notWritable(cause: unknown): WritError {
  return new WritError('record_not_writable', {
    detail: cause instanceof Error ? cause.message : String(cause),
    hint: 'free disk space or repair the audit folder; statements are refused until records can be written',
    cause,
  });
}
