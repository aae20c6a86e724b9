import type { DuckDBType } from '@duckdb/node-api';

/** A function that prints the values of one column as Postgres would; null stays null. */
export function textOf(type: DuckDBType): (value: unknown) => string | null;
/** Shortest digits; 15: double precision, 6: single. */
export function floatText(value: number, digits: 6 | 15): string;
/** @param days since 1970-01-01 */
export function dateText(days: number): string;
/** @param micros since midnight */
export function timeText(micros: bigint): string;
/** @param micros since the epoch */
export function timestampText(micros: bigint): string;
export function intervalText(interval: { months: number; days: number; micros: bigint }): string;
