import type { SecureContext } from 'node:tls';
import type { AuditLog } from '../../audit/log-interface.ts';
import type { GatewayLogins } from '../../fleet/logins.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { SecurableName } from '../../kernel/securable-name.ts';
import type { Snapshot } from '../../policy/model.ts';
import type { Authenticator } from '../identity/authenticator.ts';
import type { CancelRegistry } from './cancel.ts';
import type { ClientLink, SessionInfo } from './client-link.ts';
import type { GovernedCache } from './governed-cache.ts';
import type { Govern } from './governing.ts';
import type { OnEnded, SessionRegistry } from './sessions.ts';
import type { UpstreamTls } from './upstream.ts';

// What the door is given, and what its connections share.

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
