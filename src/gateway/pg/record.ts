import { randomUUID } from 'node:crypto';
import type { AuditLog, NewEvent, Place } from '../../audit/log-interface.ts';
import type { Clock } from '../../kernel/clock.ts';
import { formatReason } from '../../kernel/decision.ts';
import type { WritError } from '../../kernel/errors.ts';
import type { SessionInfo } from './client-link.ts';
import type { Run } from './expectations.ts';
import type { GovernedPart } from './governed.ts';

/** How a statement ended. */
export interface Outcome {
  /** From the command tag, where it tells. */
  readonly rows?: number;
  readonly sqlstate?: string;
  readonly message?: string;
}

/** Writes one session's pairs of events: everything of the session that each of them repeats is put together once. */
export class SessionRecord {
  statements = 0;
  readonly #log: AuditLog;
  readonly #clock: Clock;
  readonly #session: SessionInfo;
  readonly #common: {
    readonly principal: SessionInfo['principal'];
    readonly session: string;
    readonly credential: string;
    readonly client: SessionInfo['client'];
    readonly catalog: string;
  };

  constructor(log: AuditLog, clock: Clock, session: SessionInfo) {
    this.#log = log;
    this.#clock = clock;
    this.#session = session;
    this.#common = {
      principal: session.principal,
      session: session.id,
      credential: session.credential,
      client: session.client,
      catalog: session.catalog,
    };
  }

  /** Resolves once it is written. @throws record_not_writable */
  async begin(policyVersion: string, login?: string): Promise<void> {
    const place = this.#log.append({
      kind: 'session.begin',
      ...this.#common,
      policyVersion,
      decision: 'allow',
      ...(login === undefined ? {} : { login }),
    });
    await this.#log.written(place);
  }

  /** @throws record_not_writable */
  beginStatement(part: GovernedPart, policyVersion: string, refusal?: WritError): { run: Run; place: Place } {
    const statementId = randomUUID();
    // Every field by name: a spread in front costs more than the rest of this function.
    const { principal, session, credential, client, catalog } = this.#common;
    const event: NewEvent = {
      kind: 'statement.begin',
      principal,
      session,
      credential,
      client,
      catalog,
      statementId,
      statement: part.redacted,
      command: part.command,
      tables: part.tables,
      columns: part.columns,
      decision: refusal === undefined ? part.decision.effect : 'deny',
      reasons: reasonsOf(part),
      policyVersion,
    };
    const place = this.#log.append(
      refusal === undefined ? event : { ...event, sqlstate: refusal.sqlstate, message: refusal.message },
    );
    this.statements += 1;
    return { run: { statementId, part, startedAt: this.#clock.now(), rows: 0, bytes: 0 }, place };
  }

  endStatement(run: Run, outcome: Outcome): void {
    const { principal, session, credential, client, catalog } = this.#common;
    this.#tryAppend({
      kind: 'statement.end',
      principal,
      session,
      credential,
      client,
      catalog,
      statementId: run.statementId,
      durationMs: this.#clock.now() - run.startedAt,
      bytes: run.bytes,
      ...outcome,
    });
  }

  end(reason: WritError | undefined): void {
    this.#tryAppend({
      kind: 'session.end',
      ...this.#common,
      durationMs: this.#clock.now() - this.#session.startedAt,
      statements: this.statements,
      ...(reason === undefined ? {} : { sqlstate: reason.sqlstate, message: reason.message }),
    });
  }

  /** What has happened has happened: a missing end is a finding of its own, and the next begin is refused. */
  #tryAppend(event: NewEvent): void {
    try {
      this.#log.append(event);
    } catch {
      // The log itself reports that it cannot be written.
    }
  }
}

const formatted = new WeakMap<GovernedPart, readonly string[]>();

/** A part is recorded as often as its text is sent: its reasons are put into words once. */
function reasonsOf(part: GovernedPart): readonly string[] {
  const known = formatted.get(part);
  if (known !== undefined) return known;
  const reasons = part.decision.because.map(formatReason);
  formatted.set(part, reasons);
  return reasons;
}

/** `SELECT 5` → 5, `INSERT 0 3` → 3, `COPY 7` → 7; undefined where the tag has no count. */
export function rowsOfTag(tag: string): number | undefined {
  const count = /\s(\d+)$/.exec(tag)?.[1];
  return count === undefined ? undefined : Number(count);
}
