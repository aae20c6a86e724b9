import type { Target } from '../../fleet/reach.ts';
import type { Decision } from '../../kernel/decision.ts';
import type { WritError } from '../../kernel/errors.ts';
import type { PrincipalName } from '../../kernel/principal.ts';
import type { Privilege } from '../../kernel/privilege.ts';
import type { SecurableName } from '../../kernel/securable-name.ts';
import type { Snapshot } from '../../policy/model.ts';

// What became of one text that a client sent: the value between the pure statement rewriter and the session.

/** What a statement does to the session's own state; the session keeps its maps by it. */
export type SessionEffect =
  | { readonly kind: 'prepare'; readonly name: string; readonly statement: GovernedPart }
  | { readonly kind: 'declare'; readonly name: string }
  | { readonly kind: 'deallocate'; readonly name: string | undefined }
  | { readonly kind: 'discard-all' };

/** One use of one relation: what was decided, and where it went. Decided again at EXECUTE. */
export interface Need {
  readonly table: SecurableName;
  readonly privilege: Privilege;
  /** `write`: UPDATE, DELETE, MERGE. */
  readonly use: 'read' | 'insert' | 'write';
  readonly target: Exclude<Target, undefined>;
}

/** One statement of the text. */
export interface GovernedPart {
  /** `SELECT`, `INSERT`, `COPY`, `BEGIN`, …: for the record. */
  readonly command: string;
  readonly decision: Decision;
  readonly tables: readonly SecurableName[];
  /** Columns that are read or written, as securable names; `t.*` expands. */
  readonly columns: readonly SecurableName[];
  /** The statement's text for the record, literals replaced by `?`. */
  readonly redacted: string;
  readonly effect?: SessionEffect;
  /** Uses of relations, as decided. */
  readonly needs?: readonly Need[];
}

export interface GovernedQuery {
  /** In order; empty for an empty text. */
  readonly parts: readonly GovernedPart[];
  /** What is sent upstream, every governed name written out. Not to be sent when `refusal` is set. */
  readonly text: string;
  /** Some part is denied or cannot be understood: all or nothing. */
  readonly refusal: WritError | undefined;
  /** 1-based character position in `text` → in what the client sent; undefined where there is no counterpart. */
  mapPosition(sent: number): number | undefined;
}

export interface StatementContext {
  readonly snapshot: Snapshot;
  readonly principal: PrincipalName;
  readonly catalog: SecurableName;
  /** Schemas that unqualified names are looked up in, in order (application schema names, e.g. ['public']). */
  readonly searchPath: readonly string[];
  /** SQL-level PREPAREd statements of this session. */
  prepared(name: string): GovernedPart | undefined;
}
