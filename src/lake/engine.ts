import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { Decision } from '../kernel/decision.ts';
import type { Snapshot } from '../policy/model.ts';

// Governed SQL on DuckDB, for catalogs of kind LAKE and SYSTEM. One worker process per identity.

/** A Postgres type that a result column is sent as: OID and size as in pg_type. */
export interface ResultColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typeSize: number;
}

/** A statement that was parsed, decided and rewritten; not yet run. */
export interface LakeStatement {
  readonly command: 'SELECT' | 'EXPLAIN' | 'SHOW' | 'EMPTY';
  readonly decision: Decision;
  readonly tables: readonly SecurableName[];
  readonly columns: readonly SecurableName[];
  /** Text for the record: literals replaced by `?`. */
  readonly redacted: string;
  /** What DuckDB runs: tables replaced by governed subqueries. */
  readonly sql: string;
  /** OIDs of $1, $2, … as far as known; 0 where not. */
  readonly parameterTypes: readonly number[];
}

/** Rows in Postgres' text format; null is NULL. */
export type TextRow = readonly (string | null)[];

export interface LakeSession {
  /** Never throws for a refusal by policy: the decision says so. @throws syntax_error, refused_on_purpose, no_such_table */
  prepare(text: string, snapshot: Snapshot): Promise<LakeStatement>;
  /** Columns without running (Describe). */
  describe(statement: LakeStatement): Promise<readonly ResultColumn[]>;
  /** Batches of rows; the consumer's pace is the producer's (backpressure). @throws query_failed with DuckDB's error, made safe */
  run(
    statement: LakeStatement,
    parameters: readonly (string | null)[],
  ): AsyncIterable<{ columns: readonly ResultColumn[]; rows: readonly TextRow[] }>;
  /** Stops what runs; it throws `cancelled`. */
  interrupt(): void;
  close(): Promise<void>;
}

export interface LakeEngine {
  open(catalog: SecurableName, principal: PrincipalName): Promise<LakeSession>;
  /** Tables below a LAKE location, with columns read from Parquet. */
  close(): Promise<void>;
}
