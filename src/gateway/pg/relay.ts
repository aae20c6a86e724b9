import type { WritError } from '../../kernel/errors.ts';
import { WritError as Writ } from '../../kernel/errors.ts';
import { decodeFields, decodeTag } from './decode.ts';
import {
  type ErrorFields,
  encodeFields,
  errorFields,
  errorResponse,
  type TransactionStatus,
} from './encode.ts';
import type { Answered, Expectation, Expectations, Run } from './expectations.ts';
import type { Names } from './names.ts';
import { type Outcome, rowsOfTag, type SessionRecord } from './record.ts';
import { recordedMessage } from './recorded-message.ts';
import type { ScannerSink, Verdict } from './scanner.ts';
import { checkParameter } from './upstream.ts';

// The server's half of a session, without sockets: what each message means for the record and for the session's names,
// and the few that do not pass as they are. Everything else goes through as the bytes it came in.

/** The types that the scanner must hand over whole. */
export const collectedTypes = 'CEZSK';

export class Relay implements ScannerSink {
  status: TransactionStatus;
  /** The server has said FATAL: it closes the connection, and the client knows why. */
  fatal = false;
  readonly #names: Names;
  readonly #expectations: Expectations;
  readonly #record: SessionRecord;

  constructor(parts: {
    readonly status: TransactionStatus;
    readonly names: Names;
    readonly expectations: Expectations;
    readonly record: SessionRecord;
  }) {
    this.status = parts.status;
    this.#names = parts.names;
    this.#expectations = parts.expectations;
    this.#record = parts.record;
  }

  begins(type: string, length: number): void {
    if (type === 'D' || type === 'd') {
      const run = this.#expectations.running();
      if (run === undefined) return;
      run.bytes += length + 5;
      if (type === 'D') run.rows += 1;
      return;
    }
    const answered = this.#expectations.receive(type);
    if (answered !== undefined) this.#settle(answered, {});
  }

  message(type: string, payload: Buffer): Verdict {
    switch (type) {
      case 'C':
        return this.#commandComplete(decodeTag(payload));
      case 'Z':
        return this.#ready(payload);
      case 'E':
        return this.#error(payload);
      case 'S': {
        const [name = '', value = ''] = payload.toString('utf8').split('\0');
        checkParameter(name, value);
        return true;
      }
      default:
        // BackendKeyData: the server's key is not the client's business.
        return false;
    }
  }

  /** The connection is over: what was under way ends with this. */
  abandon(reason: WritError): void {
    for (const { runs } of this.#expectations.clear()) {
      for (const run of runs)
        this.#record.endStatement(run, { sqlstate: reason.sqlstate, message: reason.message });
    }
  }

