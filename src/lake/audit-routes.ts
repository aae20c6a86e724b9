import { z } from 'zod';
import type { AuditLog, NewEvent } from '../audit/log-interface.ts';
import { type Checkpoint, formatCheckpoint, parseCheckpoint, verifyAuditLog } from '../audit/verify.ts';
import { type Decision, formatDecision, formatReason } from '../kernel/decision.ts';
import { toWritError, WritError } from '../kernel/errors.ts';
import { type Caller, type Route, route } from '../kernel/route.ts';
import { metastore, type SecurableName } from '../kernel/securable-name.ts';
import type { Snapshot } from '../policy/model.ts';
import type { LakeEngine, LakeStatement, ResultColumn } from './engine.ts';

// `/api/v1/audit/*`: the record asked over HTTP, under the same rules as over the wire, and itself recorded.

export interface AuditRouteOptions {
  readonly engine: LakeEngine;
  readonly audit: AuditLog;
  readonly currentSnapshot: () => Snapshot;
  /** The catalog of kind SYSTEM. */
  readonly catalog: SecurableName;
  readonly uuid: () => string;
  readonly now: () => number;
}

const mostRows = 100_000;

export function auditRoutes(options: AuditRouteOptions): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/api/v1/audit/query',
      summary: 'Ask the audit log in SQL',
      input: z.object({ sql: z.string() }),
      output: z.unknown(),
      requires: { kind: 'signed-in' },
      run: (input, caller) => query(options, input.sql, caller),
    }),
    route({
      method: 'get',
      path: '/api/v1/audit/verify',
      summary: 'Check the chain of every record',
      input: z.object({ since: z.string().optional() }),
      output: z.unknown(),
      requires: { kind: 'privilege', privilege: 'MANAGE', on: () => metastore },
      run: async (input) =>
        verify(options.audit, input.since === undefined ? undefined : parseCheckpoint(input.since)),
    }),
  ];
}

async function query(options: AuditRouteOptions, text: string, caller: Caller): Promise<object> {
  // One snapshot decides, runs and stands in the record.
  const snapshot = options.currentSnapshot();
  const gate = snapshot.decide(caller.principal, 'USE CATALOG', options.catalog);
  if (gate.effect === 'deny' && !caller.operator) throw refused(snapshot, options.catalog, gate);
  const session = await options.engine.open(options.catalog, caller.principal, {
    asOperator: caller.operator,
  });
  const record = new QueryRecord(options, caller);
  try {
    const statement = await session.prepare(text, snapshot).catch((thrown: unknown) => {
      record.unread(text, toWritError(thrown));
      throw thrown;
    });
    await record.begin(statement, snapshot.id);
    if (statement.decision.effect === 'deny')
      throw refused(snapshot, options.catalog, statement.decision, statement.tables);
    const answer = await collect(session.run(statement, []), await session.describe(statement));
    record.end({ rows: answer.rows.length });
    return answer;
  } catch (thrown) {
    const error = toWritError(thrown);
    record.end({ sqlstate: error.sqlstate });
    throw error;
  } finally {
    await session.close();
  }
}

/** Begin and end of one query. Messages of the engine quote what was asked and stay out of it. */
class QueryRecord {
  readonly #audit: AuditLog;
  readonly #now: () => number;
  readonly #started: number;
  readonly #common;

  constructor({ audit, now, uuid, catalog }: AuditRouteOptions, caller: Caller) {
    this.#audit = audit;
    this.#now = now;
    this.#started = now();
    this.#common = {
      principal: caller.principal,
      credential: caller.credential,
      catalog,
      client: { address: caller.address, application: 'http' },
      statementId: uuid(),
    };
  }

  begin(statement: LakeStatement, policyVersion: string): Promise<void> {
    const place = this.#audit.append({ ...this.#common, ...beginOf(statement), policyVersion });
    return this.#audit.written(place);
  }

  unread(text: string, { sqlstate }: WritError): void {
    const statement = `<not understood, ${Buffer.byteLength(text)} bytes>`;
    this.#audit.append({
      ...this.#common,
      kind: 'statement.begin',
      command: 'UNKNOWN',
      statement,
      tables: [],
      columns: [],
      decision: 'deny',
      sqlstate,
    });
  }

  end(outcome: { readonly rows?: number; readonly sqlstate?: string }): void {
    const durationMs = this.#now() - this.#started;
    this.#audit.append({ ...this.#common, ...outcome, kind: 'statement.end', durationMs });
  }
}

function beginOf(
  statement: LakeStatement,
): Omit<Extract<NewEvent, { kind: 'statement.begin' }>, 'statementId'> {
  return {
    kind: 'statement.begin',
    command: statement.command,
    statement: statement.redacted,
    tables: statement.tables,
    columns: statement.columns,
    decision: statement.decision.effect,
    reasons: statement.decision.because.map(formatReason),
  };
}

type Batches = ReturnType<Awaited<ReturnType<LakeEngine['open']>>['run']>;

async function collect(
  batches: Batches,
  described: readonly ResultColumn[],
): Promise<{ columns: readonly string[]; rows: readonly (readonly JsonCell[])[] }> {
  const rows: (readonly JsonCell[])[] = [];
  for await (const batch of batches) {
    for (const row of batch.rows) rows.push(row.map((cell, i) => jsonCell(cell, described[i]?.typeOid)));
    if (rows.length > mostRows)
      throw new WritError('too_large', {
        message: `more than ${mostRows} rows`,
        hint: 'add a LIMIT, or connect to the catalog with a Postgres client',
      });
  }
  return { columns: described.map((column) => column.name), rows };
}

type JsonCell = string | number | null;

/** int8, int2, int4, oid, float4, float8, numeric. */
const numberTypes: ReadonlySet<number> = new Set([20, 21, 23, 26, 700, 701, 1700]);

/** A number as a JSON number, unless JSON's readers would round it. */
function jsonCell(cell: string | null, typeOid: number | undefined): JsonCell {
  if (cell === null || typeOid === undefined || !numberTypes.has(typeOid)) return cell;
  const number = Number(cell);
  const exact = Number.isInteger(number) ? Number.isSafeInteger(number) : Number.isFinite(number);
  return exact && (typeOid !== 1700 || String(number) === cell) ? number : cell;
}

function refused(
  snapshot: Snapshot,
  catalog: SecurableName,
  decision: Decision,
  tables: readonly string[] = [catalog],
): WritError {
  return new WritError('permission_denied', {
    message: `permission denied on ${tables.join(', ')}`,
    detail: formatDecision(decision),
    hint: `ask ${snapshot.owner(catalog) ?? 'whoever runs this gateway'}`,
  });
}

function verify(audit: AuditLog, since: Checkpoint | undefined): object {
  audit.flush();
  const verified = verifyAuditLog(audit.folder, since);
  return { ...verified, head: verified.tips.map(formatCheckpoint).join(' ') };
}
