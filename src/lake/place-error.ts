import { WritError } from '../kernel/errors.ts';
import type { ColumnUse } from './walk.ts';

// Where in the person's text an error is. DuckDB's binder says it in a drawing of the text that it ran; the parser gave
// the places of all names in the text that was written. Pure.

const aboutNames: readonly RegExp[] = [
  /^Referenced (?:column|table) "(.*?)" not found/,
  /does not have a column named "(.*?)"/,
  /^Ambiguous reference to column name "(.*?)"/,
  /^column "(.*?)" must appear in the GROUP BY/,
];

/** The error with the place of the column that it names; as it is where that place is not certain. */
export function placeError(thrown: unknown, text: string, columns: readonly ColumnUse[]): unknown {
  if (!(thrown instanceof WritError) || thrown.position !== undefined) return thrown;
  const name = aboutNames
    .map((pattern) => pattern.exec(thrown.message)?.[1])
    .find((one) => one !== undefined);
  if (name === undefined) return thrown;
  const isNamed = ({ parts }: ColumnUse) => parts.some((part) => part.toLowerCase() === name.toLowerCase());
  const found = columns.filter((use) => use.location >= 0 && isNamed(use));
  // Of several uses only such as are written alike fail alike.
  if (new Set(found.map((use) => JSON.stringify(use.parts))).size !== 1) return thrown;
  const first = Math.min(...found.map((use) => use.location));
  const before = Buffer.from(text, 'utf8').subarray(0, first).toString('utf8');
  return withPosition(thrown, [...before].length + 1);
}

/** The same error at another place; `undefined`: at none. */
export function withPosition(error: WritError, position: number | undefined): WritError {
  const { code, message, sqlstate, detail, hint, cause } = error;
  return new WritError(code, {
    message,
    sqlstate,
    cause,
    ...(position === undefined ? {} : { position }),
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
  });
}
