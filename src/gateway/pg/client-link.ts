import type { WritError } from '../../kernel/errors.ts';
import type { PrincipalName } from '../../kernel/principal.ts';
import type { SecurableName } from '../../kernel/securable-name.ts';

/** One protocol message: its type byte ('Q', 'P', …) and the payload without type and length. */
export interface Frame {
  readonly type: string;
  readonly payload: Buffer;
}

/** A signed-in client session, as every kind of catalog serves it. */
export interface SessionInfo {
  /** UUID; the record's `session`. */
  readonly id: string;
  readonly principal: PrincipalName;
  /** Credential id for the record, never a secret. */
  readonly credential: string;
  /** Milliseconds since the epoch at which the session must end. */
  readonly expiresAt: number;
  readonly catalog: SecurableName;
  readonly client: { readonly address: string; readonly application?: string };
  readonly startedAt: number;
  /** Settings the client asked for at start-up, from the allow-list, lower-cased names. */
  readonly settings: ReadonlyMap<string, string>;
}

/**
 * The client's side of a session, for backends that we speak for ourselves (lake, system). The door has already sent
 * AuthenticationOk, ParameterStatus, BackendKeyData and the first ReadyForQuery; Terminate ends `frames()`.
 */
export interface ClientLink {
  /** Ends when the client terminates or the session is ended. Frames are capped and whole. */
  frames(): AsyncIterable<Frame>;
  /** Queues bytes; after a `false` await `drained()` before sending more. */
  send(bytes: Buffer): boolean;
  drained(): Promise<void>;
  /** Called when a CancelRequest with this session's key arrives. */
  onCancel(handler: () => void): void;
  /** Sends a FATAL error and closes. */
  fail(error: WritError): void;
}
