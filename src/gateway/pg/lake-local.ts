import { WritError } from '../../kernel/errors.ts';
import { significantTokens, type Token } from '../../lake/lex.ts';
import { listsTables, Unsupported, type Where } from '../../lake/unsupported.ts';
import type { CopyFormat } from './copy-out.ts';

// Statements that the lake's session answers itself: transactions (the lake is read-only, so they change nothing but the
// status), settings, and COPY … TO STDOUT around a query. Pure.

export type LocalStatement =
  | { readonly kind: 'begin' | 'commit' | 'rollback'; readonly tag: string }
  | { readonly kind: 'savepoint' | 'release' | 'rollback-to'; readonly tag: string }
  | {
      readonly kind: 'set';
      readonly name: string;
      readonly value: string | undefined;
      readonly tag: 'SET' | 'RESET';
    }
  | { readonly kind: 'reset-all'; readonly tag: 'RESET' }
  | { readonly kind: 'show'; readonly name: string; readonly tag: 'SHOW' }
  | { readonly kind: 'deallocate'; readonly name: string | undefined; readonly tag: string }
  | { readonly kind: 'discard-all'; readonly tag: 'DISCARD ALL' }
  | { readonly kind: 'nothing'; readonly tag: string }
  | {
      readonly kind: 'copy';
      readonly query: string;
      /** Characters before the query in the statement; undefined: the query is made of a table's name. */
      readonly shift: number | undefined;
      readonly format: CopyFormat;
      readonly tag: 'COPY';
    };

/** undefined: not ours, the engine decides. @throws syntax_error, refused_on_purpose */
export function localStatement(text: string, where: Where): LocalStatement | undefined {
  try {
    return read(text, where);
  } catch (thrown) {
    throw thrown instanceof Unsupported ? thrown.on(where) : thrown;
  }
}

function read(text: string, where: Where): LocalStatement | undefined {
  const words = new Words(text);
  const first = words.next();
  if (first === 'show') return readShow(words, where);
  const reader = readers[first];
  if (reader !== undefined) return reader(words);
  const refusal = refusals.get(first);
  if (refusal === undefined) return undefined;
  throw new Unsupported(first.toUpperCase(), refusal);
}

const readOnly = 'lake and system catalogs are read-only';
const refusals: ReadonlyMap<string, string> = new Map([
  ...[
    'insert',
    'update',
    'delete',
    'merge',
    'truncate',
    'create',
    'alter',
    'drop',
    'grant',
    'revoke',
    'comment',
  ].map((word): [string, string] => [word, readOnly]),
  ...[
    'attach',
    'detach',
    'install',
    'load',
    'call',
    'pragma',
    'use',
    'export',
    'import',
    'checkpoint',
    'vacuum',
  ].map((word): [string, string] => [word, 'tables are reached through the catalog only']),
  ['explain', 'plans would tell of rows that are not shown'],
  ['prepare', 'use the extended protocol, as drivers do'],
  ['execute', 'use the extended protocol, as drivers do'],
  ['declare', 'results are streamed; use the driver’s row limit instead of a cursor'],
  ['fetch', 'results are streamed; use the driver’s row limit instead of a cursor'],
  ['listen', 'lake and system catalogs send no notifications'],
  ['notify', 'lake and system catalogs send no notifications'],
  ['do', readOnly],
  ['lock', readOnly],
]);

