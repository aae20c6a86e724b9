import type { AuditLog, Place } from '../../audit/log-interface.ts';
import { type Clock, systemClock } from '../../kernel/clock.ts';
import type { Decision } from '../../kernel/decision.ts';
import { toWritError, WritError } from '../../kernel/errors.ts';
import type { LakeEngine, LakeSession, LakeStatement } from '../../lake/engine.ts';
import { significantTokens, splitStatements } from '../../lake/lex.ts';
import { redactLiterals } from '../../lake/redact.ts';
import { schemasOf } from '../../lake/resolve.ts';
import { type Where, whereOf } from '../../lake/unsupported.ts';
import type { Snapshot } from '../../policy/model.ts';
import { decodeParameter } from './binary-values.ts';
import type { ClientLink, Frame, SessionInfo } from './client-link.ts';
import { type BindMessage, decode, type FrontendMessage } from './decode.ts';
import * as encode from './encode.ts';
import type { GovernedPart } from './governed.ts';
import { type LocalStatement, localStatement } from './lake-local.ts';
import { LakePortal, type PortalHost, shifted } from './lake-portal.ts';
import { LakeSettings } from './lake-settings.ts';
import { SessionRecord } from './record.ts';
import { formatsOf, rowDescription } from './rows.ts';
import type { SessionState } from './sessions.ts';
import { denied, toError } from './statement/problem.ts';

// The server's side of a session on a LAKE or SYSTEM catalog: the simple and the extended protocol over the lake engine.

export interface LakeServing {
  readonly link: ClientLink;
  readonly session: SessionInfo;
  readonly engine: LakeEngine;
  readonly currentSnapshot: () => Snapshot;
  readonly audit: AuditLog;
  readonly clock?: Clock;
  /** The caller's, where it records the session's begin and end; else one of our own for the statements alone. */
  readonly record?: SessionRecord;
  /** The local operator on the system catalog. */
  readonly asOperator?: boolean;
  /** Told of every change, for `sessions ls`. */
  readonly onState?: (state: SessionState) => void;
}

/** One statement of a text, decided; `policyVersion`: by which snapshot. */
export type Planned = { readonly part: GovernedPart; readonly policyVersion: string } & (
  | { readonly kind: 'local'; readonly local: LocalStatement }
  | {
      readonly kind: 'rows';
      readonly statement: LakeStatement;
      readonly copy: Extract<LocalStatement, { kind: 'copy' }> | undefined;
      /** Characters of the client's text before the query; undefined: it is not written there as it is run. */
      readonly shift: number | undefined;
    }
);

interface Prepared {
  readonly text: string;
  /** undefined: an empty text. */
  readonly planned: Planned | undefined;
  readonly types: readonly number[];
}

const maxNames = 10_000;

/** Serves until the client leaves or the session is ended. Never throws for what a client does. */
export async function serveLake(options: LakeServing): Promise<void> {
  const { link, session, engine, asOperator = false } = options;
  const lake = await engine.open(session.catalog, session.principal, { asOperator });
  try {
    await new LakeServer(options, lake).serve();
  } catch (thrown) {
    link.fail(toWritError(thrown));
  } finally {
    await lake.close();
  }
}

class LakeServer {
  readonly #options: LakeServing;
  readonly #link: ClientLink;
  readonly #lake: LakeSession;
  readonly #record: SessionRecord;
  readonly #settings: LakeSettings;
  readonly #prepared = new Map<string, Prepared>();
  readonly #portals = new Map<string, LakePortal>();
  #status: encode.TransactionStatus = 'I';
  #skipping = false;

  constructor(options: LakeServing, lake: LakeSession) {
    this.#options = options;
    this.#link = options.link;
    this.#lake = lake;
    const { audit, session, clock = systemClock } = options;
    this.#record = options.record ?? new SessionRecord(audit, clock, session);
    const path = schemasOf(options.currentSnapshot().catalog, session.catalog).join(', ');
    const known = new Map([
      ['search_path', path],
      ['session_authorization', session.principal as string],
    ]);
    this.#settings = new LakeSettings(session.settings, known);
  }

  async serve(): Promise<void> {
    this.#link.onCancel(() => this.#lake.interrupt());
    try {
      // One frame at a time: a Terminate that is sent along with a statement is not to overtake it.
      for await (const frame of this.#link.frames()) {
        this.#options.onState?.('active');
        await this.#handle(frame);
        this.#options.onState?.(stateOf(this.#status));
      }
    } finally {
      await this.#closePortals();
    }
  }

