import type { Socket } from 'node:net';
import type { AuditLog, Place } from '../../audit/log-interface.ts';
import type { Clock } from '../../kernel/clock.ts';
import { toWritError, WritError } from '../../kernel/errors.ts';
import type { Snapshot } from '../../policy/model.ts';
import type { SessionInfo } from './client-link.ts';
import * as outgoing from './encode-frontend.ts';
import { Expectations } from './expectations.ts';
import { Framer, maxMessageLength, type ReceivedFrame } from './framer.ts';
import { Frontend } from './frontend.ts';
import type { GovernedCache } from './governed-cache.ts';
import { type Govern, Governing } from './governing.ts';
import { Names } from './names.ts';
import type { SessionRecord } from './record.ts';
import { collectedTypes, fatalMessage, Relay } from './relay.ts';
import { BackendScanner } from './scanner.ts';
import type { LiveSession, SessionState } from './sessions.ts';
import type { Upstream } from './upstream.ts';

// One client and one backend, joined: bytes of the client go up once their record is written, bytes of the server come
// down as they are. Whoever is slow slows the other: nothing piles up here.

/** Messages under way before the client is made to wait: bounds what a client that never reads can make us keep. */
const maxUnderWay = 4_096;
/** After the last words, how long a client may take to read them. */
const lingerMs = 2_000;
/** A client that said goodbye and left: how long its last statement may still run. */
const goodbyeMs = 5_000;

export interface SessionParts {
  readonly client: Socket;
  readonly upstream: Upstream;
  readonly info: SessionInfo;
  readonly record: SessionRecord;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly govern: Govern;
  readonly cache: GovernedCache;
  readonly currentSnapshot: () => Snapshot;
  readonly searchPath: readonly string[];
  /** The session is over: out of the registry, its cancel key forgotten. */
  readonly onEnd: () => void;
}

interface Batch {
  readonly bytes: Buffer;
  written: boolean;
}

