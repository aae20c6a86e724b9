// A small, conservative lexer of DuckDB's SQL: enough to find literals, parameters and statement ends. It decides
// nothing about rights; where it is unsure (a string that does not end), the rest of the text is one `unsure` token.

export type TokenKind =
  | 'space'
  | 'comment'
  | 'word'
  | 'quoted'
  | 'string'
  | 'number'
  | 'parameter'
  | 'symbol'
  | 'unsure';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** UTF-16 offset in the text. */
  readonly start: number;
}

const patterns: readonly [TokenKind, RegExp][] = [
  ['space', /[\s\u00a0\ufeff]+/y],
  ['comment', /--[^\r\n]*/y],
  ['string', /[eE]'(?:[^'\\]|''|\\[\s\S])*'/y],
  ['string', /(?:[uU]&|[xXbB])?'(?:[^']|'')*'/y],
  ['quoted', /"(?:[^"]|"")*"/y],
  ['parameter', /\$[0-9]+/y],
  [
    'number',
    /(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?)/y,
  ],
  ['word', /[\p{L}\p{M}_][\p{L}\p{M}\p{N}_$]*/uy],
];

export function lex(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const token = nextToken(text, at);
    tokens.push(token);
    at += token.text.length;
  }
  return tokens;
}

function nextToken(text: string, start: number): Token {
  if (text.startsWith('/*', start)) return blockComment(text, start);
  const dollar = dollarQuoted(text, start);
  if (dollar !== undefined) return dollar;
  for (const [kind, pattern] of patterns) {
    pattern.lastIndex = start;
    const match = pattern.exec(text);
    if (match !== null && match[0] !== '') return { kind, text: match[0], start };
  }
  const first = String.fromCodePoint(text.codePointAt(start) ?? 0);
  if (first === "'" || first === '"') return { kind: 'unsure', text: text.slice(start), start };
  return { kind: 'symbol', text: first, start };
}

function blockComment(text: string, start: number): Token {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if (text.startsWith('/*', at)) {
      depth++;
      at++;
    } else if (text.startsWith('*/', at)) {
      depth--;
      at++;
      if (depth === 0) return { kind: 'comment', text: text.slice(start, at + 1), start };
    }
  }
  return { kind: 'unsure', text: text.slice(start), start };
}

function dollarQuoted(text: string, start: number): Token | undefined {
  const open = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy;
  open.lastIndex = start;
  const tag = open.exec(text)?.[0];
  if (tag === undefined) return undefined;
  const end = text.indexOf(tag, start + tag.length);
  if (end < 0) return { kind: 'unsure', text: text.slice(start), start };
  return { kind: 'string', text: text.slice(start, end + tag.length), start };
}

export interface Piece {
  readonly text: string;
  /** UTF-16 offset in the whole text. */
  readonly start: number;
}

/** The statements of a text, without the semicolons; pieces of nothing but space and comments are left out. */
export function splitStatements(text: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  const cut = (to: number) => {
    const piece = text.slice(from, to);
    if (significantTokens(piece).length > 0) pieces.push({ text: piece, start: from });
  };
  for (const token of lex(text)) {
    if (token.kind !== 'symbol' || token.text !== ';') continue;
    cut(token.start);
    from = token.start + 1;
  }
  cut(text.length);
  return pieces;
}

/** Words and symbols that mean something, lower-cased words: what a statement begins with. */
export function significantTokens(text: string): readonly Token[] {
  return lex(text).filter((token) => token.kind !== 'space' && token.kind !== 'comment');
}
