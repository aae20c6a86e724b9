import type { CatalogStore, KeptMoment } from '../catalog/store.ts';
import type { Clock } from '../kernel/clock.ts';
import { WritError } from '../kernel/errors.ts';
import type { Snapshot } from '../policy/model.ts';
import { compileInputs } from './kept.ts';

// The policy as it was. A past snapshot is compiled again from what was kept and must come out under the same name:
// else nothing is answered from it.

export interface PastSnapshot {
  readonly snapshot: Snapshot;
  /** The moment that was asked about (ms). */
  readonly at: number;
  readonly moment: KeptMoment;
  /** Grants had expired since the snapshot came into force: they are left out, as of `at`. */
  readonly expired: boolean;
}

export interface Past {
  /**
   * @param text a time with its zone, or a date: the first moment of that day, UTC
   * @throws invalid_argument for an ambiguous or a future time; not_found before the first policy, with the earliest
   *   time; conflict when what was kept does not give the same snapshot any more
   */
  at(text: string): Promise<PastSnapshot>;
}

/** Compiled snapshots held at once: questions come in bunches about the same moment. */
const held = 4;

/** Moments that wait to be compiled, one at a time: everybody may ask about themselves, and each costs a compile. */
const mostWaiting = 8;

export function openPast(options: { readonly store: CatalogStore; readonly clock: Clock }): Past {
  return new CompilingPast(options.store, options.clock);
}

class CompilingPast implements Past {
  readonly #store: CatalogStore;
  readonly #clock: Clock;
  /** In order of use, the least recent first. */
  readonly #held = new Map<string, Promise<Snapshot>>();
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(store: CatalogStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async at(text: string): Promise<PastSnapshot> {
    const at = parseMoment(text);
    if (at > this.#clock.now())
      throw new WritError('invalid_argument', {
        message: `${iso(at)} lies in the future`,
        hint: '`writ policy plan` says what files would change',
      });
    const moment = this.#store.keptAt(at);
    if (moment === undefined) throw this.#tooEarly(at);
    const then = await this.#asItWas(moment);
    const expired = then.nextExpiry <= at;
    const snapshot = expired ? await this.#compiled(moment, at) : then;
    return { snapshot, at, moment, expired };
  }

  #tooEarly(at: number): WritError {
    const first = this.#store.firstKept();
    return new WritError('not_found', {
      message: `no policy is kept from ${iso(at)}`,
      detail: first === undefined ? 'none is kept at all' : `the earliest is from ${iso(first)}`,
      ...(first === undefined ? {} : { hint: `ask about ${iso(first)} or later` }),
    });
  }

  /** @throws conflict when it is not what it was */
  async #asItWas(moment: KeptMoment): Promise<Snapshot> {
    const snapshot = await this.#compiled(moment, moment.compiledAt);
    if (snapshot.id === moment.snapshot) return snapshot;
    throw notTheSame(moment, `compiled again it is ${snapshot.id}`);
  }

  async #compiled(moment: KeptMoment, now: number): Promise<Snapshot> {
    const key = `${moment.number} ${moment.snapshot} ${now}`;
    const known = this.#held.get(key);
    this.#held.delete(key);
    const snapshot = known ?? this.#inTurn(() => this.#compile(moment, now));
    this.#held.set(key, snapshot);
    const [oldest] = this.#held.keys();
    if (this.#held.size > held && oldest !== undefined) this.#held.delete(oldest);
    try {
      return await snapshot;
    } catch (thrown) {
      // Asked again, it is tried again.
      if (this.#held.get(key) === snapshot) this.#held.delete(key);
      throw thrown;
    }
  }

  /** @throws too_many */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= mostWaiting)
      throw new WritError('too_many', {
        message: 'too many questions about the past at once',
        hint: 'ask again in a moment; many questions about one moment cost no more than one',
      });
    this.#waiting++;
    const turn = this.#last.then(work, work).finally(() => this.#waiting--);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #compile(moment: KeptMoment, now: number): Promise<Snapshot> {
    const { snapshot, findings } = await compileInputs(this.#store.keptInputs(moment.number), now);
    if (snapshot !== undefined) return snapshot;
    throw notTheSame(
      moment,
      findings.find(({ severity }) => severity === 'error')?.message ?? 'it does not compile',
    );
  }
}

function notTheSame({ snapshot, since }: KeptMoment, detail: string): WritError {
  return new WritError('conflict', {
    message: `the snapshot ${snapshot} of ${iso(since)} cannot be made again, so nothing is answered from it`,
    detail,
    hint: 'what was kept was changed, or this is another version of Writ than was in force then; the audit log has the decisions that were made',
  });
}

const moments = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/i;

/** `2026-11-23T10:00:00Z`, `2026-11-23T11:00+01:00`, `2026-11-23`: ms. @throws invalid_argument */
export function parseMoment(text: string): number {
  const spelled = text.trim();
  const time = moments.test(spelled) ? Date.parse(spelled.toUpperCase().replace(' ', 'T')) : Number.NaN;
  const day = spelled.slice(0, 10);
  // 2026-02-30 is no day, though it can be counted on from.
  const real = !Number.isNaN(time) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
  if (real) return time;
  throw new WritError('invalid_argument', {
    message: `${JSON.stringify(text)} is no moment`,
    hint: 'a time with its zone (2026-11-23T10:00:00Z, 2026-11-23T11:00+01:00), or a date: the first moment of that day, UTC',
  });
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}
