import type { ClientLink, Frame } from './client-link.ts';

/** Frames that wait while a statement runs; more are not read from the client. */
const maxWaiting = 1_024;
/** A client that said goodbye and left: how long its last statement may still run. */
const goodbyeMs = 5_000;

/** Reads ahead of the session, so that a client's leaving is noticed while a statement runs. */
export class LakeInbox {
  readonly #frames: Frame[] = [];
  #ended = false;
  #wake: (() => void) | undefined;
  #room: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param abandon called when the client has been gone for a while */
  constructor(link: ClientLink, abandon: () => void) {
    void this.#pump(link).then(() => {
      this.#timer = setTimeout(abandon, goodbyeMs);
      this.#timer.unref();
    });
  }

  /** undefined: the client is gone and everything it sent has been taken. */
  async take(): Promise<Frame | undefined> {
    while (this.#frames.length === 0) {
      if (this.#ended) {
        clearTimeout(this.#timer);
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#room?.();
    return this.#frames.shift();
  }

  async #pump(link: ClientLink): Promise<void> {
    try {
      for await (const frame of link.frames()) {
        this.#frames.push(frame);
        this.#wake?.();
        if (this.#frames.length < maxWaiting) continue;
        await new Promise<void>((resolve) => {
          this.#room = resolve;
        });
      }
    } catch {
      // A broken connection ends the session as a closed one does.
    } finally {
      this.#ended = true;
      this.#wake?.();
    }
  }
}
