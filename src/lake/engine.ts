import type { Decision } from '../kernel/decision.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
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
  /** What DuckDB runs: the text over governed views, which the session makes in its worker before it runs. */
  readonly sql: string;
  /** OIDs of $1, $2, … as far as known; 0 where not. */
  readonly parameterTypes: readonly number[];
}

/** Rows in Postgres' text format; null is NULL. */
export type TextRow = readonly (string | null)[];

/** Rows as they come from a worker. The first batch of a run has the columns and no rows. */
export interface LakeBatch {
  readonly columns: readonly ResultColumn[];
  readonly count: number;
  /** Per row what a DataRow message holds after its length: Int16 count, then per value Int32 length (-1: NULL) and text. */
  readonly bytes: Buffer;
  /** Decoded on demand. */
  readonly rows: readonly TextRow[];
}

export interface LakeSession {
  /**
   * One statement. Never throws for a refusal by policy: the decision says so. `types`: OIDs that the client gave for
   * $1, $2, …; 0 where it left them open. @throws syntax_error, refused_on_purpose, no_such_table
   */
  prepare(text: string, snapshot: Snapshot, types?: readonly number[]): Promise<LakeStatement>;
  /** Columns without running (Describe). */
  describe(statement: LakeStatement): Promise<readonly ResultColumn[]>;
  /** Batches of rows; the consumer's pace is the producer's (backpressure). @throws query_failed with DuckDB's error, made safe */
  run(statement: LakeStatement, parameters: readonly (string | null)[]): AsyncIterable<LakeBatch>;
  /** Stops everything that runs in this session; it throws `cancelled`. */
  interrupt(): void;
  close(): Promise<void>;
}

export interface LakeEngine {
  /** `asOperator`: the local operator reads the SYSTEM catalog whole (and no other). */
  open(
    catalog: SecurableName,
    principal: PrincipalName,
    options?: { readonly asOperator?: boolean },
  ): Promise<LakeSession>;
  close(): Promise<void>;
}
