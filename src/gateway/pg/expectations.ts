import type { WritError } from '../../kernel/errors.ts';
import type { GovernedPart, GovernedQuery } from './governed.ts';

// Which answers of the server belong to which message of the client. Pure: the queue of messages sent and not yet
// answered, and one table that says what each kind of answer means for the message at its head.

/** One run of one statement, as the record has it: begun before it is sent, ended by its answer. */
export interface Run {
  readonly statementId: string;
  readonly part: GovernedPart;
  readonly startedAt: number;
  /** Number of the change of names that it makes once it has succeeded (PREPARE, DEALLOCATE, DISCARD). */
  change?: number;
  /** Rows and bytes of rows that went to the client. */
  rows: number;
  bytes: number;
}

export type ExpectationKind =
  | 'query'
  | 'parse'
  | 'bind'
  | 'describe-statement'
  | 'describe-portal'
  | 'execute'
  | 'close'
  | 'sync'
  | 'copy-end';

/** A message that was sent upstream. */
export interface Expectation {
  readonly kind: ExpectationKind;
  /** Statements that it runs, in order; a Query may have several. */
  readonly runs: Run[];
  /** Where positions in errors are mapped by. */
  readonly governed?: GovernedQuery;
  /** A text that must fail was sent in its place; this is what the client is told. */
  readonly refusal?: WritError;
  /** Number of the change of names that it makes once it has succeeded. */
  readonly change?: number;
}

/**
 * - `more`: belongs to the head, which goes on
 * - `step`: one statement of the head is done, which goes on (Query)
 * - `done`: the head is answered
 * - `finish`: the last statement of the head is done, and with it the head (Execute)
 * - `fail`: the head's statement failed, its ReadyForQuery is still to come
 * - `skip`: the server now ignores everything up to the next Sync
 */
type Step = 'more' | 'step' | 'done' | 'finish' | 'fail' | 'skip';

const rows = { T: 'more', D: 'more', G: 'more', H: 'more', W: 'more', d: 'more', c: 'more' } as const;

const table: Record<ExpectationKind, Readonly<Record<string, Step>>> = {
  query: { ...rows, C: 'step', I: 'step', E: 'fail', Z: 'done' },
  parse: { 1: 'done', E: 'skip' },
  bind: { 2: 'done', E: 'skip' },
  'describe-statement': { t: 'more', T: 'done', n: 'done', E: 'skip' },
  'describe-portal': { T: 'done', n: 'done', E: 'skip' },
  execute: { ...rows, C: 'finish', I: 'finish', s: 'finish', E: 'skip' },
  close: { 3: 'done', E: 'skip' },
  sync: { E: 'fail', Z: 'done' },
  // Never at the head: nothing answers a CopyDone or CopyFail but the statement before it.
  'copy-end': {},
};

/** What one answer did to the queue. */
export interface Answered {
  readonly step: Step;
  readonly head: Expectation;
  /** The statement that this answer ends, if it ends one. */
  readonly ended: Run | undefined;
  /** Messages that the server will not look at (`skip`), and statements of a Query that nothing answered. */
  readonly skipped: readonly Expectation[];
  readonly unrun: readonly Run[];
}

const none: readonly never[] = [];

export class Expectations {
  #queue: Expectation[] = [];
  #first = 0;
  /** The head's statement reads CopyData. */
  #copyIn = false;
  /** Statements of the head Query that are done. */
  #step = 0;

  /** Nothing is under way. */
  get idle(): boolean {
    return this.#first === this.#queue.length;
  }

  get length(): number {
    return this.#queue.length - this.#first;
  }

  /** The server waits for CopyData and ignores Sync and Flush. */
  get copyIn(): boolean {
    return this.#copyIn;
  }

  add(expectation: Expectation): void {
    const ignored = expectation.kind === 'sync' && this.#copyIn && !this.#copyEndQueued();
    if (!ignored) this.#queue.push(expectation);
  }

  head(): Expectation | undefined {
    this.#dropCopyEnds();
    return this.#queue[this.#first];
  }

  /** The statement whose rows are arriving. */
  running(): Run | undefined {
    const head = this.head();
    return head?.runs[head.kind === 'query' ? this.#step : 0];
  }

  /** Nothing is left waiting; @returns what was. */
  clear(): readonly Expectation[] {
    const rest = this.#queue.slice(this.#first);
    this.#queue = [];
    this.#first = 0;
    return rest;
  }

  /** One answer arrived. @returns undefined for messages that answer nothing (notices, settings, notifications, FATAL when idle) */
  receive(type: string): Answered | undefined {
    const head = this.head();
    if (head === undefined) return undefined;
    const step = table[head.kind][type];
    if (step === undefined) return undefined;
    const ended = step === 'more' || step === 'done' ? undefined : this.running();
    if (type === 'G') this.#copyIn = true;
    const base = { step, head, ended, skipped: none, unrun: none };
    switch (step) {
      case 'more':
        return base;
      case 'step':
        this.#leaveCopy();
        this.#step += 1;
        return base;
      case 'finish':
        this.#leaveCopy();
        this.#shift();
        return base;
      case 'done': {
        const unrun =
          head.kind === 'query' && this.#step < head.runs.length ? head.runs.slice(this.#step) : none;
        this.#shift();
        return { ...base, unrun };
      }
      case 'fail': {
        this.#leaveCopy();
        const unrun = head.runs.slice(this.#step + 1);
        this.#step = head.runs.length;
        return { ...base, unrun };
      }
      default:
        this.#leaveCopy();
        this.#shift();
        return { ...base, skipped: this.#skipToSync() };
    }
  }

  /** Syncs that the server read while it waited for CopyData were ignored: no ReadyForQuery answers them. */
  #leaveCopy(): void {
    if (!this.#copyIn) return;
    this.#copyIn = false;
    const [head, ...rest] = this.#queue.slice(this.#first);
    if (head === undefined) return;
    const end = rest.findIndex(({ kind }) => kind === 'copy-end');
    const read = end < 0 ? rest : rest.slice(0, end);
    const unread = end < 0 ? [] : rest.slice(end + 1);
    this.#queue = [head, ...read.filter(({ kind }) => kind !== 'sync'), ...unread];
    this.#first = 0;
  }

  #skipToSync(): readonly Expectation[] {
    const skipped: Expectation[] = [];
    for (;;) {
      const next = this.#queue[this.#first];
      if (next === undefined || next.kind === 'sync') return skipped;
      skipped.push(next);
      this.#shift();
    }
  }

  #copyEndQueued(): boolean {
    return this.#queue.slice(this.#first).some(({ kind }) => kind === 'copy-end');
  }

  #dropCopyEnds(): void {
    while (this.#queue[this.#first]?.kind === 'copy-end') this.#shift();
  }

  #shift(): void {
    this.#first += 1;
    this.#step = 0;
    if (this.#first === this.#queue.length) {
      this.#queue = [];
      this.#first = 0;
    } else if (this.#first > 1024) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
  }
}
