import { isDeepStrictEqual } from 'node:util';
import { CST, LineCounter, Parser, parseAllDocuments } from 'yaml';
import { Lines } from './fmt-lines.ts';
import { KeyOrder } from './fmt-order.ts';
import { printDocument, printTrivia, Unformattable } from './fmt-print.ts';

// `writ policy fmt`: one layout, comments and the author's choice of style kept. Works on tokens, so that nothing is
// lost; the new text is read back, and given out only if it says the same.

export type Formatted =
  | { readonly text: string }
  /** Why the file is left as it is; 1-based. */
  | { readonly problem: string; readonly line: number; readonly column: number };

/** The text in canonical layout. Pure; formatting twice changes nothing more. */
export function formatPolicyText(text: string): Formatted {
  const unix = text.replaceAll('\r\n', '\n');
  const source = unix.endsWith('\n') ? unix : `${unix}\n`;
  // As it is, without the newline that is added: places are its own, and a text that runs to the end is without one.
  const before = read(unix);
  if ('problem' in before) return before;
  const formatted = print(source);
  if (typeof formatted !== 'string') return formatted;
  const after = read(formatted);
  const same =
    !('problem' in after) &&
    isDeepStrictEqual(before.values, after.values) &&
    isDeepStrictEqual(before.comments, after.comments);
  if (same) return { text: formatted };
  return { problem: 'this file cannot be formatted without changing what it says', line: 1, column: 1 };
}

function print(source: string): string | Exclude<Formatted, { text: string }> {
  const lines = new Lines();
  let printed = 0;
  try {
    for (const token of new Parser().parse(source)) {
      if (token.type === 'document') {
        if (printed > 0 && isEmpty(token)) continue;
        printDocument(token, KeyOrder.ofKind(kindOf(token)), printed++ > 0, lines);
      } else if (token.type === 'doc-end') printTrivia(token.end ?? [], 0, lines);
      else if (token.type === 'comment' || token.type === 'newline' || token.type === 'space')
        printTrivia([token], 0, lines);
      else if (token.type !== 'byte-order-mark')
        throw new Unformattable(`${token.type} is left as it is`, token.offset);
    }
  } catch (thrown) {
    if (!(thrown instanceof Unformattable)) throw thrown;
    return { problem: thrown.message, ...placeOf(source, thrown.offset) };
  }
  return lines.print();
}

function isEmpty({ start, value, end }: CST.Document): boolean {
  const commented = [...start, ...(end ?? [])].some((token) => token.type === 'comment');
  return value === undefined && !commented;
}

function kindOf({ value }: CST.Document): string | undefined {
  if (value?.type !== 'block-map' && value?.type !== 'flow-collection') return undefined;
  for (const { key, value: kind } of value.items)
    if (CST.isScalar(key ?? null) && CST.resolveAsScalar(key as CST.FlowScalar)?.value === 'kind')
      return CST.isScalar(kind ?? null) ? CST.resolveAsScalar(kind as CST.FlowScalar)?.value : undefined;
  return undefined;
}

interface Read {
  readonly values: readonly unknown[];
  readonly comments: readonly string[];
}

/** As the policy reader reads it. */
function read(text: string): Read | Exclude<Formatted, { text: string }> {
  const documents = parseAllDocuments(text, {
    prettyErrors: false,
    uniqueKeys: false,
    version: '1.2',
    schema: 'core',
    merge: false,
  });
  if (!Array.isArray(documents)) return { values: [], comments: commentsIn(text) };
  for (const { errors, warnings } of documents)
    for (const problem of [...errors, ...warnings])
      return { problem: problem.message, ...placeOf(text, problem.pos[0]) };
  const values = documents.map((document): unknown => document.toJS({ maxAliasCount: 100 }));
  return { values: values.filter((value) => value !== null), comments: commentsIn(text) };
}

function commentsIn(text: string): readonly string[] {
  const found: string[] = [];
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) for (const one of value) collect(one);
    else if (typeof value === 'object' && value !== null) {
      if ('type' in value && value.type === 'comment' && 'source' in value)
        found.push(String(value.source).trimEnd());
      else for (const one of Object.values(value)) collect(one);
    }
  };
  for (const token of new Parser().parse(text)) collect(token);
  return found.sort();
}

/** What is missing at the end is missing on the last line that says something. */
function placeOf(text: string, offset: number): { readonly line: number; readonly column: number } {
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1);
  const { line, col } = lines.linePos(Math.min(offset, text.trimEnd().length));
  return { line, column: col };
}
