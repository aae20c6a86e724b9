import type { Discovered } from '../catalog/model.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { Sql } from '../kernel/sql.ts';
import type { TokenKey } from '../kernel/token-key.ts';

export type Row = Readonly<Record<string, unknown>>;

/** One admin connection inside `withAdmin`: statements run in order on it. */
export interface AdminConnection {
  query<R extends Row = Row>(statement: Sql, parameters?: readonly unknown[]): Promise<readonly R[]>;
  /** BEGIN … COMMIT; ROLLBACK when `work` throws. */
  transaction<T>(work: () => Promise<T>): Promise<T>;
  /** Notices and warnings raised since the connection was taken (SQLSTATE, message). */
  readonly notices: readonly { readonly code: string; readonly message: string }[];
}

export interface ClusterTls {
  readonly ca?: string;
  readonly rejectUnauthorized: boolean;
}

/** One Postgres cluster that Writ reaches with an administrative login of its own. */
export interface Cluster {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** How sessions of others are encrypted too: as `sslmode` of the administrative login says; absent: not. */
  readonly tls?: ClusterTls | undefined;
  /** What masks with token() are made with; absent: they give NULL. */
  readonly tokenKey?: TokenKey | undefined;
  /** server_version_num; known once connected. */
  version(): Promise<number>;
  /** Runs `work` on one admin connection to a database; search_path is pg_catalog, timeouts are set. @throws unreachable */
  withAdmin<T>(database: string, work: (connection: AdminConnection) => Promise<T>): Promise<T>;
  /** Databases that allow connections and are no templates. */
  databases(): Promise<readonly string[]>;
  discover(catalog: SecurableName, database: string): Promise<Discovered>;
  close(): Promise<void>;
}
