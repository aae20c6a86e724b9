import { Lexer } from '../../../kernel/sql-lexer.ts';
import { fromBytes } from './source.ts';

// The text for the record: literals become `?`, comments and runs of white space one space, long lists of literals
// `?, …`. Parameters stay. A password in a statement can thus never reach the record.

const lengthLimit = 16_384;

/** @param bytes one character per UTF-8 byte; @param start, @param end byte range of one statement */
export function redactStatement(bytes: string, start: number, end: number): string {
  const lexer = new Lexer(bytes, start, end);
  const out: string[] = [];
  let length = 0;
  let last = start;
  while (lexer.next()) {
    const piece = lexer.kind === 'constant' ? '?' : lexer.token;
    const spaced = out.length > 0 && lexer.start > last ? ` ${piece}` : piece;
    last = lexer.end;
    if (piece === '?' && endsWithList(out)) {
      collapse(out);
      continue;
    }
    out.push(spaced);
    length += spaced.length;
    if (length > lengthLimit) return `${fromBytes(out.join('')).slice(0, lengthLimit)} …`;
  }
  return fromBytes(out.join(''));
}

/** What stands in the record for a text that nobody could parse: it may hold anything. */
export function redactUnparsable(length: number): string {
  return `<unparsable, ${length} bytes>`;
}

function endsWithList(out: readonly string[]): boolean {
  const before = out.at(-2)?.trim();
  return out.at(-1)?.trim() === ',' && (before === '?' || before === ellipsis);
}

/** The three dots, as bytes. */
const ellipsis = '\u00e2\u0080\u00a6';

/** `?` `,` → `?` `,` `…`; `…` `,` → `…`. */
function collapse(out: string[]): void {
  if (out.at(-2)?.trim() === ellipsis) out.pop();
  else out.push(` ${ellipsis}`);
}
