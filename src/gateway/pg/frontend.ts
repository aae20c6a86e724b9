import type { Place } from '../../audit/log-interface.ts';
import { toWritError, WritError } from '../../kernel/errors.ts';
import { decode, decodeBindNames, type FrontendMessage } from './decode.ts';
import * as outgoing from './encode-frontend.ts';
import type { Expectation, Expectations, Run } from './expectations.ts';
import type { ReceivedFrame } from './framer.ts';
import type { GovernedPart, GovernedQuery, SessionEffect } from './governed.ts';
import { type Governing, policyChanged, refusedQuery } from './governing.ts';
import type { Names, PreparedEntry } from './names.ts';
import type { SessionRecord } from './record.ts';

// The client's half of a session, without sockets: each message becomes the bytes that go upstream, the record that must
// be written before they go, and the answer that is expected. A refused message is replaced by a text that cannot be
// parsed: the server fails it as it fails any statement, so that transactions, skipping to Sync and pipelines behave as
// Postgres does; the relay then puts our error in the place of the server's.

/** Cannot be parsed by any version. */
const refusedText = 'writ_refused!';
/** Never prepared: a Parse under this name stands where a Bind or Execute was refused. */
const refusedName = 'writ_refused';
/** Prepared statements and portals of one session. */
const maxNames = 10_000;

export type Handled = 'sent' | 'wait' | 'terminate';

/** What one turn sends: after `place` is written, if it names one. */
export interface Outgoing {
  readonly bytes: Buffer;
  readonly place: Place | undefined;
}

type Of<T extends FrontendMessage['type']> = Extract<FrontendMessage, { type: T }>;

export class Frontend {
  readonly #names: Names;
  readonly #expectations: Expectations;
  readonly #governing: Governing;
  readonly #record: SessionRecord;
  #out: Buffer[] = [];
  #place: Place | undefined;

  constructor(parts: {
    readonly names: Names;
    readonly expectations: Expectations;
    readonly governing: Governing;
    readonly record: SessionRecord;
  }) {
    this.#names = parts.names;
    this.#expectations = parts.expectations;
    this.#governing = parts.governing;
    this.#record = parts.record;
  }

  /**
   * 'wait': nothing was done; hand the same frame in again once the server has answered more.
   * @throws protocol_violation (the session ends), record_not_writable (likewise)
   */
  handle(frame: ReceivedFrame): Handled {
    switch (frame.type) {
      case 'Q':
        return this.#query(frame);
      case 'P':
        return this.#parse(frame);
      case 'B':
        return this.#bind(frame);
      case 'E':
        return this.#execute(frame);
      case 'D':
        return this.#describe(frame);
      case 'C':
        return this.#close(frame);
      case 'S':
        this.#expectations.add({ kind: 'sync', runs: [] });
        this.#names.nextBatch();
        return this.#send(frame.raw);
      case 'H':
      case 'd':
        return this.#send(frame.raw);
      case 'c':
      case 'f':
        this.#expectations.add({ kind: 'copy-end', runs: [] });
        return this.#send(frame.raw);
      case 'F':
        return this.#functionCall();
      case 'X':
        this.#send(outgoing.terminate());
        return 'terminate';
      default:
        throw new WritError('protocol_violation', {
          message: `invalid frontend message type ${frame.type.charCodeAt(0)}`,
        });
    }
  }

  /** Makes the server answer what it has been sent, for a client that waits for its own Sync. */
  flush(): void {
    this.#send(outgoing.flush());
  }

