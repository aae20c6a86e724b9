import type { ErrorCode, WritError } from '../kernel/errors.ts';

/** Exit codes (docs: README): 0 fine, 1 findings or refused, 2 changes pending, 3 done in part, 64 usage. */
export type ExitCode = 0 | 1 | 2 | 3 | 64;

/** What a command has to say: `value` for --json, `text` for people. */
export interface Answer {
  readonly value: unknown;
  readonly text: string;
  readonly exit?: ExitCode;
}

/** Rows as aligned columns; numbers to the right. */
export function formatTable(columns: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = rows.map((row) => row.map(formatCell));
  const width = columns.map((name, i) => Math.max(name.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const numeric = columns.map(
    (_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || row[i] === null),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (numeric[i] ? cell.padStart(width[i] ?? 0) : cell.padEnd(width[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(columns), line(width.map((n) => '─'.repeat(n))), ...cells.map(line)].join('\n');
}

function formatCell(value: unknown): string {
  if (value === null || value === undefined) return '';
  switch (typeof value) {
    case 'object':
      return Array.isArray(value) ? value.join(', ') : JSON.stringify(value);
    default:
      return String(value).replaceAll('\n', ' ');
  }
}

/** What, why, what to do: one line each (a why of several is aligned), nothing that is not there. */
export function formatError(error: WritError): string {
  const lines = [`writ: ${error.message}`];
  if (error.detail !== undefined) lines.push(`  why: ${error.detail.replaceAll('\n', '\n       ')}`);
  if (error.hint !== undefined) lines.push(`  do:  ${error.hint}`);
  if (error.code === 'internal' && error.cause !== undefined) lines.push(`  (${String(error.cause)})`);
  return lines.join('\n');
}

export function errorValue(error: WritError): object {
  return {
    error_code: error.code,
    message: error.message,
    detail: error.detail,
    hint: error.hint,
    sqlstate: error.sqlstate,
  };
}

export function exitOf(code: ErrorCode): ExitCode {
  return code === 'invalid_argument' || code === 'invalid_name' ? 64 : 1;
}

/** `2 tables`, `1 table`. */
export function plural(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? '' : 's'}`;
}
