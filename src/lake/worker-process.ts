import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { WritError } from '../kernel/errors.ts';
import type { ResultColumn } from './engine.ts';
import { safeError } from './safe-error.ts';
import { encodeJson, FrameReader, kinds, type WorkerFrame } from './worker/frames.mjs';

/** What a worker is locked to; set once. Sizes as DuckDB reads them (`512MB`). */
export interface LockConfig {
  readonly directories: readonly string[];
  readonly temporary: string;
  readonly memory: string;
  readonly temporarySize: string;
  readonly threads: number;
  readonly database: string;
  readonly schemas: readonly string[];
  /** The blocks of the key of token(), in hex. */
  readonly tokenKey?: { readonly inner: string; readonly outer: string } | undefined;
  readonly answers: Readonly<Record<string, string>>;
}

/** The views that a statement reads; made before it runs. `version` changes with the snapshot. */
export interface GovernedViews {
  readonly version: string;
  readonly views: readonly { readonly name: string; readonly sql: string }[];
}

export interface RunRequest {
  readonly sql: string;
  readonly governed: GovernedViews;
  readonly parameters: readonly (string | null)[];
}

export interface Described {
  readonly columns: readonly ResultColumn[];
  readonly parameters: readonly number[];
}

/** Bytes of a batch: count of rows (4 bytes), then per row the body of a DataRow message. */
export interface WorkerBatch {
  readonly columns: readonly ResultColumn[];
  readonly bytes: Buffer | undefined;
}

interface Pending {
  answer(message: Message): void;
  rows(bytes: Buffer): void;
  fail(error: WritError): void;
}

interface Message {
  readonly ready?: boolean;
  readonly ok?: unknown;
  readonly error?: { readonly message: string; readonly sqlstate?: string; readonly safe?: boolean };
  readonly columns?: readonly ResultColumn[];
  readonly end?: number;
}

/** Batches that the worker may send before we asked for more. */
const batchesAhead = 4;
const workerFile = fileURLToPath(new URL('./worker/worker.mjs', import.meta.url));

/** One worker process. What is sent to it has been decided; what it answers is read with limits. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #pipe: Duplex;
  readonly #pending = new Map<number, Pending>();
  readonly #reader = new FrameReader(512 * 1024 * 1024);
  #next = 1;
  #ended = false;
  readonly ready: Promise<void>;

  private constructor(child: ChildProcess, pipe: Duplex) {
    this.#child = child;
    this.#pipe = pipe;
    this.ready = new Promise((resolve, reject) => {
      this.#pending.set(0, {
        answer: (message) => message.ready === true && resolve(),
        rows: () => undefined,
        fail: reject,
      });
    });
    this.ready.catch(() => undefined);
    pipe.on('data', (chunk: Buffer) => this.#read(chunk));
    pipe.on('error', () => this.#end());
    pipe.on('close', () => this.#end());
    child.on('error', () => this.#end());
    child.on('exit', () => this.#end());
  }

  /** Starts one without environment variables; `ready` resolves when its DuckDB stands. */
  static start(): WorkerProcess {
    const child = spawn(process.execPath, ['--max-old-space-size=512', workerFile], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      env: {},
      windowsHide: true,
    });
    return new WorkerProcess(child, child.stdio[3] as Duplex);
  }

  get alive(): boolean {
    return !this.#ended;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async lock(config: LockConfig): Promise<void> {
    await this.#request({ op: 'lock', config });
  }

  /** DuckDB's own parse tree as JSON text. */
  async parse(text: string): Promise<string> {
    const answer = (await this.#request({ op: 'parse', text })) as { tree: string };
    return answer.tree;
  }

  async describe(sql: string, governed: GovernedViews): Promise<Described> {
    return (await this.#request({ op: 'describe', sql, governed })) as Described;
  }

  /** Runs; leaving the loop early cancels. The first batch has the columns and no bytes. */
  async *run(request: RunRequest, onStart: (cancel: () => void) => void): AsyncGenerator<WorkerBatch> {
    const id = this.#next++;
    const queue = new RunQueue();
    this.#pending.set(id, queue);
    const cancel = () => this.#send(encodeJson(id, { op: 'cancel' }));
    onStart(cancel);
    try {
      this.#send(encodeJson(id, { op: 'run', credit: batchesAhead, ...request }));
      if (this.#ended) throw gone();
      for (let batch = await queue.take(); batch !== undefined; batch = await queue.take()) {
        if (batch.bytes !== undefined) this.#send(encodeJson(id, { op: 'credit', count: 1 }));
        yield batch;
      }
    } finally {
      if (!queue.finished) {
        cancel();
        // The worker still says how it ended; nobody waits for it.
        this.#pending.set(id, new Leftover(() => this.#pending.delete(id)));
      } else {
        this.#pending.delete(id);
      }
    }
  }

  /** Ends the process at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
    this.#end();
  }

  #request(message: object): Promise<unknown> {
    if (this.#ended) return Promise.reject(gone());
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const done = () => this.#pending.delete(id);
      this.#pending.set(id, {
        answer: (reply) => {
          done();
          if (reply.error !== undefined) reject(safeError(reply.error));
          else resolve(reply.ok);
        },
        rows: () => undefined,
        fail: reject,
      });
      this.#send(encodeJson(id, message));
    });
  }

  #send(bytes: Buffer): void {
    if (!this.#ended) this.#pipe.write(bytes);
  }

  #read(chunk: Buffer): void {
    let frames: WorkerFrame[];
    try {
      frames = this.#reader.push(chunk);
    } catch {
      this.kill();
      return;
    }
    for (const frame of frames) {
      const pending = this.#pending.get(frame.request);
      if (frame.kind === kinds.rows) pending?.rows(frame.payload);
      else pending?.answer(JSON.parse(frame.payload.toString('utf8')) as Message);
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pipe.destroy();
    for (const pending of this.#pending.values()) pending.fail(gone());
    this.#pending.clear();
  }
}

function gone(): WritError {
  return new WritError('unreachable', {
    message: 'the worker process of this session has ended',
    hint: 'run the statement again; a new worker is started for it',
  });
}

/** What is left of a run that nobody reads any more. */
class Leftover implements Pending {
  readonly #done: () => void;

  constructor(done: () => void) {
    this.#done = done;
  }

  answer(message: Message): void {
    if (message.end !== undefined || message.error !== undefined) this.#done();
  }

  rows(): void {}

  fail(): void {}
}

/** Batches between the pipe and the one who reads; its length is bounded by the credit that was given. */
class RunQueue implements Pending {
  readonly #batches: WorkerBatch[] = [];
  #columns: readonly ResultColumn[] = [];
  #ended = false;
  #error: WritError | undefined;
  #wake: (() => void) | undefined;

  get finished(): boolean {
    return this.#ended || this.#error !== undefined;
  }

  answer(message: Message): void {
    if (message.error !== undefined) this.#error = safeError(message.error);
    else if (message.columns !== undefined) {
      this.#columns = message.columns;
      this.#batches.push({ columns: message.columns, bytes: undefined });
    } else if (message.end !== undefined) this.#ended = true;
    this.#wake?.();
  }

  rows(bytes: Buffer): void {
    this.#batches.push({ columns: this.#columns, bytes });
    this.#wake?.();
  }

  fail(error: WritError): void {
    this.#error = error;
    this.#wake?.();
  }

  async take(): Promise<WorkerBatch | undefined> {
    for (;;) {
      const batch = this.#batches.shift();
      if (batch !== undefined) return batch;
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
