import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { CatalogInfo } from '../../catalog/model.ts';
import { formatDecision, formatReason } from '../../kernel/decision.ts';
import { toWritError, WritError } from '../../kernel/errors.ts';
import type { PrincipalName } from '../../kernel/principal.ts';
import { formatSecurableName, type SecurableName } from '../../kernel/securable-name.ts';
import type { SessionInfo } from './client-link.ts';
import { decodePassword } from './decode.ts';
import type { Door } from './door.ts';
import * as encode from './encode.ts';
import { maxPasswordLength } from './framer.ts';
import type { Inlet } from './inlet.ts';
import { type Negotiated, negotiate } from './negotiate.ts';
import { serveLakeCatalog, servePostgresCatalog } from './serve.ts';
import { readStartup, type StartupRequest } from './startup.ts';

// One connection from its first byte to the session: negotiation, sign-in, the catalog's gate. Every refusal is told as
// FATAL with its reason, and recorded once a startup packet was read; nothing of a catalog is touched before all passed.

export interface SignedIn {
  readonly socket: Socket;
  readonly info: SessionInfo;
  readonly catalog: CatalogInfo;
  readonly minor: 0 | 2;
  /** When the credential was looked at, in ms since the epoch. */
  readonly admittedAt: number;
}

/** Never rejects: whatever goes wrong ends this connection alone. */
export async function serveConnection(socket: Socket, door: Door): Promise<void> {
  let current = socket;
  const adopt = (next: Socket): void => {
    current = next;
    next.on('error', () => next.destroy());
  };
  adopt(socket);
  const deadline = setTimeout(() => current.destroy(), door.authenticationTimeoutMs);
  try {
    const negotiated = await negotiate(socket, door.secureContext, adopt);
    if (negotiated === undefined) socket.destroy();
    else if (negotiated.kind === 'cancel') {
      await door.cancels.request(socket.remoteAddress ?? '', negotiated.pid, negotiated.key);
      current.destroy();
    } else await serveStartup(negotiated, door, () => clearTimeout(deadline));
  } catch (thrown) {
    const error = toWritError(thrown);
    if (error.code === 'internal') door.onError(error.cause);
    refuse(current, error);
  } finally {
    clearTimeout(deadline);
  }
}

/** A FATAL error, then the end; a client that does not read it is cut off. */
export function refuse(socket: Socket, error: WritError): void {
  if (socket.destroyed) return;
  socket.end(encode.errorResponse(error, 'FATAL'));
  socket.resume();
  setTimeout(() => socket.destroy(), 1_000).unref();
}

async function serveStartup(
  negotiated: Extract<Negotiated, { kind: 'startup' }>,
  door: Door,
  signedIn: () => void,
): Promise<void> {
  const attempt: Attempt = { address: negotiated.socket.remoteAddress ?? '' };
  try {
    const ready = await signIn(negotiated, door, attempt);
    if (ready === undefined) return;
    signedIn();
    if (ready.catalog.kind === 'POSTGRES') await servePostgresCatalog(ready, door);
    else await serveLakeCatalog(ready, door);
  } catch (thrown) {
    recordRefusal(door, attempt, toWritError(thrown));
    throw thrown;
  }
}

/** What is known of somebody so far, for the record of a refusal. */
interface Attempt {
  readonly address: string;
  user?: string;
  principal?: PrincipalName;
  credential?: string;
  /** As asked for: it need not exist, nor be a name. */
  catalog?: string;
  application?: string;
  reasons?: readonly string[];
}