const readers: Readonly<Record<string, (words: Words) => LocalStatement>> = {
  begin: () => ({ kind: 'begin', tag: 'BEGIN' }),
  start: (words) => {
    words.expect('transaction');
    return { kind: 'begin', tag: 'START TRANSACTION' };
  },
  commit: () => ({ kind: 'commit', tag: 'COMMIT' }),
  end: () => ({ kind: 'commit', tag: 'COMMIT' }),
  abort: () => ({ kind: 'rollback', tag: 'ROLLBACK' }),
  rollback: (words) =>
    words.rest().includes('to')
      ? { kind: 'rollback-to', tag: 'ROLLBACK' }
      : { kind: 'rollback', tag: 'ROLLBACK' },
  savepoint: () => ({ kind: 'savepoint', tag: 'SAVEPOINT' }),
  release: () => ({ kind: 'release', tag: 'RELEASE' }),
  set: readSet,
  reset: (words) => {
    const name = settingName(words);
    if (name === 'all') return { kind: 'reset-all', tag: 'RESET' };
    return { kind: 'set', name, value: undefined, tag: 'RESET' };
  },
  deallocate: (words) => {
    const first = words.name();
    const name = first === 'prepare' ? words.name() : first;
    if (name === 'all') return { kind: 'deallocate', name: undefined, tag: 'DEALLOCATE ALL' };
    return { kind: 'deallocate', name, tag: 'DEALLOCATE' };
  },
  discard: (words) => {
    const what = words.next();
    if (what === 'all') return { kind: 'discard-all', tag: 'DISCARD ALL' };
    return { kind: 'nothing', tag: `DISCARD ${what.toUpperCase()}` };
  },
  unlisten: () => ({ kind: 'nothing', tag: 'UNLISTEN' }),
  close: () => ({ kind: 'nothing', tag: 'CLOSE CURSOR' }),
  copy: readCopy,
};

/** `SET [SESSION|LOCAL] name {=|TO} value`, `SET TIME ZONE …`, `SET TRANSACTION …`. */
function readSet(words: Words): LocalStatement {
  let first = words.name();
  if (first === 'transaction' || first === 'constraints') return { kind: 'nothing', tag: 'SET' };
  if (first === 'session' || first === 'local') first = words.name();
  if (first === 'characteristics') return { kind: 'nothing', tag: 'SET' };
  if (first === 'time') {
    words.expect('zone');
    return { kind: 'set', name: 'timezone', value: words.value(), tag: 'SET' };
  }
  if (first === 'names') return { kind: 'set', name: 'client_encoding', value: words.value(), tag: 'SET' };
  const name = words.dotted(first);
  if (!['=', 'to'].includes(words.next()))
    throw new WritError('syntax_error', { message: 'syntax error in SET' });
  const value = words.value();
  return { kind: 'set', name, value: value.toLowerCase() === 'default' ? undefined : value, tag: 'SET' };
}

/** `SHOW TABLES` and the like are DuckDB's: they ask for names, not for settings. */
const shownByDuckDb: ReadonlySet<string> = new Set(['tables', 'databases', 'schemas', 'columns', 'views']);

function readShow(words: Words, where: Where): LocalStatement {
  const [first = '', second = ''] = words.rest();
  const isAll = first === 'all';
  const what = isAll ? second : first;
  if (shownByDuckDb.has(what)) {
    const hint = `${listsTables(where)}; DESCRIBE table tells the columns`;
    const statement = ['show', ...(isAll ? ['all'] : []), what].join(' ');
    throw new Unsupported(statement.toUpperCase(), hint);
  }
  if (isAll) throw new Unsupported('SHOW ALL', 'SHOW name tells one setting');
  return { kind: 'show', name: settingName(words), tag: 'SHOW' };
}

function settingName(words: Words): string {
  const first = words.name();
  if (first === 'time') return 'timezone';
  if (first === 'transaction') return 'transaction_isolation';
  if (first === 'session') return 'session_authorization';
  return words.dotted(first);
}

/** `COPY (query) TO STDOUT …`, `COPY table [(columns)] TO STDOUT …`. */
function readCopy(words: Words): LocalStatement {
  const { query, shift } = words.copySource();
  words.expect('to');
  if (words.next() !== 'stdout') {
    throw new WritError('refused_on_purpose', { message: 'COPY writes to STDOUT only' });
  }
  return { kind: 'copy', query, shift, format: copyFormat(words), tag: 'COPY' };
}

function copyFormat(words: Words): CopyFormat {
  const given = new Map<string, string>();
  for (let word = words.next(); word !== ''; word = words.next()) {
    if (['with', '(', ')', ',', 'as'].includes(word)) continue;
    if (word === 'csv' || word === 'text') given.set('format', word);
    else if (word === 'header') given.set('header', words.peekIs('false', 'off', '0') ? 'false' : 'true');
    else if (['format', 'delimiter', 'null', 'quote', 'encoding'].includes(word))
      given.set(word, words.value1());
    else if (!['true', 'on', '1', 'false', 'off', '0'].includes(word)) refuseOption(word);
  }
  const format = (given.get('format') ?? 'text').toLowerCase();
  if (format !== 'csv' && format !== 'text') refuseOption(`format ${format}`);
  const isCsv = format === 'csv';
  return {
    format,
    header: given.get('header') === 'true',
    delimiter: given.get('delimiter') ?? (isCsv ? ',' : '\t'),
    null: given.get('null') ?? (isCsv ? '' : '\\N'),
    quote: given.get('quote') ?? '"',
  };
}

