import type { Client, Connection, Submittable } from 'pg';

// COPY over node-postgres, which has no public interface for it.

/** The bytes that `COPY … TO STDOUT` sends. */
export async function copyOut(client: Client, statement: string): Promise<Buffer> {
  const copy = new Copy(statement, undefined);
  client.query(copy);
  await copy.done;
  return Buffer.concat(copy.received);
}

/** Sends `data` to `COPY … FROM STDIN`; the answer is the command tag, `COPY 3`. */
export async function copyIn(client: Client, statement: string, data: string): Promise<string> {
  const copy = new Copy(statement, data);
  client.query(copy);
  return copy.done;
}

interface CopyConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

class Copy implements Submittable {
  readonly received: Buffer[] = [];
  readonly done: Promise<string>;
  #resolve: (tag: string) => void = () => {};
  #reject: (error: Error) => void = () => {};
  readonly #statement: string;
  readonly #data: string | undefined;

  constructor(statement: string, data: string | undefined) {
    this.#statement = statement;
    this.#data = data;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: Connection): void {
    (connection as unknown as CopyConnection).query(this.#statement);
  }

  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFromChunk(Buffer.from(this.#data ?? ''));
    connection.endCopyFrom();
  }

  handleCopyData(message: { chunk: Buffer }): void {
    this.received.push(Buffer.from(message.chunk));
  }

  #tag = '';

  handleCommandComplete(message: { text: string }): void {
    this.#tag = message.text;
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#tag);
  }

  handleError(error: Error): void {
    this.#reject(error);
  }
}
