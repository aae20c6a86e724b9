import { randomUUID } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { AuditLog } from '../../../src/audit/log-interface.ts';
import type { ClientLink, Frame } from '../../../src/gateway/pg/client-link.ts';
import * as encode from '../../../src/gateway/pg/encode.ts';
import { serveLake } from '../../../src/gateway/pg/lake-session.ts';
import { parsePrincipalName } from '../../../src/kernel/principal.ts';
import type { SecurableName } from '../../../src/kernel/securable-name.ts';
import type { LakeEngine } from '../../../src/lake/engine.ts';
import type { Snapshot } from '../../../src/policy/model.ts';

// A door without TLS and tokens, for tests of the lake's session alone: whoever connects is who they say they are.

export interface LakeDoor {
  readonly port: number;
  close(): Promise<void>;
}

export async function openLakeDoor(options: {
  readonly engine: LakeEngine;
  readonly catalog: SecurableName;
  readonly snapshot: () => Snapshot;
  readonly audit: AuditLog;
}): Promise<LakeDoor> {
  const cancels = new Map<number, () => void>();
  const server: Server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    void serveSocket(socket, options, cancels);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

async function serveSocket(
  socket: Socket,
  options: Parameters<typeof openLakeDoor>[0],
  cancels: Map<number, () => void>,
): Promise<void> {
  const reader = new MessageReader(socket);
  let startup = await reader.startup();
  while (startup !== undefined && [80877103, 80877104].includes(startup.readInt32BE(0))) {
    socket.write('N');
    startup = await reader.startup();
  }
  if (startup === undefined) return;
  if (startup.readInt32BE(0) === 80877102) {
    cancels.get(startup.readInt32BE(4))?.();
    socket.end();
    return;
  }
  const pairs = startup.toString('utf8', 4).split('\0');
  const user = pairs[pairs.indexOf('user') + 1] ?? '';
  const pid = 1 + cancels.size;
  socket.write(
    Buffer.concat([
      encode.authenticationOk(),
      encode.parameterStatus('server_version', '18.0'),
      encode.parameterStatus('client_encoding', 'UTF8'),
      encode.parameterStatus('standard_conforming_strings', 'on'),
      encode.backendKeyData(pid, Buffer.alloc(4, 7)),
      encode.readyForQuery('I'),
    ]),
  );
  const link: ClientLink = {
    frames: () => reader.frames(),
    send: (bytes) => socket.write(bytes),
    drained: () =>
      new Promise((resolve) => {
        if (socket.destroyed) resolve();
        socket.once('drain', resolve);
        socket.once('close', () => resolve());
      }),
    onCancel: (handler) => cancels.set(pid, handler),
    fail: (error) => socket.end(encode.errorResponse(error, 'FATAL')),
  };
  await serveLake({
    link,
    session: {
      id: randomUUID(),
      principal: parsePrincipalName(user),
      credential: 'test',
      expiresAt: Number.POSITIVE_INFINITY,
      catalog: options.catalog,
      client: { address: '127.0.0.1' },
      startedAt: Date.now(),
      settings: new Map(),
    },
    engine: options.engine,
    currentSnapshot: options.snapshot,
    audit: options.audit,
  });
  socket.end();
}

class MessageReader {
  #buffer = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    socket.on('data', (chunk) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#wake?.();
    });
    socket.on('close', () => {
      this.#ended = true;
      this.#wake?.();
    });
  }

  async startup(): Promise<Buffer | undefined> {
    const head = await this.#take(4);
    return head === undefined ? undefined : this.#take(head.readInt32BE(0) - 4);
  }

  async *frames(): AsyncGenerator<Frame> {
    for (;;) {
      const head = await this.#take(5);
      if (head === undefined) return;
      const payload = await this.#take(head.readInt32BE(1) - 4);
      const type = String.fromCharCode(head[0] ?? 0);
      if (payload === undefined || type === 'X') return;
      yield { type, payload };
    }
  }

  async #take(length: number): Promise<Buffer | undefined> {
    while (this.#buffer.length < length) {
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    return taken;
  }
}