function refuseOption(option: string): never {
  throw new Unsupported(`COPY option ${option}`, 'FORMAT text or csv, HEADER, DELIMITER, NULL, QUOTE');
}

/** Reads the meaningful tokens of one statement. */
class Words {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = significantTokens(text);
  }

  /** Lower-cased; '' at the end. */
  next(): string {
    return this.#tokens[this.#at++]?.text.toLowerCase() ?? '';
  }

  rest(): readonly string[] {
    return this.#tokens.slice(this.#at).map((token) => token.text.toLowerCase());
  }

  expect(word: string): void {
    const found = this.next();
    if (found !== word)
      throw new WritError('syntax_error', { message: `syntax error at or near "${found}"` });
  }

  /** A name: folded unless quoted. */
  name(): string {
    const token = this.#tokens[this.#at++];
    if (token?.kind === 'quoted') return token.text.slice(1, -1).replaceAll('""', '"');
    if (token?.kind === 'word') return token.text.toLowerCase();
    throw new WritError('syntax_error', { message: 'syntax error: a name is missing' });
  }

  dotted(first: string): string {
    let name = first;
    while (this.#tokens[this.#at]?.text === '.') {
      this.#at++;
      name += `.${this.name()}`;
    }
    return name;
  }

  peekIs(...words: readonly string[]): boolean {
    return words.includes(this.#tokens[this.#at]?.text.toLowerCase() ?? '');
  }

  /** Everything that is left, as one value: `'x'`, `on`, `-3`, `a, b`. */
  value(): string {
    const tokens = this.#tokens.slice(this.#at);
    this.#at = this.#tokens.length;
    if (tokens.length === 0)
      throw new WritError('syntax_error', { message: 'syntax error: a value is missing' });
    return tokens.map((token) => plainText(token)).join('');
  }

  /** One token as a value. */
  value1(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined)
      throw new WritError('syntax_error', { message: 'syntax error: a value is missing' });
    return plainText(token);
  }

  /** What stands before `TO`: a query in parentheses, or a table. */
  copySource(): { readonly query: string; readonly shift: number | undefined } {
    const start = this.#tokens[this.#at]?.start ?? 0;
    let depth = 0;
    for (; this.#at < this.#tokens.length; this.#at++) {
      const token = this.#tokens[this.#at];
      if (token?.text === '(') depth++;
      else if (token?.text === ')') depth--;
      else if (depth === 0 && token?.text.toLowerCase() === 'to') {
        const source = this.#text.slice(start, token.start).trim();
        const isQuery = source.startsWith('(');
        return {
          query: sourceQuery(source),
          shift: isQuery ? [...this.#text.slice(0, start + 1)].length : undefined,
        };
      } else if (depth === 0 && token?.text.toLowerCase() === 'from') {
        throw new Unsupported('COPY FROM', readOnly);
      }
    }
    throw new WritError('syntax_error', { message: 'syntax error in COPY: TO is missing' });
  }
}

function sourceQuery(source: string): string {
  if (source.startsWith('(')) return source.slice(1, source.lastIndexOf(')'));
  const columns = /^([^(]*)\(([^)]*)\)$/.exec(source);
  return columns === null ? `select * from ${source}` : `select ${columns[2]} from ${columns[1]}`;
}

function plainText(token: Token): string {
  if (token.kind === 'quoted') return token.text.slice(1, -1).replaceAll('""', '"');
  if (token.kind !== 'string') return token.text;
  if (/^e'/i.test(token.text)) {
    const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', b: '\b', f: '\f' };
    return token.text
      .slice(2, -1)
      .replaceAll(/\\(.)|''/gs, (_, c: string | undefined) => (c === undefined ? "'" : (escapes[c] ?? c)));
  }
  return token.text.slice(1, -1).replaceAll("''", "'");
}
