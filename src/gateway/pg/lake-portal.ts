import { toWritError, WritError } from '../../kernel/errors.ts';
import type { LakeBatch, LakeStatement, ResultColumn } from '../../lake/engine.ts';
import { withPosition } from '../../lake/place-error.ts';
import { copyHeader, copyLine } from './copy-out.ts';
import * as encode from './encode.ts';
import type { Run } from './expectations.ts';
import type { LocalStatement } from './lake-local.ts';
import type { Planned } from './lake-session.ts';
import type { Outcome } from './record.ts';
import { dataRows, type Format, rowDescription, textRow } from './rows.ts';

/** What a portal needs of its session. */
export interface PortalHost {
  send(bytes: Buffer): Promise<void>;
  /** @throws transaction_aborted */
  check(planned: Planned): void;
  /** Resolves once the begin event is written: no row before. */
  begin(planned: Planned): Promise<Run>;
  end(run: Run, outcome: Outcome): void;
  columns(statement: LakeStatement): Promise<readonly ResultColumn[]>;
  rows(statement: LakeStatement, parameters: readonly (string | null)[]): AsyncIterable<LakeBatch>;
  interruptAfter(): { stop(): void; fired(): boolean };
  formats(given: readonly number[], columns: number): readonly Format[];
  describeLocal(local: LocalStatement): Buffer | undefined;
  local(local: LocalStatement): Promise<{ tag: string; value?: string }>;
}

type RowsPlan = Extract<Planned, { kind: 'rows' }>;

/** One statement with its parameters, run once, in as many steps as the client likes. */
export class LakePortal {
  readonly #host: PortalHost;
  readonly #planned: Planned | undefined;
  readonly #parameters: readonly (string | null)[];
  readonly #formats: readonly number[];
  #batches: AsyncIterator<LakeBatch> | undefined;
  #rest: LakeBatch | undefined;
  #restUsed = 0;
  #run: Run | undefined;
  #done = false;

  constructor(
    host: PortalHost,
    planned: Planned | undefined,
    parameters: readonly (string | null)[],
    formats: readonly number[],
  ) {
    this.#host = host;
    this.#planned = planned;
    this.#parameters = parameters;
    this.#formats = formats;
  }

  /** RowDescription; undefined: no rows will come. */
  async description(): Promise<Buffer | undefined> {
    const planned = this.#planned;
    if (planned === undefined) return undefined;
    if (planned.kind === 'local') return this.#host.describeLocal(planned.local);
    if (planned.copy !== undefined) return undefined;
    const columns = await this.#host.columns(planned.statement).catch((thrown) => {
      throw shifted(toWritError(thrown), planned);
    });
    return rowDescription(columns, this.#host.formats(this.#formats, columns.length));
  }

  /** Up to `maxRows` rows (0: all), then CommandComplete or PortalSuspended. `describe`: RowDescription first. */
  async execute(maxRows: number, describe: boolean): Promise<void> {
    const planned = this.#planned;
    if (planned === undefined) return this.#host.send(encode.emptyQueryResponse());
    if (this.#done)
      return this.#host.send(
        encode.commandComplete(planned.kind === 'local' ? planned.local.tag : 'SELECT 0'),
      );
    this.#host.check(planned);
    this.#run ??= await this.#host.begin(planned);
    const run = this.#run;
    const timer = this.#host.interruptAfter();
    try {
      if (planned.kind === 'local') await this.#executeLocal(planned.local, describe);
      else if (planned.copy !== undefined) await this.#copy(planned, planned.copy, run);
      else await this.#rows(planned, run, maxRows, describe);
    } catch (thrown) {
      const error = timer.fired() ? timedOut() : shifted(toWritError(thrown), planned);
      this.#finish({ rows: run.rows, sqlstate: error.sqlstate, message: error.message });
      throw error;
    } finally {
      timer.stop();
    }
  }

  /** Ends what still runs; its end is recorded. */
  async close(): Promise<void> {
    if (this.#run === undefined || this.#done) return;
    this.#finish({ rows: this.#run.rows });
    await this.#batches?.return?.();
  }

  #finish(outcome: Outcome): void {
    if (this.#done || this.#run === undefined) return;
    this.#done = true;
    this.#host.end(this.#run, outcome);
  }

  async #executeLocal(local: LocalStatement, describe: boolean): Promise<void> {
    const { tag, value } = await this.#host.local(local);
    const description = this.#host.describeLocal(local);
    if (describe && description !== undefined) await this.#host.send(description);
    if (value !== undefined) await this.#host.send(textRow([value]));
    this.#finish({ rows: value === undefined ? 0 : 1 });
    await this.#host.send(encode.commandComplete(tag));
  }

  async #rows(planned: RowsPlan, run: Run, maxRows: number, describe: boolean): Promise<void> {
    this.#batches ??= this.#host.rows(planned.statement, this.#parameters)[Symbol.asyncIterator]();
    const limit = maxRows > 0 ? maxRows : Number.POSITIVE_INFINITY;
    let sent = 0;
    let mustDescribe = describe;
    for (;;) {
      const batch = this.#rest ?? (await this.#next());
      if (batch === undefined) break;
      const formats = this.#host.formats(this.#formats, batch.columns.length);
      if (mustDescribe) await this.#host.send(rowDescription(batch.columns, formats));
      mustDescribe = false;
      const bodies = batch.bytes.subarray(this.#restUsed);
      const { messages, used, rows } = dataRows(bodies, batch.columns, formats, limit - sent);
      this.#rest = used < bodies.length ? batch : undefined;
      this.#restUsed = this.#rest === undefined ? 0 : this.#restUsed + used;
      sent += rows;
      run.rows += rows;
      run.bytes += messages.length;
      if (messages.length > 0) await this.#host.send(messages);
      if (sent >= limit) return this.#host.send(encode.portalSuspended());
    }
    this.#finish({ rows: run.rows });
    await this.#host.send(encode.commandComplete(`SELECT ${sent}`));
  }

  async #next(): Promise<LakeBatch | undefined> {
    const next = await this.#batches?.next();
    return next === undefined || next.done === true ? undefined : next.value;
  }

  async #copy(planned: RowsPlan, copy: Extract<LocalStatement, { kind: 'copy' }>, run: Run): Promise<void> {
    let started = false;
    for await (const batch of this.#host.rows(planned.statement, this.#parameters)) {
      if (!started) await this.#host.send(encode.copyOutResponse(0, batch.columns.length));
      const lines = batch.rows.map((row) => copyLine(row, copy.format));
      if (!started && copy.format.header) {
        const names = batch.columns.map((column) => column.name);
        lines.unshift(copyHeader(names, copy.format));
      }
      started = true;
      if (lines.length === 0) continue;
      // One message per row, as Postgres sends them: drivers take a message for a row.
      const messages = Buffer.concat(lines.map((line) => encode.copyData(Buffer.from(line, 'utf8'))));
      run.rows += batch.count;
      run.bytes += messages.length;
      await this.#host.send(messages);
    }
    this.#finish({ rows: run.rows });
    await this.#host.send(Buffer.concat([encode.copyDone(), encode.commandComplete(`COPY ${run.rows}`)]));
  }
}

/** Positions count from the beginning of what the client sent, not of the query within it. */
export function shifted(error: WritError, planned: Pick<RowsPlan, 'shift'> | Planned): WritError {
  const shift = 'shift' in planned ? planned.shift : 0;
  if (error.position === undefined || shift === 0) return error;
  return withPosition(error, shift === undefined ? undefined : error.position + shift);
}

function timedOut(): WritError {
  return new WritError('cancelled', { message: 'canceling statement due to statement timeout' });
}
