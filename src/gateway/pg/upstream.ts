import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type SecureContextOptions } from 'node:tls';
import type { UpstreamLogin } from '../../fleet/logins.ts';
import { WritError } from '../../kernel/errors.ts';
import { decodeFields } from './decode.ts';
import type { TransactionStatus } from './encode.ts';
import * as frontend from './encode-frontend.ts';
import { Framer, type ReceivedFrame } from './framer.ts';
import { type ScramExchange, startScram } from './scram-client.ts';
import { formatSearchPath, forwardedSettings } from './settings.ts';

// One backend of the Postgres behind a catalog, opened for one session. The startup packet is made here, from the
// allow-list; nothing of the client's packet is copied.

/** The server's certificate is verified against `ca` (or the system's) and `servername`. */
export type UpstreamTls = SecureContextOptions & {
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
};

export interface UpstreamOptions {
  readonly login: UpstreamLogin;
  /** What start-up accepted (settings.ts). */
  readonly settings: ReadonlyMap<string, string>;
  /** Schemas in order, as the server has them. */
  readonly searchPath: readonly string[];
  readonly timeoutMs: number;
  readonly tls?: UpstreamTls;
}

export interface Upstream {
  /** Paused; whoever takes it over attaches its listeners and resumes it. */
  readonly socket: Socket;
  /** ParameterStatus as reported at start-up. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly backendPid: number;
  readonly status: TransactionStatus;
  /** Asks the server to stop what this backend runs. Never rejects. */
  cancel(): Promise<void>;
}

/** @throws unreachable, or the server's own refusal with its SQLSTATE */
export async function openUpstream(options: UpstreamOptions): Promise<Upstream> {
  const upstream = await openBackend(options).catch(async (error: unknown) => {
    await options.login.opened().catch(() => {});
    throw error;
  });
  await options.login.opened().catch((error: unknown) => {
    upstream.socket.destroy();
    throw error;
  });
  return upstream;
}

async function openBackend(options: UpstreamOptions): Promise<Upstream> {
  const { host, port } = options.login;
  const deadline = AbortSignal.timeout(options.timeoutMs);
  try {
    const socket = await dial(options, deadline);
    return await startUp(socket, options, deadline).catch((error: unknown) => {
      socket.destroy();
      throw error;
    });
  } catch (error) {
    if (error instanceof WritError) throw error;
    throw new WritError('unreachable', {
      detail: `${host}:${port}: ${deadline.aborted ? 'no answer in time' : describe(error)}`,
      cause: error,
    });
  }
}

/** Holds what a server reports against what parsing relies on. @throws internal */
export function checkParameter(name: string, value: string): void {
  const wrong =
    (name === 'standard_conforming_strings' && value !== 'on') ||
    (name === 'client_encoding' && value !== 'UTF8') ||
    (name === 'server_encoding' && value !== 'UTF8');
  if (!wrong) return;
  throw new WritError('refused_on_purpose', {
    message: `the session's ${name} is "${value}", which this gateway does not work with`,
    detail: 'Statements would be understood in one way here and in another there.',
  });
}

/** An error of the server as ours, with its SQLSTATE; position and internals left out. */
export function serverError(payload: Buffer): WritError {
  const fields = decodeFields(payload);
  const detail = fields.get('D');
  const hint = fields.get('H');
  return new WritError('unreachable', {
    message: fields.get('M') ?? 'the server refused the connection',
    sqlstate: fields.get('C') ?? '08006',
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
  });
}

async function dial(options: UpstreamOptions, deadline: AbortSignal): Promise<Socket> {
  const plain = connect({
    host: options.login.host,
    port: options.login.port,
    noDelay: true,
    keepAlive: true,
  });
  // Between two owners nobody else listens, and an error without a listener would end the process.
  plain.on('error', () => plain.destroy());
  try {
    await once(plain, 'connect', deadline);
    if (options.tls === undefined) return plain;
    plain.write(frontend.sslRequest());
    const answer = await firstByte(plain, deadline);
    if (answer !== 'S') throw new WritError('unreachable', { detail: 'the server does not offer TLS' });
    const secure = connectTls({ servername: options.login.host, ...options.tls, socket: plain });
    secure.on('error', () => secure.destroy());
    await once(secure, 'secureConnect', deadline);
    return secure;
  } catch (error) {
    plain.destroy();
    throw error;
  }
}

/** Exactly one byte may have arrived: whatever stands behind it was not said under TLS. */
async function firstByte(socket: Socket, deadline: AbortSignal): Promise<string> {
  await once(socket, 'readable', deadline);
  const bytes: Buffer | null = socket.read();
  if (bytes === null || bytes.length !== 1) {
    throw new WritError('unreachable', { detail: 'the server sent data before TLS was agreed' });
  }
  return bytes.toString('latin1');
}

function once(socket: Socket, event: string, deadline: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: unknown): void => {
      socket.off(event, succeed).off('error', finish).off('close', closed);
      deadline.removeEventListener('abort', aborted);
      if (error === undefined) resolve();
      else reject(error);
    };
    const succeed = (): void => finish();
    const closed = (): void => finish(new Error('the server closed the connection'));
    const aborted = (): void => finish(deadline.reason);
    socket.on(event, succeed).on('error', finish).on('close', closed);
    deadline.addEventListener('abort', aborted);
    if (deadline.aborted) aborted();
  });
}

