import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { AuditLog } from '../../audit/log-interface.ts';
import type { GatewayLogins } from '../../fleet/logins.ts';
import type { Clock } from '../../kernel/clock.ts';
import { WritError } from '../../kernel/errors.ts';
import type { SecurableName } from '../../kernel/securable-name.ts';
import type { Snapshot } from '../../policy/model.ts';
import type { Authenticator } from '../identity/authenticator.ts';
import { CancelRegistry } from './cancel.ts';
import type { ClientLink, SessionInfo } from './client-link.ts';
import { refuse, serveConnection } from './connection.ts';
import { GovernedCache } from './governed-cache.ts';
import type { Govern } from './governing.ts';
import { type OnEnded, SessionRegistry } from './sessions.ts';
import { applicationSearchPath } from './settings.ts';
import type { UpstreamTls } from './upstream.ts';

export interface TlsIdentity {
  readonly key: string;
  /** The chain, leaf first. */
  readonly cert: string;
}

export interface PgDoorOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly tls: TlsIdentity;
  /** Passwords without TLS from loopback addresses (`writ dev`). */
  readonly allowPlaintextLoopback?: boolean;
  readonly authenticator: Authenticator;
  readonly logins: Pick<GatewayLogins, 'open'>;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly currentSnapshot: () => Snapshot;
  /** The pure rewriter. */
  readonly govern: Govern;
  /** Serves a catalog of kind LAKE or SYSTEM; resolves when the link's frames have ended. */
  readonly serveLake: (link: ClientLink, session: SessionInfo) => Promise<void>;
  /** Schemas that the backend looks unqualified names up in; the application's own when absent. */
  readonly upstreamSearchPath?: (session: SessionInfo) => readonly string[];
  /** TLS towards the catalog's cluster; plain when undefined. */
  readonly upstreamTls?: (catalog: SecurableName) => UpstreamTls | undefined;
  /** Milliseconds from the first byte to the end of sign-in (60 s, as Postgres). */
  readonly authenticationTimeoutMs?: number;
  readonly upstreamTimeoutMs?: number;
  readonly maxSessions?: number;
  /** Told of each session that was ended from here (kill, endWhere). */
  readonly onSessionEnded?: OnEnded;
  /** What nobody foresaw: for the log. */
  readonly onError?: (error: unknown) => void;
}

export interface PgDoor {
  readonly port: number;
  readonly sessions: SessionRegistry;
  /** A renewed certificate: for connections from now on. */
  setTls(identity: TlsIdentity): void;
  /** Ends every session with 57P01 and resolves when all sockets are closed. */
  close(): Promise<void>;
}

/** What a connection needs of the door. */
export interface Door
  extends Required<
    Omit<PgDoorOptions, 'host' | 'port' | 'tls' | 'upstreamTls' | 'onSessionEnded' | 'maxSessions'>
  > {
  readonly upstreamTls: PgDoorOptions['upstreamTls'];
  readonly secureContext: () => SecureContext;
  readonly cancels: CancelRegistry;
  readonly sessions: SessionRegistry;
  readonly cache: GovernedCache;
  /** No room for another session. */
  readonly full: () => boolean;
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