  async #handle(frame: Frame): Promise<void> {
    if (this.#skipping && frame.type !== 'S') return;
    try {
      await this.#dispatch(decode(frame));
    } catch (thrown) {
      await this.#failed(frame, toWritError(thrown));
    }
  }

  /** After an error of the extended protocol everything up to Sync is passed over. */
  async #failed(frame: Frame, error: WritError): Promise<void> {
    const isKnown = 'QPBDECSHXdcfF'.includes(frame.type);
    if (!isKnown || error.code === 'record_not_writable' || error.code === 'session_ended') throw error;
    await this.#send(encode.errorResponse(error));
    if (this.#status === 'T') this.#status = 'E';
    if (frame.type === 'Q' || frame.type === 'F' || frame.type === 'S') await this.#ready();
    else this.#skipping = true;
  }

  async #dispatch(message: FrontendMessage): Promise<void> {
    switch (message.type) {
      case 'query':
        return this.#query(message.text);
      case 'parse':
        return this.#parse(message);
      case 'bind':
        return this.#bind(message);
      case 'describe':
        return this.#describe(message.target, message.name);
      case 'execute':
        return this.#execute(message.portal, message.maxRows);
      case 'close':
        return this.#close(message.target, message.name);
      case 'sync':
        this.#skipping = false;
        if (this.#status === 'I') await this.#closePortals();
        return this.#ready();
      case 'function-call':
        throw new WritError('refused_on_purpose', { message: 'function calls by OID are not supported' });
      default:
        // Flush: nothing is held back here. Copy messages outside of a COPY are ignored, as Postgres does.
        return;
    }
  }

