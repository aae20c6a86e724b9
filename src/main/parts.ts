import type { CatalogInfo } from '../catalog/model.ts';
import type { LogLevel } from '../config/settings.ts';

// What the files of this room hand to each other.

/** Undoes one opening; run newest first. */
export type Closer = () => void | Promise<void>;

export interface InstanceConfig {
  readonly home: string;
  readonly logLevel: LogLevel;
  readonly httpPort: number;
  readonly pgPort: number;
  /** Folder of policy files. */
  readonly policies: string;
  readonly clusters: readonly { readonly name: string; readonly adminUrl: string }[];
  readonly catalogs: readonly CatalogInfo[];
  /** `formerly`: URLs under which the same issuer stood before; its subjects are moved. */
  readonly issuers: readonly {
    readonly issuer: string;
    readonly audience: string;
    readonly formerly?: readonly string[];
  }[];
  readonly tls: { readonly certificate: string; readonly key: string };
  /** Plaintext from loopback addresses (`writ dev` only). */
  readonly allowPlaintextLoopback: boolean;
  /** Whether the first start applies the policy and hardens the clusters (`writ dev` owns its cluster). */
  readonly hardenOnFirstStart: boolean;
}
