import type { PrincipalName } from '../kernel/principal.ts';

// Everything that is recorded, as one closed union. Field names are the columns of system.access.audit.

interface Common {
  /** UUID of the event; a statement's begin and end share `statementId` instead. */
  readonly id: string;
  /** Milliseconds since the epoch, UTC. */
  readonly time: number;
  /** Who acted; absent where nobody could be identified. */
  readonly principal?: PrincipalName;
  readonly session?: string;
  /** `credential` is an id, never a secret: `oidc:<jti or token hash prefix>`, `compact:<id>`, `operator`. */
  readonly credential?: string;
  readonly client?: { readonly address: string; readonly application?: string };
  readonly catalog?: string;
  readonly decision?: 'allow' | 'deny';
  /** Formatted reasons, in order (kernel/decision.ts). */
  readonly reasons?: readonly string[];
  readonly policyVersion?: string;
  readonly sqlstate?: string;
  readonly message?: string;
}

/** Where a policy came from; absent: files from a folder. */
interface Commit {
  /** Path or URL, without credentials. */
  readonly repository?: string;
  readonly ref?: string;
  readonly commit?: string;
  /** As the commit says it: nobody has checked it. */
  readonly author?: string;
  /** Whose signatures were verified. */
  readonly signers?: readonly string[];
  readonly approvers?: readonly string[];
}

export type AuditEvent = Common &
  (
    | { readonly kind: 'log.open' | 'log.close' }
    | { readonly kind: 'session.begin'; readonly login?: string }
    | { readonly kind: 'session.refused' }
    | { readonly kind: 'session.end'; readonly durationMs: number; readonly statements: number }
    | {
        readonly kind: 'statement.begin';
        readonly statementId: string;
        /** Text with its literals redacted, unless the operator chose otherwise. */
        readonly statement: string;
        readonly command: string;
        readonly tables: readonly string[];
        readonly columns: readonly string[];
      }
    | {
        readonly kind: 'statement.end';
        readonly statementId: string;
        readonly rows?: number;
        readonly bytes?: number;
        readonly durationMs: number;
      }
    | ({
        readonly kind: 'policy.plan' | 'policy.apply' | 'policy.refused';
        readonly summary: string;
      } & Commit)
    /** A commit of the repository that the policy follows: brought into force, or refused and why. */
    | ({ readonly kind: 'policy.source'; readonly summary: string } & Commit)
    | {
        readonly kind: 'sync.operation';
        readonly cluster: string;
        readonly statement: string;
        readonly durationMs?: number;
      }
    | {
        readonly kind: 'sync.drift';
        readonly cluster: string;
        readonly severity: 'critical' | 'repairable' | 'reported';
        readonly summary: string;
      }
    | {
        readonly kind: 'credential.issue' | 'credential.revoke';
        readonly credentialId: string;
        readonly direct: boolean;
        readonly expiresAt?: number;
        readonly purpose?: string;
        readonly ticket?: string;
      }
    | {
        readonly kind: 'principal.bind' | 'principal.quarantine';
        readonly issuer: string;
        readonly subject: string;
      }
    | { readonly kind: 'bypass'; readonly cluster: string; readonly login: string; readonly summary: string }
    | {
        /** An engine that enforces by itself (Trino) asked; the principal is whom it asked about. */
        readonly kind: 'decision';
        /** The engine's operation: SelectFromColumns, … */
        readonly command: string;
        readonly tables: readonly string[];
        readonly columns: readonly string[];
        /** `trino:` and its query id, where it was said. */
        readonly statementId?: string;
      }
    | {
        readonly kind: 'http.request';
        readonly method: string;
        readonly path: string;
        readonly status: number;
      }
  );

export type AuditKind = AuditEvent['kind'];
