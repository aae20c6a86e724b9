import { toWritError, WritError } from '../../kernel/errors.ts';
import type { Snapshot } from '../../policy/model.ts';
import type { SessionInfo } from './client-link.ts';
import type { GovernedPart, GovernedQuery, StatementContext } from './governed.ts';
import type { GovernedCache } from './governed-cache.ts';
import type { Names } from './names.ts';

/** The pure rewriter (statement.ts): never throws for a refusal, the result says it. */
export type Govern = (text: string, context: StatementContext) => GovernedQuery;

/** Governs one session's texts against the snapshot in force at that moment, through the cache. */
export class Governing {
  readonly #govern: Govern;
  readonly #cache: GovernedCache;
  readonly #currentSnapshot: () => Snapshot;
  readonly #session: SessionInfo;
  readonly #searchPath: readonly string[];
  readonly #names: Names;
  #context: StatementContext;
  #keyPrefix: string;
  #asked = false;
  #mustWait = false;

  constructor(parts: {
    readonly govern: Govern;
    readonly cache: GovernedCache;
    readonly currentSnapshot: () => Snapshot;
    readonly session: SessionInfo;
    readonly searchPath: readonly string[];
    readonly names: Names;
  }) {
    this.#govern = parts.govern;
    this.#cache = parts.cache;
    this.#currentSnapshot = parts.currentSnapshot;
    this.#session = parts.session;
    this.#searchPath = parts.searchPath;
    this.#names = parts.names;
    this.#context = this.#contextFor(parts.currentSnapshot());
    this.#keyPrefix = this.#prefixFor(this.#context);
  }

  /** Id of the snapshot in force. */
  snapshotId(): string {
    return this.#refresh().snapshot.id;
  }

  /** Whether the text that was governed last runs a prepared statement by name: its answer holds for this moment only. */
  get asked(): boolean {
    return this.#asked;
  }

  /** 'wait': the text names a prepared statement that is about to change; ask again once it has. */
  govern(text: string): GovernedQuery | 'wait' {
    const context = this.#refresh();
    this.#asked = false;
    this.#mustWait = false;
    const key = this.#keyPrefix + text;
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const governed = this.#run(text, context);
    if (this.#mustWait) return 'wait';
    // What depends on this session's own names is no one else's answer.
    if (!this.#asked) this.#cache.set(key, governed);
    return governed;
  }

  #run(text: string, context: StatementContext): GovernedQuery {
    try {
      return this.#govern(text, context);
    } catch (thrown) {
      return refusedQuery(toWritError(thrown));
    }
  }

  #refresh(): StatementContext {
    const snapshot = this.#currentSnapshot();
    if (snapshot !== this.#context.snapshot) {
      this.#context = this.#contextFor(snapshot);
      this.#keyPrefix = this.#prefixFor(this.#context);
    }
    return this.#context;
  }

  #contextFor(snapshot: Snapshot): StatementContext {
    const { principal, catalog } = this.#session;
    const prepared = (name: string): GovernedPart | undefined => {
      this.#asked = true;
      const found = this.#names.statement(name);
      if (found !== 'wait') return found?.part;
      this.#mustWait = true;
      return undefined;
    };
    return { snapshot, principal, catalog, searchPath: this.#searchPath, prepared };
  }

  #prefixFor({ snapshot, principal, catalog, searchPath }: StatementContext): string {
    return `${JSON.stringify([snapshot.id, principal, catalog, searchPath])}\0`;
  }
}

/** A text that never reached the parser, or that it could not read: one denied part for the record. */
export function refusedQuery(refusal: WritError, command = ''): GovernedQuery {
  const part: GovernedPart = {
    command,
    decision: { effect: 'deny', because: [{ kind: 'refused', rule: refusal.message }] },
    tables: [],
    columns: [],
    redacted: '<not understood>',
  };
  return { parts: [part], text: '', refusal, mapPosition: () => undefined };
}

/** What an older snapshot made of a text no longer holds. */
export function policyChanged(): WritError {
  return new WritError('refused_on_purpose', {
    message: 'the policy has changed since this statement was prepared',
    hint: 'Prepare the statement again.',
  });
}
