import type { Sql } from '../../kernel/sql.ts';

/** How a printer says the things that are not in the table: each engine answers for the person who asks in its own way. */
export interface PrintContext {
  /** A bound column, as SQL of the engine (already qualified or quoted). */
  column(name: string): Sql;
  principal(): Sql;
  isMember(group: string): Sql;
  /** SQL of type text[]; empty array when the attribute is missing. */
  attribute(name: string): Sql;
  /**
   * The values themselves, where the caller knows them while it prints (the lake does). DuckDB then gets an IN list, which
   * prunes Parquet row groups as a list membership cannot.
   */
  attributeValues?(name: string): readonly string[];
}
