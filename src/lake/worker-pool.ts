import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LockConfig, WorkerProcess } from './worker-process.ts';

export interface WorkerLimits {
  /** As DuckDB reads sizes: `512MB`. */
  readonly memory: string;
  readonly temporarySize: string;
  readonly threads: number;
  /** Workers kept ready for the next person; 0 starts each on demand. */
  readonly spares: number;
  /** Workers at most; the one that is idle longest gives way. */
  readonly workers: number;
}

export const defaultWorkerLimits: WorkerLimits = {
  memory: '512MB',
  temporarySize: '2GB',
  threads: 2,
  spares: 1,
  workers: 32,
};

export type WorkerPlace = Omit<LockConfig, 'temporary' | keyof WorkerLimits>;

interface Bound {
  readonly worker: Promise<WorkerProcess>;
  process: WorkerProcess | undefined;
  users: number;
  lastUsed: number;
}

/**
 * Worker processes, each bound to one key (a person on a catalog) on first use and never to another. Spares are
 * started ahead: a DuckDB needs a third of a second to stand.
 */
export class WorkerPool {
  readonly #limits: WorkerLimits;
  readonly #bound = new Map<string, Bound>();
  readonly #spares: WorkerProcess[] = [];
  readonly #temporary: string;
  #uses = 0;
  #closed = false;

  constructor(limits: WorkerLimits) {
    this.#limits = limits;
    this.#temporary = mkdtempSync(join(tmpdir(), 'writ-lake-'));
    this.#fill();
  }

  /** The key's worker; started anew if it has ended. @throws unreachable */
  async worker(key: string, place: WorkerPlace): Promise<WorkerProcess> {
    const known = this.#bound.get(key);
    if (known !== undefined && known.process?.alive !== false) {
      known.lastUsed = ++this.#uses;
      return known.worker;
    }
    const bound: Bound = {
      worker: this.#bind(place),
      process: undefined,
      users: known?.users ?? 0,
      lastUsed: ++this.#uses,
    };
    this.#bound.set(key, bound);
    try {
      bound.process = await bound.worker;
    } catch (error) {
      this.#bound.delete(key);
      throw error;
    }
    this.#evict();
    return bound.process;
  }

  /** Counts a session in; a key in use is not evicted. */
  enter(key: string): void {
    const bound = this.#bound.get(key);
    if (bound !== undefined) bound.users++;
  }

  leave(key: string): void {
    const bound = this.#bound.get(key);
    if (bound !== undefined) bound.users--;
  }

  /** Process ids of everything that runs, for tests and health. */
  pids(): readonly number[] {
    const processes = [...this.#spares, ...[...this.#bound.values()].map((bound) => bound.process)];
    return processes.flatMap((process) => (process?.alive && process.pid !== undefined ? [process.pid] : []));
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const spare of this.#spares) spare.kill();
    const workers = [...this.#bound.values()].map((bound) => bound.worker);
    for (const worker of await Promise.allSettled(workers)) {
      if (worker.status === 'fulfilled') worker.value.kill();
    }
    rmSync(this.#temporary, { recursive: true, force: true });
  }

  async #bind(place: WorkerPlace): Promise<WorkerProcess> {
    const worker = this.#spares.find((spare) => spare.alive) ?? WorkerProcess.start();
    this.#spares.splice(0, this.#spares.length, ...this.#spares.filter((s) => s !== worker && s.alive));
    setImmediate(() => this.#fill());
    await worker.ready;
    const { memory, temporarySize, threads } = this.#limits;
    const temporary = mkdtempSync(join(this.#temporary, 'worker-'));
    await worker.lock({ ...place, memory, temporarySize, threads, temporary });
    return worker;
  }

  #fill(): void {
    while (!this.#closed && this.#spares.length < this.#limits.spares)
      this.#spares.push(WorkerProcess.start());
  }

  #evict(): void {
    const idle = [...this.#bound].filter(([, bound]) => bound.users <= 0);
    idle.sort(([, a], [, b]) => a.lastUsed - b.lastUsed);
    while (this.#bound.size > this.#limits.workers) {
      const [key, bound] = idle.shift() ?? [];
      if (key === undefined || bound === undefined) return;
      this.#bound.delete(key);
      bound.process?.kill();
    }
  }
}
