import type { CatalogInfo } from '../catalog/model.ts';
import type { LogLevel } from '../config/settings.ts';
import type { IssuerConfig } from '../gateway/identity/issuers.ts';
import type { RepositorySettings } from '../policy/source/git.ts';
import type { Trust } from '../policy/source/trust.ts';
import type { GuardSettings } from '../rolesync/guard.ts';

// What the files of this room hand to each other.

/** Undoes one opening; run newest first. */
export type Closer = () => void | Promise<void>;

export interface GitFollowing {
  readonly repository: RepositorySettings;
  /** undefined: unsigned commits are followed. */
  readonly trust: Trust | undefined;
  readonly everySeconds: number;
}

export interface InstanceConfig {
  readonly home: string;
  readonly logLevel: LogLevel;
  readonly httpPort: number;
  readonly pgPort: number;
  /** Folder of policy files. */
  readonly policies: string;
  /** `host`, `port`: where sessions connect to, when not where the administrative login does. */
  readonly clusters: readonly {
    readonly name: string;
    readonly adminUrl: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly host?: string;
    readonly port?: number;
  }[];
  readonly catalogs: readonly CatalogInfo[];
  /** `formerly`: URLs under which the same issuer stood before; its subjects are moved. */
  readonly issuers: readonly (IssuerConfig & { readonly formerly?: readonly string[] })[];
  readonly tls: { readonly certificate: string; readonly key: string };
  /** Plaintext from loopback addresses (`writ dev` only). */
  readonly allowPlaintextLoopback: boolean;
  /** The most that one apply does unasked; absent: the defaults. */
  readonly guards?: GuardSettings | undefined;
  /** Whether the first start applies the policy and hardens the clusters (`writ dev` owns its cluster). */
  readonly hardenOnFirstStart: boolean;
  /** What `writ dev` leaves as it is: all state directly under `home`, the door on loopback. */
  readonly storeFile?: string;
  readonly audit?: { readonly folder: string; readonly segmentBytes: number };
  readonly pgHost?: string;
  /** Issuers by plain http from loopback addresses, where plaintext passwords are not. */
  readonly allowLoopbackHttp?: boolean;
  /** The repository that `policies` is read from instead of a folder. */
  readonly git?: GitFollowing;
}
