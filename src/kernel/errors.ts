// The one table of errors. Doors print the code's SQLSTATE or HTTP status and the text; the detail says why, the
// hint what to do. Clients depend on codes, never on prose.

interface ErrorRow {
  readonly sqlstate: string;
  readonly http: number;
  readonly text: string;
}

export const errorTable = {
  sign_in_refused: { sqlstate: '28000', http: 401, text: 'sign-in refused' },
  bad_credential: { sqlstate: '28P01', http: 401, text: 'sign-in failed' },
  permission_denied: { sqlstate: '42501', http: 403, text: 'permission denied' },
  syntax_error: { sqlstate: '42601', http: 400, text: 'the statement cannot be parsed' },
  refused_on_purpose: { sqlstate: '0A000', http: 400, text: 'refused on purpose' },
  no_such_catalog: { sqlstate: '3D000', http: 404, text: 'no such catalog' },
  no_such_table: { sqlstate: '42P01', http: 404, text: 'no such table' },
  no_such_prepared_statement: { sqlstate: '26000', http: 404, text: 'no such prepared statement' },
  duplicate_prepared_statement: { sqlstate: '42P05', http: 409, text: 'prepared statement already exists' },
  bad_setting: { sqlstate: '22023', http: 400, text: 'invalid value for a setting' },
  bad_encoding: { sqlstate: '22021', http: 400, text: 'invalid byte sequence for encoding "UTF8"' },
  transaction_aborted: {
    sqlstate: '25P02',
    http: 409,
    text: 'current transaction is aborted, commands ignored until end of transaction block',
  },
  too_large: { sqlstate: '54000', http: 413, text: 'a limit of size is exceeded' },
  cancelled: { sqlstate: '57014', http: 499, text: 'canceling statement due to user request' },
  protocol_violation: { sqlstate: '08P01', http: 400, text: 'protocol violation' },
  unreachable: { sqlstate: '08006', http: 502, text: 'the server behind the catalog cannot be reached' },
  too_many: { sqlstate: '53300', http: 429, text: 'too many connections' },
  session_ended: { sqlstate: '57P01', http: 401, text: 'session ended' },
  record_not_writable: { sqlstate: '58030', http: 503, text: 'the audit log cannot be written' },
  query_failed: { sqlstate: '22000', http: 400, text: 'the statement failed' },
  invalid_name: { sqlstate: '42602', http: 400, text: 'invalid name' },
  invalid_policy: { sqlstate: 'F0000', http: 400, text: 'the policy is not valid' },
  invalid_argument: { sqlstate: '22023', http: 400, text: 'invalid argument' },
  not_found: { sqlstate: '42704', http: 404, text: 'not found' },
  conflict: { sqlstate: '55006', http: 409, text: 'something changed meanwhile' },
  guard_refused: { sqlstate: '55000', http: 409, text: 'refused by a guard' },
  invalid_config: { sqlstate: 'F0000', http: 500, text: 'the configuration is not valid' },
  internal: { sqlstate: 'XX000', http: 500, text: 'internal error' },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

export interface ErrorParts {
  /** What the reader sees as the message; the table's text when absent. */
  readonly message?: string;
  /** Why: the failed gate, the rule, the place. Never a hidden value. */
  readonly detail?: string;
  /** What to do, or whom to ask. */
  readonly hint?: string;
  /** 1-based character position in the statement that the client sent. */
  readonly position?: number;
  /** For logs only; never leaves the process. */
  readonly cause?: unknown;
  /** Replaces the table's SQLSTATE where an engine behind us gave a more precise one. */
  readonly sqlstate?: string;
}

/** The only error that crosses rooms. Everything else is a bug and is shown as `internal`. */
export class WritError extends Error {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly position: number | undefined;
  readonly sqlstate: string;
  readonly http: number;

  constructor(code: ErrorCode, parts: ErrorParts = {}) {
    super(parts.message ?? errorTable[code].text, { cause: parts.cause });
    this.name = 'WritError';
    this.code = code;
    this.detail = parts.detail;
    this.hint = parts.hint;
    this.position = parts.position;
    this.sqlstate = parts.sqlstate ?? errorTable[code].sqlstate;
    this.http = errorTable[code].http;
  }
}

/** Anything thrown, as a WritError; what we did not foresee becomes `internal` and keeps its cause for the log. */
export function toWritError(thrown: unknown): WritError {
  return thrown instanceof WritError ? thrown : new WritError('internal', { cause: thrown });
}
