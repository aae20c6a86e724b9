import { type ErrorCode, WritError } from '../kernel/errors.ts';

// DuckDB's errors, made safe. Whoever reads a row only through a filter must not read it in an error: errors about
// values lose their text, errors about names keep their first sentence.

interface WorkerError {
  readonly message: string;
  readonly sqlstate?: string;
  /** Written by the worker itself: holds no value. */
  readonly safe?: boolean;
}

interface Row {
  readonly code: ErrorCode;
  readonly sqlstate?: string;
  /** Replaces the text; absent: the text is about names and may pass. */
  readonly text?: string;
}

const byKind: Readonly<Record<string, Row>> = {
  Parser: { code: 'syntax_error' },
  Syntax: { code: 'syntax_error' },
  Binder: { code: 'query_failed', sqlstate: '42601' },
  Catalog: { code: 'query_failed', sqlstate: '42704' },
  Conversion: {
    code: 'query_failed',
    sqlstate: '22P02',
    text: 'a value cannot be converted to the type that was asked for',
  },
  'Out of Range': { code: 'query_failed', sqlstate: '22003', text: 'a value is out of range' },
  'Invalid Input': {
    code: 'query_failed',
    sqlstate: '22023',
    text: 'a function was given an invalid argument',
  },
  'Invalid type': { code: 'query_failed', sqlstate: '42804', text: 'a value has the wrong type' },
  'Mismatch Type': { code: 'query_failed', sqlstate: '42804', text: 'types do not match' },
  'Divide by Zero': { code: 'query_failed', sqlstate: '22012', text: 'division by zero' },
  'Out of Memory': {
    code: 'query_failed',
    sqlstate: '53200',
    text: "the statement needs more memory or temporary space than one person's worker may use",
  },
  IO: { code: 'query_failed', sqlstate: '58030', text: "the table's files cannot be read" },
  Permission: { code: 'refused_on_purpose', text: 'files are read through the catalog only' },
  'Not implemented': { code: 'refused_on_purpose', text: 'the lake engine does not implement this' },
  INTERRUPT: { code: 'cancelled' },
};

const nameProblems: readonly [RegExp, string][] = [
  [/^Referenced (column|table) /, '42703'],
  [/^Table .*does not have a column/, '42703'],
  [/^Table with name/, '42P01'],
  [/^Ambiguous reference/, '42702'],
  [/must appear in the GROUP BY/, '42803'],
  [/^No function matches|^(Scalar|Aggregate|Table) Function|^Macro/, '42883'],
  [/^Cannot (mix|compare) values|No (implicit )?cast|add explicit type casts/, '42804'],
  [/^Could not find|^Catalog .* does not exist|^Schema /, '42P01'],
];

/** What a person may see of an error from the engine. The original goes along as `cause`, for the log. */
export function safeError(error: WorkerError): WritError {
  if (error.safe === true) {
    const sqlstate = error.sqlstate === undefined ? {} : { sqlstate: error.sqlstate };
    return new WritError('query_failed', { message: error.message, ...sqlstate });
  }
  const match = /^([A-Za-z ]+?) Error: ([\s\S]*)$/.exec(error.message);
  const row = byKind[match?.[1] ?? ''];
  if (match === null || row === undefined) {
    return new WritError('query_failed', { cause: error.message });
  }
  const text = row.text ?? (row.code === 'cancelled' ? undefined : firstSentence(match[2] ?? ''));
  const sqlstate = row.text === undefined ? (problemOf(text ?? '') ?? row.sqlstate) : row.sqlstate;
  return new WritError(row.code, {
    ...(text === undefined ? {} : { message: text }),
    ...(sqlstate === undefined ? {} : { sqlstate }),
    cause: error.message,
  });
}

/** Candidates ("Did you mean …") name things that a person may not know of. */
function firstSentence(text: string): string {
  const line = text.split('\n')[0] ?? '';
  return line.replace(/\s*(Did you mean|Candidate).*$/i, '').slice(0, 500);
}

function problemOf(text: string): string | undefined {
  return nameProblems.find(([pattern]) => pattern.test(text))?.[1];
}
