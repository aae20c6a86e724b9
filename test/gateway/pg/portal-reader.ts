import type pg from 'pg';

/** A query of node-postgres that asks for its rows in steps, with Execute's row limit. */
export class PortalReader {
  readonly counts: Promise<readonly number[]>;
  readonly #text: string;
  readonly #step: number;
  readonly #counts: number[] = [0];
  #connection: pg.Connection | undefined;
  #resolve: (counts: readonly number[]) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(text: string, step: number) {
    this.#text = text;
    this.#step = step;
    this.counts = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: pg.Connection): void {
    this.#connection = connection;
    connection.parse({ name: '', text: this.#text, types: [] }, true);
    connection.bind({ portal: '', statement: '', values: [] }, true);
    connection.execute({ portal: '', rows: String(this.#step) }, true);
    connection.flush();
  }

  handleRowDescription(): void {}

  handleDataRow(): void {
    this.#counts[this.#counts.length - 1] = (this.#counts.at(-1) ?? 0) + 1;
  }

  handlePortalSuspended(): void {
    this.#counts.push(0);
    this.#connection?.execute({ portal: '', rows: String(this.#step) }, true);
    this.#connection?.flush();
  }

  handleCommandComplete(): void {
    this.#connection?.sync();
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#counts);
  }

  handleError(error: Error): void {
    this.#reject(error);
    this.#connection?.sync();
  }
}
