import type { GovernedQuery } from './governed.ts';

/** Longer texts are rarely sent twice, and would push many short ones out. */
const longestText = 32 * 1024;

/**
 * What became of texts, refusals too, most recently used last. A key is everything that the answer depends on: snapshot,
 * principal, catalog, search path and text. Bounded by entries and by characters.
 */
export class GovernedCache {
  readonly #entries = new Map<string, GovernedQuery>();
  readonly #maxEntries: number;
  readonly #maxCharacters: number;
  #characters = 0;

  constructor(maxEntries = 10_000, maxCharacters = 16 * 1024 * 1024) {
    this.#maxEntries = maxEntries;
    this.#maxCharacters = maxCharacters;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): GovernedQuery | undefined {
    const found = this.#entries.get(key);
    // Moving an entry costs; it matters only once something may be pushed out.
    if (found !== undefined && this.#entries.size * 2 > this.#maxEntries) {
      this.#entries.delete(key);
      this.#entries.set(key, found);
    }
    return found;
  }

  set(key: string, governed: GovernedQuery): void {
    if (key.length > longestText) return;
    if (!this.#entries.has(key)) this.#characters += key.length;
    this.#entries.set(key, governed);
    for (const [oldest] of this.#entries) {
      if (this.#entries.size <= this.#maxEntries && this.#characters <= this.#maxCharacters) return;
      this.#entries.delete(oldest);
      this.#characters -= oldest.length;
    }
  }
}
