import type { Socket } from 'node:net';
import { WritError } from '../../kernel/errors.ts';
import type { ClientLink, Frame, SessionInfo } from './client-link.ts';
import { errorResponse } from './encode.ts';
import { Framer, maxMessageLength, type ReceivedFrame } from './framer.ts';
import type { SessionRecord } from './record.ts';
import type { LiveSession, SessionState } from './sessions.ts';

const lingerMs = 2_000;
/** Frames that wait before the client is made to wait. Below it the socket is read on, so that a hang-up is noticed. */
const maxWaiting = 256;

/** A client whose statements are answered inside the gateway: frames come out, bytes go in. */
export class LakeLink implements ClientLink, LiveSession {
  readonly info: SessionInfo;
  readonly backendPid = undefined;
  readonly #client: Socket;
  readonly #record: SessionRecord;
  readonly #onEnd: () => void;
  readonly #framer = new Framer({ maxLength: maxMessageLength });
  #frames: ReceivedFrame[] = [];
  #wake: (() => void) | undefined;
  #cancelHandler: (() => void) | undefined;
  #serving = false;
  #over = false;

  constructor(client: Socket, info: SessionInfo, record: SessionRecord, onEnd: () => void) {
    this.info = info;
    this.#client = client;
    this.#record = record;
    this.#onEnd = onEnd;
  }

  /** Takes the socket over. */
  start(): void {
    const client = this.#client;
    client.on('data', (chunk: Buffer) => this.#receive(chunk));
    client.on('error', () => client.destroy());
    client.on('close', () =>
      this.#finish(new WritError('unreachable', { message: 'the client closed the connection' })),
    );
    client.resume();
    if (client.destroyed) this.#finish(undefined);
  }

  async *frames(): AsyncIterable<Frame> {
    while (!this.#over) {
      const frame = this.#frames.shift();
      this.#serving = frame !== undefined;
      if (frame === undefined) {
        const violation = this.#framer.violation;
        if (violation !== undefined) return this.#finish(violation);
        this.#client.resume();
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      if (frame.type === 'X') return this.#finish(undefined);
      if (frame.type === 'Q' || frame.type === 'E') this.#record.statements += 1;
      yield frame;
    }
  }

  send(bytes: Buffer): boolean {
    return this.#over || this.#client.write(bytes);
  }

  async drained(): Promise<void> {
    const client = this.#client;
    if (this.#over || client.destroyed || !client.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        client.off('drain', finish).off('close', finish);
        resolve();
      };
      client.on('drain', finish).on('close', finish);
    });
  }

  onCancel(handler: () => void): void {
    this.#cancelHandler = handler;
  }

  /** A CancelRequest with this session's key has arrived. */
  cancel(): void {
    this.#cancelHandler?.();
  }

  fail(error: WritError): void {
    this.#finish(error);
  }

  end(reason: WritError): void {
    this.#finish(reason);
  }

  /** The backend has no more to say. */
  closed(): void {
    this.#finish(undefined);
  }

  state(): SessionState {
    return this.#serving ? 'active' : 'idle';
  }

  statements(): number {
    return this.#record.statements;
  }

  #receive(chunk: Buffer): void {
    this.#frames.push(...this.#framer.push(chunk));
    if (this.#frames.length > maxWaiting) this.#client.pause();
    this.#wake?.();
  }

  #finish(reason: WritError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    if (!this.#client.destroyed) {
      if (reason === undefined) this.#client.end();
      else this.#client.end(errorResponse(reason, 'FATAL'));
      this.#client.resume();
      setTimeout(() => this.#client.destroy(), lingerMs).unref();
    }
    this.#wake?.();
    this.#cancelHandler?.();
    this.#record.end(reason);
    this.#onEnd();
  }
}
