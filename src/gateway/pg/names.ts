import type { GovernedPart, GovernedQuery } from './governed.ts';

// Prepared statements and portals of one session, by name. Clients send on before the server has answered, so a name may
// be about to change. Within one batch (up to Sync) that does not matter: if the change fails, the server skips the
// rest of the batch. A later batch has to wait, or the record could name another statement than the one that runs.

/** A statement that was prepared by a Parse message or by SQL PREPARE; the two share their names in Postgres. */
export interface PreparedEntry {
  /** What the client sent. */
  readonly text: string;
  /** What it was decided under; none: the text runs another statement by name, which may be another one by now. */
  readonly snapshotId: string | undefined;
  readonly governed: GovernedQuery | undefined;
  /** Absent for an empty text. */
  readonly part: GovernedPart | undefined;
}

export type Found = PreparedEntry | undefined | 'wait';

type Change =
  | { readonly map: 'statement' | 'portal'; readonly name: string; readonly entry: PreparedEntry | undefined }
  | { readonly map: 'statement' | 'portal'; readonly name: undefined };

interface Pending {
  readonly number: number;
  readonly batch: number;
  readonly change: Change;
}

/** Postgres keeps the first 63 bytes of a name: two longer ones that begin alike are one. */
const nameBytes = 63;

function keyOf(name: string): string {
  const bytes = Buffer.from(name);
  return bytes.length <= nameBytes ? name : bytes.toString('latin1', 0, nameBytes);
}

export class Names {
  readonly #statements = new Map<string, PreparedEntry>();
  readonly #portals = new Map<string, PreparedEntry>();
  #pending: Pending[] = [];
  #batch = 0;
  #last = 0;

  get anyPending(): boolean {
    return this.#pending.length > 0;
  }

  /** How many statements are kept, those about to be included: for the cap. */
  get size(): number {
    return this.#statements.size + this.#portals.size + this.#pending.length;
  }

  /** Sync, or a Query: a failure before does not reach what comes after. */
  nextBatch(): void {
    this.#batch += 1;
  }

  statement(name: string): Found {
    return this.#find('statement', keyOf(name));
  }

  portal(name: string): Found {
    return this.#find('portal', keyOf(name));
  }

  /** Announces a change. @returns its number, for `settle`. `name` undefined: all of them go. */
  announce(change: Change): number {
    this.#last += 1;
    const keyed = change.name === undefined ? change : { ...change, name: keyOf(change.name) };
    this.#pending.push({ number: this.#last, batch: this.#batch, change: keyed });
    return this.#last;
  }

  /** The server has made the change, or never will. */
  settle(number: number, succeeded: boolean): void {
    const at = this.#pending.findIndex((pending) => pending.number === number);
    const [pending] = at < 0 ? [] : this.#pending.splice(at, 1);
    if (pending !== undefined && succeeded) this.#apply(pending.change);
  }

  /** SQL CLOSE: the name may be given to another cursor next. `name` undefined: all of them. */
  portalClosed(name: string | undefined): void {
    if (name === undefined) this.#portals.clear();
    else this.#portals.delete(keyOf(name));
  }

  /** Portals live no longer than their transaction. */
  transactionEnded(): void {
    this.#portals.clear();
  }

  #find(map: 'statement' | 'portal', name: string): Found {
    for (let i = this.#pending.length - 1; i >= 0; i--) {
      const pending = this.#pending[i];
      if (pending === undefined || pending.change.map !== map) continue;
      if (pending.change.name !== undefined && pending.change.name !== name) continue;
      if (pending.batch !== this.#batch) return 'wait';
      return pending.change.name === undefined ? undefined : pending.change.entry;
    }
    return (map === 'statement' ? this.#statements : this.#portals).get(name);
  }

  #apply(change: Change): void {
    const map = change.map === 'statement' ? this.#statements : this.#portals;
    if (change.name === undefined) map.clear();
    else if (change.entry === undefined) map.delete(change.name);
    else map.set(change.name, change.entry);
  }
}