  /** Everything handled since the last call, or undefined when there is nothing. */
  take(): Outgoing | undefined {
    if (this.#out.length === 0) return undefined;
    const [only] = this.#out;
    const bytes = only !== undefined && this.#out.length === 1 ? only : Buffer.concat(this.#out);
    const place = this.#place;
    this.#out = [];
    this.#place = undefined;
    return { bytes, place };
  }

  #query(frame: ReceivedFrame): Handled {
    const message = decodeOr<Of<'query'>>(frame);
    const governed =
      message instanceof WritError ? refusedQuery(message) : this.#governing.govern(message.text);
    if (governed === 'wait') return 'wait';
    this.#names.nextBatch();
    const runs = governed.parts.map((part) => this.#begin(part, governed.refusal));
    if (governed.refusal === undefined) for (const run of runs) this.#announce(run);
    this.#expect({ kind: 'query', runs, governed }, governed.refusal);
    this.#names.nextBatch();
    if (governed.refusal !== undefined) return this.#send(outgoing.query(refusedText));
    const unchanged = !(message instanceof WritError) && governed.text === message.text;
    return this.#send(unchanged ? frame.raw : outgoing.query(governed.text));
  }

  #parse(frame: ReceivedFrame): Handled {
    const message = decodeOr<Of<'parse'>>(frame);
    if (message instanceof WritError) return this.#refuseParse('', refusedQuery(message), message);
    const governed = this.#governing.govern(message.text);
    if (governed === 'wait') return 'wait';
    const full = this.#names.size >= maxNames ? tooManyNames() : undefined;
    const refusal = governed.refusal ?? full;
    if (refusal !== undefined) return this.#refuseParse(message.name, governed, refusal);
    const entry: PreparedEntry = {
      text: message.text,
      snapshotId: this.#governing.asked ? undefined : this.#governing.snapshotId(),
      governed,
      part: governed.parts[0],
    };
    const change = this.#names.announce({ map: 'statement', name: message.name, entry });
    this.#expectations.add({ kind: 'parse', runs: [], governed, change });
    if (governed.text === message.text) return this.#send(frame.raw);
    const types = frame.payload.subarray(afterStrings(frame.payload, 2));
    return this.#send(outgoing.parse(message.name, governed.text, types));
  }

  #refuseParse(name: string, governed: GovernedQuery, refusal: WritError): Handled {
    const runs = governed.parts.map((part) => this.#begin(part, refusal));
    this.#expect({ kind: 'parse', runs, governed }, refusal);
    return this.#send(outgoing.parse(name, refusedText));
  }

  #bind(frame: ReceivedFrame): Handled {
    const { portal, statement } = decodeBindNames(frame.payload);
    const entry = this.#names.statement(statement);
    if (entry === 'wait') return 'wait';
    if (entry === undefined) return this.#refuseExtended(noSuchStatement(statement));
    if (this.#names.size >= maxNames) return this.#refuseExtended(tooManyNames());
    const change = this.#names.announce({ map: 'portal', name: portal, entry });
    this.#expectations.add({ kind: 'bind', runs: [], change });
    return this.#send(frame.raw);
  }

  #execute(frame: ReceivedFrame): Handled {
    const { portal } = decode(frame) as Of<'execute'>;
    const entry = this.#names.portal(portal);
    if (entry === 'wait') return 'wait';
    if (entry === undefined) return this.#refuseExtended(noSuchPortal(portal));
    const current = this.#current(entry);
    if (current === 'wait') return 'wait';
    if (current instanceof WritError) return this.#refuseExtended(current, entry.part);
    const runs = current === undefined ? [] : [this.#begin(current, undefined)];
    for (const run of runs) this.#announce(run);
    this.#expectations.add({ kind: 'execute', runs });
    return this.#send(frame.raw);
  }

  /** The part as the snapshot in force sees it; an error when it would be another statement by now. */
  #current(entry: PreparedEntry): GovernedPart | undefined | WritError | 'wait' {
    if (entry.snapshotId === this.#governing.snapshotId()) return entry.part;
    if (entry.governed === undefined) return policyChanged();
    const now = this.#governing.govern(entry.text);
    if (now === 'wait') return 'wait';
    if (now.refusal !== undefined) return now.refusal;
    return now.text === entry.governed.text ? now.parts[0] : policyChanged();
  }

