import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { WritError } from '../../kernel/errors.ts';
import { CancelRegistry } from './cancel.ts';
import { refuse, serveConnection } from './connection.ts';
import type { Door, PgDoorOptions, TlsIdentity } from './door.ts';
import { GovernedCache } from './governed-cache.ts';
import { SessionRegistry } from './sessions.ts';
import { applicationSearchPath } from './settings.ts';

export interface PgDoor {
  readonly port: number;
  readonly sessions: SessionRegistry;
  /** A renewed certificate: for connections from now on. */
  setTls(identity: TlsIdentity): void;
  /** Ends every session with 57P01 and resolves when all sockets are closed. */
  close(): Promise<void>;
}

/** Connections that may stand between accept and signed in, beyond the sessions. */
const maxPending = 1_000;
const closeGraceMs = 1_000;

/** @throws invalid_config when the certificate or the port cannot be used */
export async function openPgDoor(options: PgDoorOptions): Promise<PgDoor> {
  let context = secureContext(options.tls);
  let closing: Promise<void> | undefined;
  const { maxSessions = 5_000 } = options;
  const sockets = new Set<Socket>();
  const sessions = new SessionRegistry(() => options.clock.now(), options.onSessionEnded);
  const door: Door = {
    ...withDefaults(options),
    secureContext: () => context,
    cancels: new CancelRegistry(() => options.clock.now()),
    sessions,
    cache: new GovernedCache(),
    full: () => sessions.size >= maxSessions,
  };
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    if (closing !== undefined || sockets.size > maxSessions + maxPending) {
      socket.on('error', () => socket.destroy());
      refuse(socket, new WritError('too_many', { message: 'sorry, too many clients already' }));
      return;
    }
    void serveConnection(socket, door);
  });
  const port = await listen(server, options.host, options.port);
  return {
    port,
    sessions,
    setTls: (identity) => {
      context = secureContext(identity);
    },
    close: () => {
      if (closing === undefined) {
        sessions.endWhere(() => true, 'the gateway is shutting down');
        closing = closeServer(server, sockets);
      }
      return closing;
    },
  };
}

function withDefaults(
  options: PgDoorOptions,
): Omit<Door, 'secureContext' | 'cancels' | 'sessions' | 'cache' | 'full'> {
  return {
    allowPlaintextLoopback: options.allowPlaintextLoopback ?? false,
    authenticator: options.authenticator,
    logins: options.logins,
    audit: options.audit,
    clock: options.clock,
    currentSnapshot: options.currentSnapshot,
    govern: options.govern,
    serveLake: options.serveLake,
    upstreamSearchPath: options.upstreamSearchPath ?? ((session) => applicationSearchPath(session.settings)),
    upstreamTls: options.upstreamTls,
    authenticationTimeoutMs: options.authenticationTimeoutMs ?? 60_000,
    upstreamTimeoutMs: options.upstreamTimeoutMs ?? 10_000,
    onError: options.onError ?? (() => {}),
  };
}

function secureContext({ key, cert }: TlsIdentity): SecureContext {
  try {
    return createSecureContext({ key, cert, minVersion: 'TLSv1.2' });
  } catch (cause) {
    throw new WritError('invalid_config', { message: 'the TLS key or certificate cannot be used', cause });
  }
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'the port is in use' : cause.message;
      reject(
        new WritError('invalid_config', { message: `cannot listen on ${host}:${port}`, detail: why, cause }),
      );
    });
    server.listen({ host, port, backlog: 1024 }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

/** Sessions have had their last words; whoever does not hang up, or has not signed in yet, is cut off. */
async function closeServer(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  const cut = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, closeGraceMs);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  clearTimeout(cut);
}
