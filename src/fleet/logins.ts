import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';

/** How the gateway opens one backend for one person. The password is good for seconds. */
export interface UpstreamLogin {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** Call once the backend is open (or could not be opened): ends the password's validity. */
  opened(): Promise<void>;
}

/** Logins of this gateway process, one per principal and catalog; made on first use, dropped at close. */
export interface GatewayLogins {
  /** @throws unreachable, permission_denied (the principal has no role in this database) */
  open(principal: PrincipalName, catalog: SecurableName): Promise<UpstreamLogin>;
  /** Ends every backend of the principal's gateway logins (pg_terminate_backend). */
  terminate(principal: PrincipalName, catalog?: SecurableName): Promise<void>;
  close(): Promise<void>;
}

export interface DirectCredential {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Credentials to the cluster itself: a login role and a lease each. */
export interface DirectCredentials {
  issue(request: {
    id: string;
    principal: PrincipalName;
    catalog: SecurableName;
    expiresAt: number;
  }): Promise<DirectCredential>;
  /** Lease, membership and backends together; the login is dropped. */
  revoke(login: string, catalog: SecurableName): Promise<void>;
  /** Ends the login's open sessions; it may connect again. */
  terminate(login: string, catalog: SecurableName): Promise<void>;
  /** Renewed attributes and exemptions need nothing; expired logins are terminated, DROP OWNED and dropped. @returns logins removed */
  sweep(now: number): Promise<readonly string[]>;
  /** Backends on logins of Writ that no live lease covers, or that the gateway did not open: terminated and returned. */
  findBypass(
    openedByUs: ReadonlySet<number>,
  ): Promise<readonly { login: string; pid: number; cluster: string }[]>;
}