async function signIn(
  { packet, socket, inlet, encrypted }: Extract<Negotiated, { kind: 'startup' }>,
  door: Door,
  attempt: Attempt,
): Promise<SignedIn | undefined> {
  noteClaims(attempt, packet);
  const startup = readStartup(packet);
  const application = startup.settings.get('application_name');
  if (application !== undefined) attempt.application = application;
  if (!encrypted && !(door.allowPlaintextLoopback && isLoopback(attempt.address))) throw tlsRequired();
  const name = catalogName(startup.database);
  attempt.catalog = name;
  if (door.full()) throw new WritError('too_many', { message: 'sorry, too many clients already' });
  const password = await askPassword(socket, inlet, startup);
  inlet.release();
  if (password === undefined) {
    socket.destroy();
    return undefined;
  }
  const admittedAt = door.clock.now();
  const identity = await door.authenticator.authenticate({
    user: startup.user,
    password,
    catalog: name,
  });
  attempt.principal = identity.principal;
  attempt.credential = identity.credential;
  const catalog = admit(door, identity.principal, name, attempt);
  const info: SessionInfo = {
    id: randomUUID(),
    principal: identity.principal,
    credential: identity.credential,
    expiresAt: identity.expiresAt,
    catalog: catalog.name,
    client: { address: attempt.address, ...(application === undefined ? {} : { application }) },
    startedAt: door.clock.now(),
    settings: startup.settings,
  };
  return { socket, info, catalog, minor: startup.minor, admittedAt };
}

/** What the packet itself says, before it is held against the allow-lists: a refusal there is recorded with it too. */
function noteClaims(
  attempt: Attempt,
  { parameters }: Extract<Negotiated, { kind: 'startup' }>['packet'],
): void {
  const said = new Map(parameters);
  const user = said.get('user');
  const database = said.get('database') ?? user;
  const application = said.get('application_name');
  if (user) attempt.user = user;
  if (database) attempt.catalog = database;
  if (application !== undefined) attempt.application = application;
}

async function askPassword(
  socket: Socket,
  inlet: Inlet,
  { negotiate: told }: StartupRequest,
): Promise<string | undefined> {
  const ask = encode.authenticationCleartextPassword();
  socket.write(
    told === undefined
      ? ask
      : Buffer.concat([encode.negotiateProtocolVersion(told.minor, told.unknown), ask]),
  );
  const frame = await inlet.frame(maxPasswordLength);
  if (frame === undefined) return undefined;
  const password = decodePassword(frame);
  if (password === '')
    throw new WritError('bad_credential', { message: 'empty password returned by client' });
  return password;
}

/** The first gate: the catalog exists and the principal may use it. */
function admit(door: Door, principal: PrincipalName, name: SecurableName, attempt: Attempt): CatalogInfo {
  const snapshot = door.currentSnapshot();
  const catalog = snapshot.catalog.catalogs.get(name);
  if (catalog === undefined) {
    throw new WritError('no_such_catalog', {
      message: `catalog ${name} does not exist`,
      hint: 'The database name of a connection is the name of a catalog.',
    });
  }
  const decision = snapshot.decide(principal, 'USE CATALOG', name);
  if (decision.effect === 'allow') return catalog;
  attempt.reasons = decision.because.map(formatReason);
  const owner = snapshot.owner(name);
  throw new WritError('permission_denied', {
    message: `permission denied for catalog ${name}`,
    detail: formatDecision(decision),
    hint: `Ask ${owner ?? 'the owner of the catalog'} for USE CATALOG on ${name}.`,
  });
}

function recordRefusal(door: Door, attempt: Attempt, error: WritError): void {
  const { address, user, application, principal, credential, catalog } = attempt;
  try {
    door.audit.append({
      kind: 'session.refused',
      client: { address, ...(application === undefined ? {} : { application }) },
      decision: 'deny',
      sqlstate: error.sqlstate,
      message: user === undefined ? error.message : `${error.message} (user ${JSON.stringify(user)})`,
      // Details name what did not hold (expiry, audience, signature, user), never the credential itself.
      reasons: attempt.reasons ?? [error.detail ?? error.message],
      policyVersion: door.currentSnapshot().id,
      ...(principal === undefined ? {} : { principal }),
      ...(credential === undefined ? {} : { credential }),
      ...(catalog === undefined ? {} : { catalog }),
    });
  } catch (failure) {
    // Nobody was let in; that the log cannot be written is told by the log itself.
    door.onError(failure);
  }
}

function catalogName(database: string): SecurableName {
  return formatSecurableName([database]);
}

function tlsRequired(): WritError {
  return new WritError('sign_in_refused', {
    message: 'TLS is required',
    detail: 'The password would travel in the clear.',
    hint: 'Connect with sslmode=require or stricter.',
  });
}

/** 127.0.0.0/8 and ::1, also as IPv4 mapped into IPv6. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address);
}