  #commandComplete(tag: string): Verdict {
    const answered = this.#expectations.receive('C');
    if (answered === undefined) return true;
    const rows = rowsOfTag(tag);
    this.#settle(answered, rows === undefined ? {} : { rows });
    if (tag.startsWith('CLOSE CURSOR')) this.#names.portalClosed(closedCursor(answered.ended));
    const several = answered.head.kind === 'query' && answered.head.runs.length > 1;
    if (tag === 'COMMIT' || (tag === 'ROLLBACK' && several)) this.#names.transactionEnded();
    return true;
  }

  #ready(payload: Buffer): Verdict {
    const status = payload.toString('latin1', 0, 1);
    this.status = status === 'T' || status === 'E' ? status : 'I';
    const answered = this.#expectations.receive('Z');
    if (answered !== undefined) this.#settle(answered, {});
    if (this.status === 'I') this.#names.transactionEnded();
    return true;
  }

  #error(payload: Buffer): Verdict {
    const fields = decodeFields(payload);
    const severity = fields.get('V') ?? fields.get('S');
    if (severity === 'FATAL' || severity === 'PANIC') {
      this.fatal = true;
      this.abandon(
        new Writ('session_ended', { sqlstate: fields.get('C') ?? '57P01', message: fields.get('M') ?? '' }),
      );
      return true;
    }
    const head = this.#expectations.head();
    const shown = head === undefined ? fields : this.#shown(head, fields);
    const answered = this.#expectations.receive('E');
    if (answered !== undefined) {
      const sqlstate = shown.get('C') ?? 'XX000';
      const message = shown.get('M') ?? '';
      const refused = head?.refusal !== undefined;
      const statement = answered.ended?.part.redacted ?? '';
      this.#settle(answered, {
        sqlstate,
        message: refused ? message : recordedMessage(message, sqlstate, statement),
      });
    }
    return shown === fields ? true : encodeFields('E', shown);
  }

  /** The error as the client is told it. */
  #shown(head: Expectation, fields: ErrorFields): ErrorFields {
    if (head.refusal !== undefined && fields.get('C') === '42601') return this.#refused(head.refusal);
    const withdrawn = withdrawnView(fields);
    if (withdrawn !== undefined) return errorFields(withdrawn);
    const position = fields.get('P');
    if (position === undefined || head.governed === undefined) return fields;
    const mapped = head.governed.mapPosition(Number(position));
    if (mapped === Number(position)) return fields;
    const others = new Map([...fields].filter(([code]) => code !== 'P'));
    return mapped === undefined ? others : others.set('P', String(mapped));
  }

  /** In an aborted transaction Postgres refuses whatever can be parsed, before it looks at what it means. */
  #refused(refusal: WritError): ErrorFields {
    const unreadable = ['syntax_error', 'bad_encoding', 'protocol_violation'].includes(refusal.code);
    return errorFields(this.status === 'E' && !unreadable ? new Writ('transaction_aborted') : refusal);
  }

  #settle(answered: Answered, outcome: Outcome): void {
    const { step, head, ended } = answered;
    if (step === 'more') return;
    const failed = step === 'fail' || step === 'skip';
    if (ended !== undefined) {
      this.#record.endStatement(ended, failed ? outcome : { rows: ended.rows, ...outcome });
      this.#changeOf(ended, !failed);
    }
    if (step === 'done' || step === 'finish') this.#change(head, true);
    if (!failed) {
      for (const run of answered.unrun) this.#record.endStatement(run, {});
      return;
    }
    this.#change(head, false);
    const unrun = { sqlstate: outcome.sqlstate ?? '', message: 'not run: an earlier statement failed' };
    const left: readonly Run[] = [...answered.unrun, ...answered.skipped.flatMap(({ runs }) => runs)];
    for (const run of left) {
      this.#record.endStatement(run, unrun);
      this.#changeOf(run, false);
    }
    for (const skipped of answered.skipped) this.#change(skipped, false);
  }

  #change(expectation: Expectation, succeeded: boolean): void {
    if (expectation.change !== undefined) this.#names.settle(expectation.change, succeeded);
  }

  #changeOf(run: Run, succeeded: boolean): void {
    if (run.change !== undefined) this.#names.settle(run.change, succeeded);
  }
}

/** Postgres misses a view of ours: the person asked for a table, and is told of that table. */
function withdrawnView(fields: ErrorFields): WritError | undefined {
  if (fields.get('C') !== '42P01') return undefined;
  const [, table] = /"writ_(.+?\..+?)"/.exec(fields.get('M') ?? '') ?? [];
  if (table === undefined) return undefined;
  return new Writ('permission_denied', {
    message: `${table.replace(/_(?:clear|insert)\./, '.')} cannot be read at present`,
    detail:
      'its governed view is withdrawn: the table is paused for a migration, or changed under the policy',
    hint: "ask the catalog's owner; `writ sync drift` says why",
  });
}

/** The cursor that a CLOSE names, where its text says it plainly. */
function closedCursor(run: Run | undefined): string | undefined {
  const [, name] = /^close\s+([a-z_][a-z0-9_]*)$/i.exec(run?.part.redacted.trim() ?? '') ?? [];
  return name === undefined || name.toLowerCase() === 'all' ? undefined : name.toLowerCase();
}

/** The last words to a client. */
export const fatalMessage = (reason: WritError): Buffer => errorResponse(reason, 'FATAL');