  async #query(text: string): Promise<void> {
    await this.#drop(this.#portals, '');
    const pieces = splitStatements(text);
    if (pieces.length === 0) await this.#send(encode.emptyQueryResponse());
    const planned: Planned[] = [];
    for (const piece of pieces) {
      const before = [...text.slice(0, piece.start)].length;
      try {
        planned.push(moved(await this.#plan(piece.text, [], pieces.length === 1), before));
      } catch (thrown) {
        throw shifted(toWritError(thrown), { shift: before });
      }
    }
    for (const one of planned) {
      const portal = this.#portal(one, [], []);
      try {
        await portal.execute(0, true);
      } finally {
        await portal.close();
      }
    }
    await this.#ready();
  }

  async #parse({
    name,
    text,
    parameterTypes,
  }: {
    name: string;
    text: string;
    parameterTypes: readonly number[];
  }): Promise<void> {
    if (name !== '' && this.#prepared.has(name)) {
      throw new WritError('duplicate_prepared_statement', {
        message: `prepared statement "${name}" already exists`,
      });
    }
    if (this.#prepared.size >= maxNames)
      throw new WritError('too_large', { message: 'too many prepared statements' });
    const [piece, ...others] = splitStatements(text);
    if (others.length > 0) {
      throw new WritError('syntax_error', {
        message: 'cannot insert multiple commands into a prepared statement',
      });
    }
    const planned = piece === undefined ? undefined : await this.#plan(piece.text, parameterTypes);
    this.#prepared.set(name, { text: piece?.text ?? '', planned, types: parameterTypes });
    await this.#send(encode.parseComplete());
  }

  async #bind(message: BindMessage): Promise<void> {
    const prepared = this.#preparedOf(message.statement);
    if (message.portal !== '' && this.#portals.has(message.portal)) {
      throw new WritError('conflict', {
        message: `cursor "${message.portal}" already exists`,
        sqlstate: '42P03',
      });
    }
    if (this.#portals.size >= maxNames) throw new WritError('too_large', { message: 'too many portals' });
    await this.#drop(this.#portals, message.portal);
    const parameters = parametersOf(message, parameterTypesOf(prepared.planned));
    // Decided again: the policy may have changed since Parse.
    const planned =
      prepared.planned === undefined ? undefined : await this.#plan(prepared.text, prepared.types);
    const portal = this.#portal(planned, parameters, message.resultFormats);
    this.#portals.set(message.portal, portal);
    await this.#send(encode.bindComplete());
  }

  async #describe(target: 'statement' | 'portal', name: string): Promise<void> {
    if (target === 'portal') {
      const portal = this.#portalOf(name);
      return this.#send((await portal.description()) ?? encode.noData());
    }
    const { planned } = this.#preparedOf(name);
    await this.#send(encode.parameterDescription(parameterTypesOf(planned)));
    const portal = this.#portal(planned, [], []);
    await this.#send((await portal.description()) ?? encode.noData());
  }

  async #execute(name: string, maxRows: number): Promise<void> {
    await this.#portalOf(name).execute(maxRows, false);
  }

  async #close(target: 'statement' | 'portal', name: string): Promise<void> {
    if (target === 'statement') this.#prepared.delete(name);
    else await this.#drop(this.#portals, name);
    await this.#send(encode.closeComplete());
  }

  /** Parses and decides one statement; refusals are recorded here. @throws what the client is told */
  async #plan(text: string, types: readonly number[], alone = true): Promise<Planned> {
    const snapshot = this.#options.currentSnapshot();
    let shift: number | undefined = 0;
    try {
      const local = localStatement(text, this.#where(snapshot));
      if (local?.kind === 'copy') shift = local.shift;
      // Of several statements an earlier one may end the aborted transaction: they are checked as they run.
      if (alone) this.#checkAborted(local);
      if (local !== undefined && local.kind !== 'copy') {
        return { kind: 'local', local, part: partOf(text, local.tag, allowed), policyVersion: snapshot.id };
      }
      const statement = await this.#lake.prepare(local?.query ?? text, snapshot, types);
      const part =
        local === undefined ? statement : { ...statement, command: 'COPY', redacted: redactLiterals(text) };
      if (statement.decision.effect === 'deny') {
        const error = this.#denial(statement, snapshot);
        await this.#recordRefusal(part, snapshot, error);
        throw new Recorded(error);
      }
      return { kind: 'rows', statement, part, policyVersion: snapshot.id, copy: local, shift };
    } catch (thrown) {
      if (thrown instanceof Recorded) throw thrown.error;
      const error = shifted(toWritError(thrown), { shift });
      await this.#recordRefusal(refusedPart(text, error), snapshot, error);
      throw error;
    }
  }

  #where({ catalog }: Snapshot): Where {
    const name = this.#options.session.catalog;
    return whereOf({ name, kind: catalog.catalogs.get(name)?.kind ?? 'LAKE' });
  }

  #denial(statement: LakeStatement, snapshot: Snapshot): WritError {
    const failed = statement.decision.because.find((reason) => reason.kind === 'gate-failed');
    const table =
      statement.tables.find((one) => failed === undefined || one.startsWith(failed.on)) ??
      statement.tables[0];
    if (table === undefined) return new WritError('permission_denied');
    return toError(denied(snapshot, statement.decision, 'table', table, undefined), '');
  }

  async #recordRefusal(part: GovernedPart, snapshot: Snapshot, error: WritError): Promise<void> {
    const { run, place } = this.#record.beginStatement(part, snapshot.id, error);
    this.#record.endStatement(run, { rows: 0, sqlstate: error.sqlstate, message: error.message });
    await this.#written(place);
  }

  #checkAborted(local: LocalStatement | undefined): void {
    const ends = local !== undefined && ['commit', 'rollback', 'rollback-to'].includes(local.kind);
    if (this.#status === 'E' && !ends) throw new WritError('transaction_aborted');
  }

  #portal(
    planned: Planned | undefined,
    parameters: readonly (string | null)[],
    formats: readonly number[],
  ): LakePortal {
    return new LakePortal(this.#host, planned, parameters, formats);
  }

  readonly #host: PortalHost = {
    send: (bytes) => this.#send(bytes),
    check: (planned) => this.#checkAborted(planned.kind === 'local' ? planned.local : undefined),
    begin: async ({ part, policyVersion }) => {
      const { run, place } = this.#record.beginStatement(part, policyVersion);
      await this.#written(place);
      return run;
    },
    end: (run, outcome) => this.#record.endStatement(run, outcome),
    columns: (statement) => this.#lake.describe(statement),
    rows: (statement, parameters) => this.#lake.run(statement, parameters),
    interruptAfter: () => this.#statementTimer(),
    describeLocal: (local) =>
      local.kind === 'show' ? rowDescription([{ name: local.name, typeOid: 25, typeSize: -1 }]) : undefined,
    formats: formatsOf,
    local: (local) => this.#runLocal(local),
  };

  #statementTimer(): { stop(): void; fired(): boolean } {
    const timeout = this.#settings.statementTimeout();
    let fired = false;
    if (timeout === undefined) return { stop: () => undefined, fired: () => false };
    const timer = setTimeout(() => {
      fired = true;
      this.#lake.interrupt();
    }, timeout);
    return { stop: () => clearTimeout(timer), fired: () => fired };
  }

  /** @returns the tag, and for SHOW the value */
  async #runLocal(local: LocalStatement): Promise<{ tag: string; value?: string }> {
    switch (local.kind) {
      case 'begin':
        this.#status = 'T';
        return local;
      case 'commit':
      case 'rollback': {
        const tag = this.#status === 'E' ? 'ROLLBACK' : local.tag;
        this.#status = 'I';
        return { tag };
      }
      case 'rollback-to':
        this.#needTransaction('ROLLBACK TO SAVEPOINT');
        this.#status = 'T';
        return local;
      case 'savepoint':
      case 'release':
        this.#needTransaction(local.tag);
        return local;
      case 'set': {
        const report = this.#settings.set(local.name, local.value);
        if (report !== undefined) await this.#send(encode.parameterStatus(...report));
        return { tag: local.tag };
      }
      case 'reset-all':
        this.#settings.resetAll();
        return local;
      case 'show':
        return { tag: local.tag, value: this.#settings.show(local.name) };
      case 'deallocate':
        this.#deallocate(local.name);
        return local;
      case 'discard-all':
        this.#settings.resetAll();
        this.#prepared.clear();
        return local;
      default:
        return local;
    }
  }

  #needTransaction(what: string): void {
    if (this.#status !== 'I') return;
    throw new WritError('conflict', {
      message: `${what} can only be used in transaction blocks`,
      sqlstate: '25P01',
    });
  }

  #deallocate(name: string | undefined): void {
    if (name === undefined) this.#prepared.clear();
    else if (!this.#prepared.delete(name)) throw noSuchStatement(name);
  }

  #preparedOf(name: string): Prepared {
    const prepared = this.#prepared.get(name);
    if (prepared === undefined) throw noSuchStatement(name);
    return prepared;
  }

  #portalOf(name: string): LakePortal {
    const portal = this.#portals.get(name);
    if (portal === undefined) {
      throw new WritError('not_found', { message: `portal "${name}" does not exist`, sqlstate: '34000' });
    }
    return portal;
  }

  async #drop(portals: Map<string, LakePortal>, name: string): Promise<void> {
    const portal = portals.get(name);
    portals.delete(name);
    await portal?.close();
  }

  async #closePortals(): Promise<void> {
    for (const name of [...this.#portals.keys()]) await this.#drop(this.#portals, name);
  }

  async #ready(): Promise<void> {
    await this.#send(encode.readyForQuery(this.#status));
  }

  async #send(bytes: Buffer): Promise<void> {
    if (!this.#link.send(bytes)) await this.#link.drained();
  }

  async #written(place: Place): Promise<void> {
    const { audit } = this.#options;
    if (!audit.isWritten(place)) await audit.written(place);
  }
}

