import { WritError } from '../../kernel/errors.ts';
import type { PrincipalName } from '../../kernel/principal.ts';
import type { SecurableName } from '../../kernel/securable-name.ts';
import type { SessionInfo } from './client-link.ts';

/** What `writ sessions ls` prints. */
export interface ListedSession {
  readonly id: string;
  readonly principal: PrincipalName;
  readonly credential: string;
  readonly catalog: SecurableName;
  readonly client: SessionInfo['client'];
  readonly startedAt: number;
  readonly expiresAt: number;
  readonly state: SessionState;
  readonly statements: number;
  /** Process id of the backend in the catalog's Postgres; absent for lake and system. */
  readonly backendPid?: number;
}

/** `idle`, `active`, `in transaction`, `in failed transaction`: as pg_stat_activity says it. */
export type SessionState = 'active' | 'idle' | 'idle in transaction' | 'idle in transaction (aborted)';

/** A session as the registry holds it. */
export interface LiveSession {
  readonly info: SessionInfo;
  readonly backendPid: number | undefined;
  state(): SessionState;
  statements(): number;
  /** FATAL to the client, and the backend's connection is closed. Idempotent. */
  end(reason: WritError): void;
}

/** Told of each session that Writ ended, so that its backend can be terminated where closing the socket is not enough. */
export type OnEnded = (session: ListedSession, reason: WritError) => void;

type Predicate = (session: ListedSession) => boolean;

interface PastEnd {
  readonly at: number;
  readonly predicate: Predicate;
  readonly reason: string;
}

/** Longer than a sign-in can take: who proved to be somebody before an end and comes in after it is ended too. */
const rememberedMs = 60_000;

export class SessionRegistry {
  readonly #sessions = new Map<string, LiveSession>();
  readonly #onEnded: OnEnded | undefined;
  readonly #now: () => number;
  #past: PastEnd[] = [];

  constructor(now: () => number, onEnded?: OnEnded) {
    this.#now = now;
    this.#onEnded = onEnded;
  }

  get size(): number {
    return this.#sessions.size;
  }

  add(session: LiveSession): void {
    this.#sessions.set(session.info.id, session);
  }

  remove(id: string): void {
    this.#sessions.delete(id);
  }

  list(): readonly ListedSession[] {
    return [...this.#sessions.values()].map(listed);
  }

  /** @returns whether there was such a session. The client gets FATAL 57P01. */
  kill(id: string, reason: string): boolean {
    return this.endWhere((session) => session.id === id, reason) > 0;
  }

  /** Ends all that match, those that are just signing in included; @returns how many were open. */
  endWhere(predicate: Predicate, reason: string): number {
    const now = this.#now();
    this.#past = [...this.#past.filter(({ at }) => now - at < rememberedMs), { at: now, predicate, reason }];
    const hit = [...this.#sessions.values()].filter((session) => predicate(listed(session)));
    for (const session of hit) this.#end(session, reason);
    return hit.length;
  }

  /**
   * Ends a session that was let in before an `endWhere` that would have ended it, and opened after it.
   * `admittedAt`: when its credential was looked at.
   */
  endIfMissed(session: LiveSession, admittedAt: number): void {
    const missed = this.#past.find(({ at, predicate }) => at >= admittedAt && predicate(listed(session)));
    if (missed !== undefined) this.#end(session, missed.reason);
  }

  #end(session: LiveSession, reason: string): void {
    const was = listed(session);
    const error = new WritError('session_ended', { message: `terminating connection: ${reason}` });
    session.end(error);
    this.#onEnded?.(was, error);
  }

  /** Backends that this gateway opened: any other on its logins is a bypass. */
  backendPids(): ReadonlySet<number> {
    return new Set([...this.#sessions.values()].flatMap(({ backendPid }) => backendPid ?? []));
  }
}

function listed(session: LiveSession): ListedSession {
  const { id, principal, credential, catalog, client, startedAt, expiresAt } = session.info;
  return {
    id,
    principal,
    credential,
    catalog,
    client,
    startedAt,
    expiresAt,
    state: session.state(),
    statements: session.statements(),
    ...(session.backendPid === undefined ? {} : { backendPid: session.backendPid }),
  };
}
