import type { PrincipalName } from '../../kernel/principal.ts';
import type { SecurableName } from '../../kernel/securable-name.ts';

/** Who somebody proved to be, and until when. */
export interface Identity {
  readonly principal: PrincipalName;
  /** `oidc:<jti or hash>`, `compact:<id>`, `operator`: for the record. */
  readonly credential: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** The token's groups, where the issuer is configured with a groups claim. */
  readonly claimGroups?: readonly string[];
}

export interface SignIn {
  /** The user name that the client gave; undefined over HTTP. */
  readonly user?: string;
  /** JWT or compact credential. */
  readonly password: string;
  /** The catalog asked for; compact credentials are bound to theirs. */
  readonly catalog?: SecurableName;
}

export interface Authenticator {
  /**
   * @throws bad_credential (28P01: not genuine), sign_in_refused (28000: genuine, but expired, revoked, quarantined, or
   * not for this user, audience or catalog), unreachable (the issuer's keys cannot be fetched)
   */
  authenticate(signIn: SignIn): Promise<Identity>;
}
