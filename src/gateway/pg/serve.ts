import { formatDecision } from '../../kernel/decision.ts';
import { WritError } from '../../kernel/errors.ts';
import type { CancelKey } from './cancel.ts';
import type { SignedIn } from './connection.ts';
import type { Door } from './door.ts';
import * as encode from './encode.ts';
import { LakeLink } from './lake-link.ts';
import { SessionRecord } from './record.ts';
import { RelaySession } from './session.ts';
import type { LiveSession } from './sessions.ts';
import { applicationSearchPath, formatSearchPath } from './settings.ts';
import { openUpstream } from './upstream.ts';

// From signed in to served: the backend, the session's begin in the record, then the word to the client.

/** Longest delay that a timer takes. */
const longestTimer = 2 ** 31 - 1;
/** What a client of lake and system is told at start-up; drivers decide by server_version what they may ask. */
const ownParameters: readonly (readonly [string, string])[] = [
  ['server_version', '18.0'],
  ['server_encoding', 'UTF8'],
  ['client_encoding', 'UTF8'],
  ['DateStyle', 'ISO, MDY'],
  ['IntervalStyle', 'postgres'],
  ['TimeZone', 'UTC'],
  ['integer_datetimes', 'on'],
  ['standard_conforming_strings', 'on'],
  ['is_superuser', 'off'],
  ['default_transaction_read_only', 'on'],
  ['in_hot_standby', 'off'],
];

/** @throws unreachable, record_not_writable, or the server's refusal: before anything but the password was asked for */
export async function servePostgresCatalog(signedIn: SignedIn, door: Door): Promise<void> {
  const { socket, info } = signedIn;
  const login = await door.logins.open(info.principal, info.catalog);
  const tls = door.upstreamTls?.(info.catalog);
  const upstream = await openUpstream({
    login,
    settings: info.settings,
    searchPath: door.upstreamSearchPath(info),
    timeoutMs: door.upstreamTimeoutMs,
    ...(tls === undefined ? {} : { tls }),
  });
  const record = new SessionRecord(door.audit, door.clock, info);
  try {
    await record.begin(door.currentSnapshot().id, login.user);
  } catch (error) {
    upstream.socket.destroy();
    throw error;
  }
  const searchPath = applicationSearchPath(info.settings);
  const session = new RelaySession({
    client: socket,
    upstream,
    info,
    record,
    audit: door.audit,
    clock: door.clock,
    govern: door.govern,
    cache: door.cache,
    currentSnapshot: door.currentSnapshot,
    searchPath,
    onEnd: () => leave(),
  });
  const { key, leave } = enter(door, session, signedIn.minor, () => session.cancel());
  const shown = new Map([...upstream.parameters]);
  if (shown.has('search_path')) shown.set('search_path', formatSearchPath(searchPath));
  socket.write(welcome([...shown], key));
  session.start();
  endIfMissed(door, session, signedIn.admittedAt);
}

/** @throws record_not_writable */
export async function serveLakeCatalog(signedIn: SignedIn, door: Door): Promise<void> {
  const { socket, info } = signedIn;
  const record = new SessionRecord(door.audit, door.clock, info);
  await record.begin(door.currentSnapshot().id);
  const link = new LakeLink(socket, info, record, () => leave());
  const { key, leave } = enter(door, link, signedIn.minor, () => link.cancel());
  const application = info.client.application;
  const parameters = [...ownParameters, ['session_authorization', info.principal] as const];
  socket.write(
    welcome(application === undefined ? parameters : [...parameters, ['application_name', application]], key),
  );
  link.start();
  endIfMissed(door, link, signedIn.admittedAt);
  try {
    await door.serveLake(link, info);
    link.closed();
  } catch (thrown) {
    door.onError(thrown);
    link.fail(thrown instanceof WritError ? thrown : new WritError('internal', { cause: thrown }));
  }
}

function welcome(parameters: readonly (readonly [string, string])[], { pid, key }: CancelKey): Buffer {
  return Buffer.concat([
    encode.authenticationOk(),
    ...parameters.map(([name, value]) => encode.parameterStatus(name, value)),
    encode.backendKeyData(pid, key),
    encode.readyForQuery('I'),
  ]);
}

/** Into the registries; `leave` takes it out of them again. The session ends when its credential does. */
function enter(
  door: Door,
  session: LiveSession,
  minor: 0 | 2,
  cancel: () => Promise<void> | void,
): { readonly key: CancelKey; readonly leave: () => void } {
  const key = door.cancels.add(minor === 2 ? 32 : 4, cancel);
  door.sessions.add(session);
  let timer: NodeJS.Timeout | undefined;
  const watch = (): void => {
    const left = session.info.expiresAt - door.clock.now();
    if (left <= 0) {
      const message = 'terminating connection: the credential has expired';
      session.end(new WritError('session_ended', { message, hint: 'Sign in again.' }));
    } else timer = setTimeout(watch, Math.min(left, longestTimer)).unref();
  };
  setImmediate(watch);
  const leave = (): void => {
    clearTimeout(timer);
    door.cancels.remove(key.pid);
    door.sessions.remove(session.info.id);
  };
  return { key, leave };
}

/** What was revoked, or the door shut, while the backend was being opened. */
function endIfMissed(door: Door, session: LiveSession, admittedAt: number): void {
  door.sessions.endIfMissed(session, admittedAt);
  const { principal, catalog } = session.info;
  const decision = door.currentSnapshot().decide(principal, 'USE CATALOG', catalog);
  if (decision.effect === 'allow') return;
  session.end(
    new WritError('session_ended', {
      message: 'terminating connection: the policy has changed',
      detail: formatDecision(decision),
    }),
  );
}
