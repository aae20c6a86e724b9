// The strings and templates of a source, for rules that are read off the text. Comments and regular expressions are
// stepped over; what a template interpolates is read as code again.

export interface Literal {
  /** As written, without its quotes. */
  readonly text: string;
  /** A template with the tag `sql`. */
  readonly sql: boolean;
  readonly interpolated: boolean;
  /** A `+` follows. */
  readonly joined: boolean;
}

export function literalsOf(text: string): readonly Literal[] {
  const reader = new LiteralReader(text);
  reader.code(0, false);
  return reader.found;
}

class LiteralReader {
  readonly found: Literal[] = [];
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Reads to the end, or to the brace that closes an interpolation; returns where that is. */
  code(from: number, nested: boolean): number {
    const text = this.#text;
    let at = from;
    let depth = 0;
    while (at < text.length) {
      const char = text[at] ?? '';
      if (text.startsWith('//', at)) at = this.#after('\n', at);
      else if (text.startsWith('/*', at)) at = this.#after('*/', at + 2);
      else if (char === '/' && beginsPattern(text.slice(Math.max(0, at - 60), at))) at = this.#pattern(at);
      else if (char === "'" || char === '"') at = this.#quoted(at, char);
      else if (char === '`') at = this.#template(at);
      else {
        if (char === '{') depth++;
        if (char === '}' && depth-- === 0 && nested) return at;
        at++;
      }
    }
    return at;
  }

  #after(mark: string, from: number): number {
    const at = this.#text.indexOf(mark, from);
    return at < 0 ? this.#text.length : at + mark.length;
  }

  #pattern(start: number): number {
    let inClass = false;
    for (let at = start + 1; at < this.#text.length; at++) {
      const char = this.#text[at];
      if (char === '\\') at++;
      else if (char === '[') inClass = true;
      else if (char === ']') inClass = false;
      else if (char === '\n' || (char === '/' && !inClass)) return at + 1;
    }
    return this.#text.length;
  }

  #quoted(start: number, quote: string): number {
    const text = this.#text;
    let at = start + 1;
    while (at < text.length && text[at] !== quote && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1;
    return this.#add(start, at, { sql: false, interpolated: false });
  }

  #template(start: number): number {
    const text = this.#text;
    let at = start + 1;
    let interpolated = false;
    while (at < text.length && text[at] !== '`') {
      if (text[at] === '\\') at += 2;
      else if (text[at] === '$' && text[at + 1] === '{') {
        interpolated = true;
        at = this.code(at + 2, true) + 1;
      } else at++;
    }
    const sql = /(?:^|[^\w$.])sql$/.test(text.slice(Math.max(0, start - 4), start));
    return this.#add(start, at, { sql, interpolated });
  }

  #add(start: number, end: number, kind: Pick<Literal, 'sql' | 'interpolated'>): number {
    const joined = /^\s*\+(?!\+)/.test(this.#text.slice(end + 1, end + 200));
    this.found.push({ text: this.#text.slice(start + 1, end), joined, ...kind });
    return end + 1;
  }
}

/** Whether a slash behind this begins a regular expression: it does where a value may stand. */
const beginsPattern = (before: string) =>
  /(?:[(,=:[!&|?{};+<>~^%*-]|\breturn|\bcase|\btypeof|^)\s*$/.test(before);
