import { lastPart, type SecurableName } from '../kernel/securable-name.ts';
import { trustedSql, wideIdentifier } from '../kernel/sql.ts';
import { databaseName } from './govern.ts';
import { lex } from './lex.ts';
import { refuse } from './tree.ts';
import type { Uses } from './walk.ts';

// The text that DuckDB runs is the person's own: tables are governed views of the same names. Two things change:
// a catalog whose name DuckDB reserves gets its inner name, and parameters may get a type. Pure.

interface Edit {
  /** UTF-16 offset. */
  readonly start: number;
  readonly length: number;
  readonly text: string;
}

/** Replaces `system.` by the inner name wherever a table or a column is written with it. @throws refused_on_purpose */
export function rewriteCatalog(text: string, uses: Uses, catalog: SecurableName): string {
  const outer = lastPart(catalog);
  const inner = databaseName(catalog);
  if (outer === inner) return text;
  const isOuter = (name: string | undefined) => name?.toLowerCase() === outer.toLowerCase();
  const tables = uses.tables.filter((use) => isOuter(use.catalog)).map((use) => use.location);
  const columns = uses.columns
    .filter((use) => use.parts.length >= 4 && isOuter(use.parts[0]))
    .map((use) => use.location);
  const starts = new Map(lex(text).map((token) => [token.start, token]));
  const edits = [...tables, ...columns].map((location): Edit => {
    const start = characterOffset(text, location);
    const token = starts.get(start);
    const isName = token?.kind === 'word' || token?.kind === 'quoted';
    if (token === undefined || !isName || !isOuter(unquote(token.text))) refuse(`this spelling of ${outer}`);
    return { start, length: token.text.length, text: wideIdentifier(inner).text };
  });
  return applyEdits(text, edits);
}

/** Gives parameters a type: `$1` → `($1::BIGINT)`; keys are parameter numbers. */
export function typeParameters(text: string, types: ReadonlyMap<number, string>): string {
  const edits: Edit[] = [];
  for (const token of lex(text)) {
    if (token.kind !== 'parameter') continue;
    const type = types.get(Number(token.text.slice(1)));
    if (type !== undefined) {
      edits.push({ start: token.start, length: token.text.length, text: `(${token.text}::${type})` });
    }
  }
  return trustedSql(applyEdits(text, edits), 'parser').text;
}

/**
 * Parameters that stand for lists: `$1::bigint[]` says of what, `= any($1)` does not ('' then).
 * DuckDB cannot tell, and would read Postgres' `{…}` as text.
 */
export function listParameters(text: string): ReadonlyMap<number, string> {
  const tokens = lex(text).filter((token) => token.kind !== 'space' && token.kind !== 'comment');
  const word = (i: number) => tokens[i]?.text.toLowerCase() ?? '';
  const found = new Map<number, string>();
  for (const [i, token] of tokens.entries()) {
    if (token.kind !== 'parameter') continue;
    const number = Number(token.text.slice(1));
    const isCast = word(i + 1) === ':' && word(i + 2) === ':' && tokens[i + 3]?.kind === 'word';
    if (isCast && word(i + 4) === '[' && word(i + 5) === ']') found.set(number, `${word(i + 3)}[]`);
    else if (word(i - 1) === '(' && ['any', 'all', 'some'].includes(word(i - 2)) && word(i + 1) === ')') {
      found.set(number, found.get(number) ?? '');
    }
  }
  return found;
}

/** Numbers of the parameters that are written in the text. */
export function writtenParameters(text: string): ReadonlySet<number> {
  const found = lex(text).filter((token) => token.kind === 'parameter');
  return new Set(found.map((token) => Number(token.text.slice(1))));
}

function applyEdits(text: string, edits: readonly Edit[]): string {
  let out = '';
  let at = 0;
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    if (edit.start < at) continue;
    out += text.slice(at, edit.start) + edit.text;
    at = edit.start + edit.length;
  }
  return out + text.slice(at);
}

function characterOffset(text: string, byteOffset: number): number {
  if (byteOffset < 0) return -1;
  return Buffer.from(text, 'utf8').subarray(0, byteOffset).toString('utf8').length;
}

function unquote(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
}