/** An error whose refusal is in the record already. */
class Recorded {
  readonly error: WritError;

  constructor(error: WritError) {
    this.error = error;
  }
}

const allowed: Decision = { effect: 'allow', because: [] };

function partOf(text: string, command: string, decision: Decision): GovernedPart {
  return { command, decision, tables: [], columns: [], redacted: redactLiterals(text) };
}

function refusedPart(text: string, error: WritError): GovernedPart {
  const command = significantTokens(text)[0]?.text.toUpperCase().slice(0, 30) ?? '';
  const rule = error.message;
  return partOf(text, command, { effect: 'deny', because: [{ kind: 'refused', rule }] });
}

function noSuchStatement(name: string): WritError {
  return new WritError('no_such_prepared_statement', {
    message: `prepared statement "${name}" does not exist`,
  });
}

function parameterTypesOf(planned: Planned | undefined): readonly number[] {
  return planned?.kind === 'rows' ? planned.statement.parameterTypes : [];
}

/** @throws protocol_violation, bad_encoding, query_failed */
function parametersOf(message: BindMessage, types: readonly number[]): readonly (string | null)[] {
  if (message.parameters.length !== types.length) {
    throw new WritError('protocol_violation', {
      message: `bind message supplies ${message.parameters.length} parameters, but prepared statement "${message.statement}" requires ${types.length}`,
    });
  }
  const formats = formatsOf(message.parameterFormats, types.length);
  return message.parameters.map((value, i) =>
    value === null ? null : decodeParameter(value, formats[i] ?? 0, types[i] ?? 25),
  );
}

/** A later statement of a text: places in it count from the text's beginning. */
function moved(planned: Planned, by: number): Planned {
  if (planned.kind === 'local' || planned.shift === undefined) return planned;
  return { ...planned, shift: planned.shift + by };
}

function stateOf(status: encode.TransactionStatus): SessionState {
  if (status === 'I') return 'idle';
  return status === 'T' ? 'idle in transaction' : 'idle in transaction (aborted)';
}
