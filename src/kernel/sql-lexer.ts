// Postgres' lexical rules (scan.l, standard_conforming_strings on) over the UTF-8 bytes of a text, one character per
// byte. It finds where names and literals end; what the statement says is told by the real parser alone. Held equal to
// the parser's own scanner by test, and by the comparison of trees after every rewrite.

export type TokenKind = 'word' | 'quoted' | 'constant' | 'parameter' | 'symbol';

const comment = String.raw`--[^\n\r]*`;
const continuation = new RegExp(
  String.raw`(?:[ \t\f\v]|${comment})*[\n\r](?:[ \t\n\r\f\v]|${comment}[\n\r])*'`,
  'y',
);
const word = /[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*/y;
const dollarTag = /\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$/y;
const parameter = /\$\d+/y;
const number =
  /0[xX](?:_?[0-9A-Fa-f])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*(?:\.(?!\.)(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][-+]?\d(?:_?\d)*)?/y;

/** Reads a text token by token; never fails: what never ends, ends with the text. */
export class Lexer {
  kind: TokenKind = 'symbol';
  start = 0;
  end: number;
  private readonly text: string;
  private readonly limit: number;

  /** @param text one character per UTF-8 byte */
  constructor(text: string, at = 0, limit: number = text.length) {
    this.text = text;
    this.end = at;
    this.limit = limit;
  }

  /** Moves to the next token; false at the end. */
  next(): boolean {
    this.start = skipSpace(this.text, this.end);
    if (this.start >= this.limit) return false;
    const first = this.text.charCodeAt(this.start);
    if (isWordStart(first)) this.wordOrPrefixed(first);
    else if (first === 0x27) this.take('constant', stringEnd(this.text, this.start, 'plain'));
    else if (first === 0x22) this.take('quoted', quotedEnd(this.text, this.start));
    else if (first === 0x24) this.dollar();
    else if (first === 0x2e && this.text.charCodeAt(this.start + 1) === 0x2e)
      this.take('symbol', this.start + 2);
    else if (isDigit(first) || (first === 0x2e && isDigit(this.text.charCodeAt(this.start + 1))))
      this.take('constant', match(number, this.text, this.start) ?? this.start + 1);
    else this.take('symbol', this.start + 1);
    return true;
  }

  /** The token's own characters. */
  get token(): string {
    return this.text.slice(this.start, this.end);
  }

  private wordOrPrefixed(first: number): void {
    const letter = first | 0x20;
    const second = this.text.charCodeAt(this.start + 1);
    const third = this.text.charCodeAt(this.start + 2);
    const unicode = letter === 0x75 && second === 0x26;
    if (second === 0x27 && (letter === 0x62 || letter === 0x78 || letter === 0x65))
      this.take('constant', stringEnd(this.text, this.start + 1, letter === 0x65 ? 'escapes' : 'bits'));
    else if (unicode && third === 0x27) this.take('constant', stringEnd(this.text, this.start + 2, 'plain'));
    else if (unicode && third === 0x22) this.take('quoted', quotedEnd(this.text, this.start + 2));
    else this.take('word', match(word, this.text, this.start) ?? this.start + 1);
  }

  private dollar(): void {
    const afterParameter = match(parameter, this.text, this.start);
    const afterTag = afterParameter === undefined ? match(dollarTag, this.text, this.start) : undefined;
    if (afterParameter !== undefined) this.take('parameter', afterParameter);
    else if (afterTag !== undefined) this.take('constant', this.dollarQuoteEnd(afterTag));
    else this.take('symbol', this.start + 1);
  }

  private dollarQuoteEnd(afterTag: number): number {
    const tag = this.text.slice(this.start, afterTag);
    const close = this.text.indexOf(tag, afterTag);
    return close < 0 ? this.text.length : close + tag.length;
  }

  private take(kind: TokenKind, end: number): void {
    this.kind = kind;
    this.end = end;
  }
}

/**
 * Where a name of `parts` parts that begins at `at` ends (`app . /* x *\/ "raw"` has two); undefined when there is none.
 * @param text one character per UTF-8 byte
 */
export function nameEnd(text: string, at: number, parts: number): number | undefined {
  const lexer = new Lexer(text, at);
  let end: number | undefined;
  for (let part = 0; part < parts; part++) {
    if (part > 0 && (!lexer.next() || lexer.token !== '.')) return undefined;
    if (!lexer.next() || (lexer.kind !== 'word' && lexer.kind !== 'quoted')) return undefined;
    end = afterEscape(text, lexer);
    if (end !== lexer.end) lexer.end = end;
  }
  return end;
}

/** `U&"d!0061t" UESCAPE '!'` is one name. */
function afterEscape(text: string, lexer: Lexer): number {
  if (lexer.kind !== 'quoted' || text.charCodeAt(lexer.start) === 0x22) return lexer.end;
  const ahead = new Lexer(text, lexer.end);
  const escaped = ahead.next() && ahead.token.toLowerCase() === 'uescape' && ahead.next();
  return escaped && ahead.kind === 'constant' ? ahead.end : lexer.end;
}

/** Comments become spaces, byte for byte; line ends stay. */
export function blankComments(text: string): string {
  const lexer = new Lexer(text);
  let blanked = '';
  let last = 0;
  for (let more = true; more; last = lexer.end) {
    more = lexer.next();
    const gap = text.slice(last, more ? lexer.start : text.length);
    blanked += gap.replaceAll(/[^\n\r]/g, ' ') + (more ? lexer.token : '');
  }
  return blanked;
}

/** The first place at or after `at` that is neither white space nor comment. */
export function skipSpace(text: string, at: number): number {
  let place = at;
  for (;;) {
    const code = text.charCodeAt(place);
    if (code === 0x20 || (code >= 0x09 && code <= 0x0d)) place++;
    else if (code === 0x2d && text.charCodeAt(place + 1) === 0x2d) place = lineEnd(text, place);
    else if (code === 0x2f && text.charCodeAt(place + 1) === 0x2a) place = commentEnd(text, place);
    else return place;
  }
}

function lineEnd(text: string, at: number): number {
  let place = at;
  while (place < text.length && text.charCodeAt(place) !== 0x0a && text.charCodeAt(place) !== 0x0d) place++;
  return place;
}

function commentEnd(text: string, at: number): number {
  let depth = 1;
  let place = at + 2;
  while (place < text.length && depth > 0) {
    const pair = text.slice(place, place + 2);
    if (pair === '/*') depth++;
    else if (pair === '*/') depth--;
    place += pair === '/*' || pair === '*/' ? 2 : 1;
  }
  return place;
}

/** @param open the place of the opening quote; @param kind E'' escapes by backslash, B'' and X'' know no doubled quote */
function stringEnd(text: string, open: number, kind: 'plain' | 'escapes' | 'bits'): number {
  let place = open + 1;
  while (place < text.length) {
    const code = text.charCodeAt(place);
    if (kind === 'escapes' && code === 0x5c) place += 2;
    else if (code !== 0x27) place++;
    else if (kind !== 'bits' && text.charCodeAt(place + 1) === 0x27) place += 2;
    else {
      const again = match(continuation, text, place + 1);
      if (again === undefined) return place + 1;
      place = again;
    }
  }
  return text.length;
}

function quotedEnd(text: string, open: number): number {
  let place = open + 1;
  for (;;) {
    place = text.indexOf('"', place);
    if (place < 0) return text.length;
    if (text.charCodeAt(place + 1) !== 0x22) return place + 1;
    place += 2;
  }
}

function match(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

function isWordStart(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f || code >= 0x80;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
