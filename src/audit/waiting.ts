import type { Place } from './log-interface.ts';

type Then = (error: Error | undefined) => void;

interface FailedRange {
  readonly from: Place;
  readonly to: Place;
  readonly error: Error;
}

/**
 * Who waits for which place. Places count up and are never given twice, also where a batch failed and its records'
 * sequence numbers are used again.
 */
export class Waiting {
  #given = 0;
  #settled = 0;
  #callbacks: Then[] = [];
  /** Batches that were lost: one range per outage, since nothing is accepted until writing works again. */
  readonly #failed: FailedRange[] = [];

  /** The place of the record that was just batched. */
  next(): Place {
    this.#given += 1;
    return this.#given;
  }

  add(place: Place, then: Then): void {
    if (place > this.#settled) this.#callbacks.push(then);
    else then(this.#errorAt(place));
  }

  isWritten(place: Place): boolean {
    return place <= this.#settled && this.#errorAt(place) === undefined;
  }

  /** Everything given so far is written, or lost with this error; calls back in order. */
  settle(error: Error | undefined): void {
    if (error !== undefined) this.#lost({ from: this.#settled + 1, to: this.#given, error });
    this.#settled = this.#given;
    const callbacks = this.#callbacks;
    if (callbacks.length === 0) return;
    this.#callbacks = [];
    for (const then of callbacks) call(then, error);
  }

  #lost(range: FailedRange): void {
    const last = this.#failed.at(-1);
    if (last === undefined || last.to + 1 !== range.from) this.#failed.push(range);
    else this.#failed[this.#failed.length - 1] = { ...range, from: last.from };
  }

  #errorAt(place: Place): Error | undefined {
    if (this.#failed.length === 0) return undefined;
    return this.#failed.find((range) => place >= range.from && place <= range.to)?.error;
  }
}

/** One caller's mistake must not keep the others waiting; it still surfaces. */
function call(then: Then, error: Error | undefined): void {
  try {
    then(error);
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
}