  #describe(frame: ReceivedFrame): Handled {
    const { target } = decode(frame) as Of<'describe'>;
    this.#expectations.add({ kind: `describe-${target}`, runs: [] });
    return this.#send(frame.raw);
  }

  #close(frame: ReceivedFrame): Handled {
    const { target, name } = decode(frame) as Of<'close'>;
    const change = this.#names.announce({ map: target, name, entry: undefined });
    this.#expectations.add({ kind: 'close', runs: [], change });
    return this.#send(frame.raw);
  }

  /** It calls a function by OID without any text: set_config('role', …) among them. */
  #functionCall(): Handled {
    const refusal = new WritError('refused_on_purpose', {
      message: 'the FunctionCall message is refused by this gateway',
      hint: 'Call the function in a statement.',
    });
    const governed = refusedQuery(refusal, 'FUNCTION CALL');
    this.#names.nextBatch();
    const runs = governed.parts.map((part) => this.#begin(part, refusal));
    this.#expect({ kind: 'query', runs, governed }, refusal);
    this.#names.nextBatch();
    return this.#send(outgoing.query(refusedText));
  }

  #refuseExtended(refusal: WritError, part?: GovernedPart): Handled {
    const runs = part === undefined ? [] : [this.#begin(part, refusal)];
    this.#expect({ kind: 'parse', runs }, refusal);
    return this.#send(outgoing.parse(refusedName, refusedText));
  }

  #expect(expectation: Omit<Expectation, 'refusal'>, refusal: WritError | undefined): void {
    this.#expectations.add(refusal === undefined ? expectation : { ...expectation, refusal });
  }

  #begin(part: GovernedPart, refusal: WritError | undefined): Run {
    const { run, place } = this.#record.beginStatement(part, this.#governing.snapshotId(), refusal);
    this.#place = place;
    return run;
  }

  #announce(run: Run): void {
    if (run.part.effect === undefined) return;
    run.change = this.#names.announce(changeOf(run.part.effect, this.#governing.snapshotId()));
  }

  #send(bytes: Buffer): 'sent' {
    const last = this.#out.at(-1);
    // Messages that arrived side by side leave as one piece, without a copy.
    if (
      last !== undefined &&
      last.buffer === bytes.buffer &&
      last.byteOffset + last.length === bytes.byteOffset
    ) {
      this.#out[this.#out.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + bytes.length);
    } else {
      this.#out.push(bytes);
    }
    return 'sent';
  }
}

function changeOf(effect: SessionEffect, snapshotId: string): Parameters<Names['announce']>[0] {
  switch (effect.kind) {
    case 'prepare': {
      const part = effect.statement;
      return {
        map: 'statement',
        name: effect.name,
        entry: { text: '', snapshotId, governed: undefined, part },
      };
    }
    case 'declare':
      // A cursor is read by FETCH. Whatever portal had its name is gone, also where we have not yet heard so.
      return { map: 'portal', name: effect.name, entry: undefined };
    case 'deallocate':
      if (effect.name === undefined) return { map: 'statement', name: undefined };
      return { map: 'statement', name: effect.name, entry: undefined };
    default:
      return { map: 'statement', name: undefined };
  }
}

/** A text that cannot be read is refused like one that cannot be parsed; the session lives on. */
function decodeOr<T extends FrontendMessage>(frame: ReceivedFrame): T | WritError {
  try {
    return decode(frame) as T;
  } catch (thrown) {
    return toWritError(thrown);
  }
}

function afterStrings(payload: Buffer, count: number): number {
  let at = 0;
  for (let i = 0; i < count; i++) at = payload.indexOf(0, at) + 1;
  return at;
}

function noSuchStatement(name: string): WritError {
  return new WritError('no_such_prepared_statement', {
    message:
      name === ''
        ? 'unnamed prepared statement does not exist'
        : `prepared statement "${name}" does not exist`,
  });
}

function noSuchPortal(name: string): WritError {
  return new WritError('no_such_prepared_statement', {
    message: `portal "${name}" does not exist`,
    sqlstate: '34000',
  });
}

function tooManyNames(): WritError {
  return new WritError('too_large', {
    message: `too many prepared statements and portals (limit ${maxNames})`,
    hint: 'Close those that are no longer used.',
  });
}