function startUp(socket: Socket, options: UpstreamOptions, deadline: AbortSignal): Promise<Upstream> {
  return new Promise((resolve, reject) => {
    const framer = new Framer({ maxLength: 1024 * 1024 });
    const dialogue = new Dialogue(socket, options);
    const finish = (result: Upstream | undefined, error?: unknown): void => {
      socket.pause();
      socket.off('data', onData).off('error', onError).off('close', onClose);
      deadline.removeEventListener('abort', onAbort);
      if (result !== undefined) resolve(result);
      else reject(error);
    };
    const onError = (error: unknown): void => finish(undefined, error);
    const onClose = (): void => finish(undefined, new Error('the server closed the connection'));
    const onAbort = (): void => finish(undefined, deadline.reason);
    // Frames are taken one after the other: an answer to SCRAM takes a turn in another thread.
    let turn = Promise.resolve();
    const onData = (chunk: Buffer): void => {
      const frames = framer.push(chunk);
      if (framer.violation !== undefined) {
        finish(undefined, framer.violation);
        return;
      }
      turn = turn
        .then(async () => {
          for (const frame of frames) {
            const ready = await dialogue.receive(frame);
            if (ready !== undefined) return finish(ready);
          }
        })
        .catch(onError);
    };
    socket.on('data', onData).on('error', onError).on('close', onClose);
    deadline.addEventListener('abort', onAbort);
    socket.write(frontend.startupMessage(startupParameters(options)));
  });
}

function startupParameters(options: UpstreamOptions): ReadonlyMap<string, string> {
  return new Map([
    ...forwardedSettings(options.settings),
    ['user', options.login.user],
    ['database', options.login.database],
    ['client_encoding', 'UTF8'],
    ['standard_conforming_strings', 'on'],
    ['row_security', 'on'],
    ['search_path', formatSearchPath(options.searchPath)],
  ]);
}

/** From the startup packet to the first ReadyForQuery. */
class Dialogue {
  readonly #socket: Socket;
  readonly #options: UpstreamOptions;
  readonly #parameters = new Map<string, string>();
  #scram: ScramExchange | undefined;
  #proven = false;
  #key: { pid: number; secret: Buffer } | undefined;

  constructor(socket: Socket, options: UpstreamOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** @returns the backend once it is ready */
  async receive(frame: ReceivedFrame): Promise<Upstream | undefined> {
    const { type, payload } = frame;
    switch (type) {
      case 'R':
        await this.#authenticate(payload);
        return undefined;
      case 'S':
        this.#parameter(payload);
        return undefined;
      case 'K':
        this.#key = { pid: payload.readInt32BE(0), secret: Buffer.from(payload.subarray(4)) };
        return undefined;
      case 'E':
        throw serverError(payload);
      case 'Z':
        return this.#ready();
      case 'N':
      case 'v':
        return undefined;
      default:
        throw new WritError('unreachable', {
          detail: `unexpected message ${JSON.stringify(type)} at sign-in`,
        });
    }
  }

  async #authenticate(payload: Buffer): Promise<void> {
    const code = payload.readInt32BE(0);
    const data = payload.toString('utf8', 4);
    if (code === 10 && data.split('\0').includes('SCRAM-SHA-256')) {
      this.#scram = startScram(this.#options.login.password, randomBytes(24).toString('base64'));
      this.#socket.write(frontend.saslInitialResponse('SCRAM-SHA-256', this.#scram.first));
    } else if (code === 11 && this.#scram !== undefined) {
      this.#socket.write(frontend.saslResponse(await this.#scram.answer(data)));
    } else if (code === 12 && this.#scram !== undefined) {
      this.#scram.verify(data);
      this.#proven = true;
    } else if (code !== 0 || !this.#proven) {
      throw new WritError('unreachable', {
        detail: 'the server asks for another sign-in than SCRAM-SHA-256',
        hint: 'Set scram-sha-256 for the gateway in pg_hba.conf.',
      });
    }
  }

  #parameter(payload: Buffer): void {
    const [name = '', value = ''] = payload.toString('utf8').split('\0');
    checkParameter(name, value);
    this.#parameters.set(name, value);
  }

  #ready(): Upstream {
    const key = this.#key;
    if (!this.#proven || key === undefined) {
      throw new WritError('unreachable', { detail: 'the server skipped a step of sign-in' });
    }
    const { host, port } = this.#options.login;
    return {
      socket: this.#socket,
      parameters: this.#parameters,
      backendPid: key.pid,
      status: 'I',
      cancel: () => cancelBackend({ host, port, tls: this.#options.tls }, key),
    };
  }
}

/** Resolves when the server has taken the request: until then the backend must not be given another statement of anybody else. */
async function cancelBackend(
  place: { readonly host: string; readonly port: number; readonly tls: UpstreamTls | undefined },
  key: { readonly pid: number; readonly secret: Buffer },
): Promise<void> {
  const deadline = AbortSignal.timeout(5_000);
  const login = { ...place, database: '', user: '', password: '', opened: async () => {} };
  const options = { login, settings: new Map(), searchPath: [], timeoutMs: 5_000 };
  try {
    const socket = await dial(place.tls === undefined ? options : { ...options, tls: place.tls }, deadline);
    socket.end(frontend.cancelRequest(key.pid, key.secret));
    socket.resume();
    await once(socket, 'close', deadline).finally(() => socket.destroy());
  } catch {
    // A cancel that does not arrive is none: the statement goes on, as it does against Postgres.
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