export class RelaySession implements LiveSession {
  readonly info: SessionInfo;
  readonly backendPid: number;
  readonly #parts: SessionParts;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #framer = new Framer({ maxLength: maxMessageLength, streamCopyData: true });
  readonly #names = new Names();
  readonly #expectations = new Expectations();
  readonly #frontend: Frontend;
  readonly #relay: Relay;
  readonly #scanner: BackendScanner;
  #frames: ReceivedFrame[] = [];
  #batches: Batch[] = [];
  #flushed = false;
  #terminating = false;
  #over = false;
  /** Said once the row that is passing is whole: in the middle of it an error would be read as data. */
  #lastWords: Buffer | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.info = parts.info;
    this.backendPid = parts.upstream.backendPid;
    this.#client = parts.client;
    this.#server = parts.upstream.socket;
    const shared = { names: this.#names, expectations: this.#expectations, record: parts.record };
    const governing = new Governing({ ...parts, session: parts.info, names: this.#names });
    this.#frontend = new Frontend({ ...shared, governing });
    this.#relay = new Relay({ ...shared, status: parts.upstream.status });
    this.#scanner = new BackendScanner(collectedTypes, this.#relay);
  }

  /** Takes both sockets over. */
  start(): void {
    const client = this.#client;
    const server = this.#server;
    server.on('data', (chunk: Buffer) => this.#fromServer(chunk));
    server.on('drain', () => this.#steer());
    server.on('error', () => server.destroy());
    server.on('close', () => this.#serverClosed());
    client.on('data', (chunk: Buffer) => this.#fromClient(chunk));
    client.on('drain', () => server.resume());
    client.on('error', () => client.destroy());
    client.on('close', () => this.#clientClosed());
    server.resume();
    client.resume();
    if (client.destroyed) this.#clientClosed();
    if (server.destroyed) this.#serverClosed();
  }

  state(): SessionState {
    if (!this.#expectations.idle) return 'active';
    if (this.#relay.status === 'I') return 'idle';
    return this.#relay.status === 'T' ? 'idle in transaction' : 'idle in transaction (aborted)';
  }

  statements(): number {
    return this.#parts.record.statements;
  }

  /** Stops what the backend runs, as a CancelRequest of the client asks. */
  cancel(): Promise<void> {
    return this.#parts.upstream.cancel();
  }

  end(reason: WritError): void {
    this.#finish(reason);
  }

  #fromClient(chunk: Buffer): void {
    if (this.#over || this.#terminating) return;
    const frames = this.#framer.push(chunk);
    if (this.#frames.length === 0) this.#frames = frames;
    else this.#frames.push(...frames);
    this.#pump();
  }

  /** Handles what has arrived as far as it may go on, and sends it as one batch. */
  #pump(): void {
    try {
      this.#handleFrames();
      this.#release();
      const violation = this.#framer.violation;
      if (violation !== undefined && this.#frames.length === 0) this.#finish(violation);
    } catch (thrown) {
      this.#release();
      this.#finish(toWritError(thrown));
    }
    this.#steer();
  }

  #handleFrames(): void {
    let done = 0;
    try {
      for (const frame of this.#frames) {
        if (this.#terminating) return;
        const handled = this.#expectations.length >= maxUnderWay ? 'wait' : this.#frontend.handle(frame);
        if (handled === 'wait') {
          // The server answers only at a Sync, which may stand behind the frame that waits.
          if (!this.#flushed) this.#frontend.flush();
          this.#flushed = true;
          return;
        }
        this.#flushed = false;
        if (handled === 'terminate') this.#terminating = true;
        done += 1;
      }
    } finally {
      this.#frames = done === this.#frames.length ? [] : this.#frames.slice(done);
    }
  }

  #release(): void {
    const taken = this.#frontend.take();
    if (taken === undefined) return;
    const batch: Batch = { bytes: taken.bytes, written: taken.place === undefined };
    this.#batches.push(batch);
    if (taken.place === undefined) this.#send();
    else this.#awaitRecord(batch, taken.place);
  }

  #awaitRecord(batch: Batch, place: Place): void {
    this.#parts.audit.whenWritten(place, (error) => {
      if (error !== undefined) {
        this.#finish(
          error instanceof WritError ? error : new WritError('record_not_writable', { cause: error }),
        );
        return;
      }
      batch.written = true;
      this.#send();
    });
  }

  /** Batches leave in order, each once its record is written. */
  #send(): void {
    let sent = 0;
    for (const batch of this.#batches) {
      if (!batch.written) break;
      if (!this.#server.destroyed) this.#server.write(batch.bytes);
      sent += 1;
    }
    if (sent > 0) this.#batches = sent === this.#batches.length ? [] : this.#batches.slice(sent);
    this.#steer();
  }

  /** The client is read only while what it sends can go on. */
  #steer(): void {
    if (this.#over) return;
    const full = this.#frames.length > 0 || this.#server.writableNeedDrain || this.#batches.length > 64;
    if (full !== this.#client.isPaused()) {
      if (full) this.#client.pause();
      else this.#client.resume();
    }
  }

  #fromServer(chunk: Buffer): void {
    if (this.#over) {
      if (this.#lastWords !== undefined) this.#completeRow(chunk, this.#lastWords);
      return;
    }
    try {
      const pieces = this.#scanner.push(chunk);
      const [only] = pieces;
      if (only !== undefined && !this.#client.destroyed) {
        const bytes = pieces.length === 1 ? only : Buffer.concat(pieces);
        if (!this.#client.write(bytes)) this.#server.pause();
      }
    } catch (thrown) {
      this.#finish(toWritError(thrown));
      return;
    }
    if (this.#frames.length > 0) this.#pump();
  }

  #serverClosed(): void {
    if (this.#over) return;
    if (this.#relay.fatal || this.#terminating) this.#finish(undefined);
    else {
      this.#finish(
        new WritError('unreachable', { message: 'the server behind the catalog closed the connection' }),
      );
    }
  }

  #clientClosed(): void {
    if (this.#over) return;
    if (!this.#terminating) {
      this.#finish(new WritError('unreachable', { message: 'the client closed the connection' }));
      return;
    }
    // It said goodbye first: what it sent before is done as Postgres does it, and nobody reads the answer.
    this.#server.resume();
    setTimeout(() => this.#finish(undefined), goodbyeMs).unref();
  }

  /** Once: last words, both sockets closed, the record completed. */
  #finish(reason: WritError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    const running = !this.#expectations.idle || this.#relay.status !== 'I';
    this.#closeClient(reason);
    if (running && !this.#server.destroyed)
      void this.#parts.upstream.cancel().then(() => this.#server.destroy());
    this.#server.end(outgoing.terminate());
    this.#server.resume();
    this.#batches = [];
    this.#frames = [];
    this.#relay.abandon(reason ?? new WritError('session_ended', { message: 'the session ended' }));
    this.#parts.record.end(reason);
    this.#parts.onEnd();
  }

  #closeClient(reason: WritError | undefined): void {
    const client = this.#client;
    if (client.destroyed) return;
    client.resume();
    setTimeout(() => client.destroy(), lingerMs).unref();
    if (reason === undefined || this.#relay.fatal) client.end();
    else if (this.#scanner.passing === 0) client.end(fatalMessage(reason));
    else this.#lastWords = fatalMessage(reason);
  }

  #completeRow(chunk: Buffer, lastWords: Buffer): void {
    this.#client.write(this.#scanner.finishMessage(chunk));
    if (this.#scanner.passing > 0) return;
    this.#lastWords = undefined;
    this.#client.end(lastWords);
  }
}
