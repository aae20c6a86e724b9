import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';

// Cancel keys of our own: the server's never leave the gateway. A request is unauthenticated, so it learns nothing, not
// even whether it hit, and guesses are few.

export interface CancelKey {
  readonly pid: number;
  readonly key: Buffer;
}

interface Guesses {
  count: number;
  since: number;
}

/** Wrong keys that one address may send in a window, before its requests are dropped unread. */
const guessesPerWindow = 20;
const windowMs = 10_000;
const addressesKept = 10_000;

export class CancelRegistry {
  readonly #entries = new Map<
    number,
    { readonly key: Buffer; readonly cancel: () => Promise<void> | void }
  >();
  readonly #guesses = new Map<string, Guesses>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** `keyLength`: 4 for protocol 3.0, 32 for 3.2. */
  add(keyLength: 4 | 32, cancel: () => Promise<void> | void): CancelKey {
    for (;;) {
      const pid = randomInt(1, 0x7fffffff);
      if (this.#entries.has(pid)) continue;
      const key = randomBytes(keyLength);
      this.#entries.set(pid, { key, cancel });
      return { pid, key };
    }
  }

  remove(pid: number): void {
    this.#entries.delete(pid);
  }

  /** Resolves alike for hit, miss and too many guesses; the caller closes the connection then. */
  async request(address: string, pid: number, key: Buffer): Promise<void> {
    if (this.#exhausted(address)) return;
    const entry = this.#entries.get(pid);
    if (entry === undefined || entry.key.length !== key.length || !timingSafeEqual(entry.key, key)) {
      this.#guessed(address);
      return;
    }
    await entry.cancel();
  }

  #exhausted(address: string): boolean {
    const guesses = this.#guesses.get(address);
    return (
      guesses !== undefined && this.#now() - guesses.since < windowMs && guesses.count >= guessesPerWindow
    );
  }

  #guessed(address: string): void {
    const known = this.#guesses.get(address);
    if (known !== undefined && this.#now() - known.since < windowMs) {
      known.count += 1;
      return;
    }
    if (this.#guesses.size >= addressesKept) this.#guesses.clear();
    this.#guesses.set(address, { count: 1, since: this.#now() });
  }
}
