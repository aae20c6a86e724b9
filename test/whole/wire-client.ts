import { connect, type Socket } from 'node:net';
import { decodeFields, decodeTag } from '../../src/gateway/pg/decode.ts';
import * as encode from '../../src/gateway/pg/encode.ts';
import { Framer } from '../../src/gateway/pg/framer.ts';

// A client that says exactly the bytes a test wants said.

export interface Heard {
  readonly type: string;
  readonly payload: Buffer;
}

export class WireClient {
  readonly socket: Socket;
  readonly heard: Heard[] = [];
  closed = false;
  readonly #framer = new Framer({ maxLength: 1 << 28 });
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.heard.push(...this.#framer.push(chunk));
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  static async dial(port: number): Promise<WireClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new WireClient(socket);
  }

  /** Signed in, up to the first ReadyForQuery. */
  static async signedIn(
    port: number,
    parameters: Record<string, string> = {},
    minor = 0,
  ): Promise<WireClient> {
    const client = await WireClient.dial(port);
    client.send(startup({ user: 'ana@acme.test', database: 'shop', ...parameters }, minor), password('ana'));
    await client.until('Z');
    return client;
  }

  send(...messages: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(messages));
  }

  /** Takes everything up to the n-th message of this type; throws when the connection closes before. */
  async until(type: string, count = 1): Promise<Heard[]> {
    for (;;) {
      let seen = 0;
      const at = this.heard.findIndex((message) => message.type === type && ++seen === count);
      if (at >= 0) return this.heard.splice(0, at + 1);
      if (this.closed) throw new Error(`closed before ${type}: ${shown(this.heard).join(' ')}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** What is left until the server hangs up. */
  async untilClosed(): Promise<Heard[]> {
    while (!this.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.heard.splice(0);
  }
}

/** `C:SELECT 1`, `E:42501`, `Z:I`, and the bare letter of everything else; notices and settings left out. */
export function shown(messages: readonly Heard[]): string[] {
  return messages
    .filter(({ type }) => !'NS'.includes(type))
    .map(({ type, payload }) => {
      if (type === 'C') return `C:${decodeTag(payload)}`;
      if (type === 'E') return `E:${decodeFields(payload).get('C')}`;
      if (type === 'Z') return `Z:${payload.toString('latin1')}`;
      return type;
    });
}

export function startup(parameters: Record<string, string>, minor = 0, major = 3): Buffer {
  const body = Object.entries(parameters).flatMap(([name, value]) => [
    encode.cString(name),
    encode.cString(value),
  ]);
  return packet((major << 16) | minor, ...body, Buffer.from([0]));
}

export function packet(code: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat([encode.int32(code), ...parts]);
  return Buffer.concat([encode.int32(body.length + 4), body]);
}

export const sslRequest = packet(80877103);
export const gssRequest = packet(80877104);
export const cancelRequest = (pid: number, key: Buffer): Buffer => packet(80877102, encode.int32(pid), key);
export const password = (text: string): Buffer => encode.message('p', encode.cString(text));
export const query = (text: string): Buffer => encode.message('Q', encode.cString(text));
export const parse = (name: string, text: string): Buffer =>
  encode.message('P', encode.cString(name), encode.cString(text), encode.int16(0));
export const bind = (portal: string, statement: string, ...values: readonly string[]): Buffer =>
  encode.message(
    'B',
    encode.cString(portal),
    encode.cString(statement),
    encode.int16(0),
    encode.int16(values.length),
    ...values.flatMap((value) => [encode.int32(Buffer.byteLength(value)), Buffer.from(value)]),
    encode.int16(0),
  );
export const execute = (portal: string, rows = 0): Buffer =>
  encode.message('E', encode.cString(portal), encode.int32(rows));
export const describe = (target: 'S' | 'P', name: string): Buffer =>
  encode.message('D', Buffer.from(target), encode.cString(name));
export const close = (target: 'S' | 'P', name: string): Buffer =>
  encode.message('C', Buffer.from(target), encode.cString(name));
export const sync = encode.message('S');
export const flush = encode.message('H');
export const copyData = (text: string): Buffer => encode.copyData(Buffer.from(text));
export const copyDone = encode.copyDone();
export const copyFail = (why: string): Buffer => encode.message('f', encode.cString(why));
export const terminate = encode.message('X');
