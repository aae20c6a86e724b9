import { CST } from 'yaml';
import type { Lines } from './fmt-lines.ts';
import type { KeyOrder } from './fmt-order.ts';

// YAML's tokens → lines. Blanks are decided here, everything else is printed as it was written.

/** A construct that is not formatted (explicit keys, indentation indicators); the file is left alone. */
export class Unformattable extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.name = 'Unformattable';
    this.offset = offset;
  }
}

type Tokens = readonly CST.SourceToken[];
type Item =
  | CST.BlockMap['items'][number]
  | CST.BlockSequence['items'][number]
  | CST.FlowCollection['items'][number];

export function printDocument(
  { start, value, end }: CST.Document,
  order: KeyOrder,
  separated: boolean,
  lines: Lines,
): void {
  if (separated) lines.separator();
  printTrivia(
    start.filter((token) => token.type !== 'doc-start'),
    0,
    lines,
  );
  if (value !== undefined) printValue(value, { indent: 0, gap: 0, wide: false, order }, lines);
  printTrivia(end ?? [], 0, lines);
}

/** Comments, ends of lines, blank lines, anchors and tags; a comment on a line of its own stands at `indent`. */
export function printTrivia(tokens: Tokens, indent: number, lines: Lines): void {
  let blanks = 0;
  for (const token of tokens) {
    if (token.type === 'space') blanks = token.source.length;
    else if (token.type === 'newline') {
      if (lines.begun) lines.end();
      else lines.blank();
    } else if (token.type === 'comment')
      lines.put(token.source.trimEnd(), lines.begun ? Math.max(1, blanks) : indent);
    else if (token.type === 'anchor' || token.type === 'tag')
      lines.put(token.source, lines.begun ? 1 : indent);
    else throw new Unformattable(`${JSON.stringify(token.source)} is left as it is here`, token.offset);
    if (token.type !== 'space') blanks = 0;
  }
}

/** Where a value goes. */
interface Where {
  /** Columns of a block collection's entries; continued lines stand further in. */
  readonly indent: number;
  /** Blanks before it where something stands on the line already. */
  readonly gap: number;
  readonly wide: boolean;
  readonly order: KeyOrder;
}

function printValue(token: CST.Token, where: Where, lines: Lines): void {
  switch (token.type) {
    case 'block-map':
      printBlockMap(token, where, lines);
      break;
    case 'block-seq':
      printBlockSequence(token, where, lines);
      break;
    case 'flow-collection':
      printFlow(token, where, lines);
      break;
    case 'block-scalar':
      printBlockScalar(token, where, lines);
      break;
    case 'alias':
    case 'scalar':
    case 'single-quoted-scalar':
    case 'double-quoted-scalar':
      printScalar(token, where, lines);
      break;
    default:
      throw new Unformattable(`${token.type} is left as it is`, token.offset);
  }
}

function printBlockMap(token: CST.BlockMap, { indent, order }: Where, lines: Lines): void {
  for (const item of inOrder(token.items, order, lines.begun)) {
    const { start, key, sep, value } = item;
    printTrivia(start, indent, lines);
    if (key == null) {
      if (sep !== undefined) throw new Unformattable('a key without a name is left as it is', token.offset);
      continue;
    }
    printValue(key, { indent, gap: 1, wide: false, order }, lines);
    const gap = printSeparator(sep ?? [], indent + 2, lines);
    if (value === undefined) continue;
    const below = order.below(nameOf(key) ?? '');
    printValue(value, { indent: indent + 2, gap, wide: true, order: below }, lines);
  }
}

/** `:` and what stands between it and the value. @returns the blanks before the value, as they were */
function printSeparator(sep: Tokens, indent: number, lines: Lines): number {
  const colon = sep.findIndex((token) => token.type === 'map-value-ind');
  printTrivia(sep.slice(0, Math.max(0, colon)), indent, lines);
  if (colon < 0) return 1;
  lines.put(':', 0);
  const after = sep.slice(colon + 1);
  printTrivia(after, indent, lines);
  return lastBlanks(after);
}

function lastBlanks(tokens: Tokens): number {
  const last = tokens.at(-1);
  return last?.type === 'space' ? last.source.length : 1;
}

function printBlockSequence(token: CST.BlockSequence, { indent, order }: Where, lines: Lines): void {
  for (const { start, value } of token.items) {
    const dash = start.findIndex((one) => one.type === 'seq-item-ind');
    printTrivia(dash < 0 ? start : start.slice(0, dash), indent, lines);
    if (dash < 0) continue;
    lines.put('-', lines.begun ? 1 : indent);
    const after = start.slice(dash + 1);
    // `-` alone on its line is joined with what follows, unless something else stands there.
    const joined = after.every((one) => one.type === 'space' || one.type === 'newline');
    if (value === undefined || !joined) printTrivia(after, indent + 2, lines);
    if (value !== undefined)
      printValue(value, { indent: indent + 2, gap: 1, wide: false, order: order.items }, lines);
  }
}

/** Lines break where the author broke them. The end must stand further in than what the collection belongs to. */
function printFlow(token: CST.FlowCollection, { indent, gap, wide, order }: Where, lines: Lines): void {
  const isMap = token.start.source === '{';
  const inner = indent + 2;
  lines.put(token.start.source, lines.begun ? gap : indent, wide);
  const padding = isMap ? 1 : 0;
  let first = true;
  for (const item of inOrder(withoutLastComma(token.items), order, true)) {
    const comma = item.start.findIndex((one) => one.type === 'comma');
    printTrivia(item.start.slice(0, Math.max(0, comma)), inner, lines);
    if (comma >= 0) lines.put(',', lines.begun ? 0 : inner);
    const after = item.start.slice(comma + 1);
    printTrivia(after, inner, lines);
    const before = first && comma < 0 ? padding : lastBlanks(after);
    printFlowItem(item, { indent: inner, gap: before, wide: comma >= 0, order }, isMap, lines);
    first = false;
  }
  const [end, ...rest] = token.end;
  if (end === undefined) throw new Unformattable('a bracket is not closed', token.offset);
  lines.put(end.source, lines.begun ? (first ? 0 : padding) : indent);
  printTrivia(rest, indent, lines);
}

/** A comma before the closing bracket on the same line says nothing. */
function withoutLastComma(items: CST.FlowCollection['items']): CST.FlowCollection['items'] {
  const last = items.at(-1);
  const isBare = last !== undefined && last.key == null && last.value === undefined;
  const kept = last?.start.some(({ type }) => type === 'newline' || type === 'comment');
  return isBare && kept === false && items.length > 1 ? items.slice(0, -1) : items;
}

function printFlowItem(item: Item, where: Where, isMap: boolean, lines: Lines): void {
  const { key, sep, value } = item;
  if (key != null) printValue(key, where, lines);
  const hasColon = sep?.some((token) => token.type === 'map-value-ind') === true;
  if (key == null && hasColon) throw new Unformattable('a key without a name is left as it is', where.indent);
  const gap = hasColon ? printSeparator(sep ?? [], where.indent, lines) : where.gap;
  if (!hasColon) printTrivia(sep ?? [], where.indent, lines);
  if (value === undefined) return;
  const order = key == null ? where.order.items : where.order.below(nameOf(key) ?? '');
  printValue(
    value,
    { ...where, gap, wide: hasColon || where.wide, order: isMap ? order : where.order.items },
    lines,
  );
}

function printScalar(token: CST.FlowScalar, { indent, gap, wide }: Where, lines: Lines): void {
  const [first = '', ...rest] = token.source.split('\n');
  lines.put(first, lines.begun ? gap : indent, wide);
  for (const line of rest) {
    lines.end();
    const text = line.trimStart();
    if (text === '') lines.raw('');
    else lines.put(text, indent);
  }
  printTrivia(token.end ?? [], indent, lines);
}

function printBlockScalar({ props, source, offset }: CST.BlockScalar, { indent }: Where, lines: Lines): void {
  let header = '';
  for (const token of props) {
    if (token.type === 'block-scalar-header') {
      header = token.source;
      lines.put(header, lines.begun ? 1 : indent);
    } else if ('source' in token) printTrivia([token as CST.SourceToken], indent, lines);
  }
  if (/\d/.test(header))
    throw new Unformattable(`the indentation indicator ${header} is left as it is`, offset);
  lines.end();
  const body = source.split('\n');
  if (body.at(-1) === '') body.pop();
  const keeps = header.includes('+');
  let trailing = 0;
  while (!keeps && body.at(-1)?.trim() === '') trailing += body.pop() === undefined ? 0 : 1;
  const own = body.find((line) => line.trim() !== '')?.search(/\S/) ?? 0;
  for (const line of body) {
    const text = line.slice(own);
    lines.raw(text === '' ? '' : ' '.repeat(indent) + text);
  }
  if (trailing > 0) lines.blank();
}

/** Known keys in their order, the rest after them; as written where a comment or a break could lose its place. */
function inOrder<I extends Item>(items: readonly I[], order: KeyOrder, inline: boolean): readonly I[] {
  const ranks = new Map(items.map((item) => [item, rankOf(item, order)]));
  const sorted = items.toSorted((a, b) => (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0));
  if (!inline || sorted.every((item, i) => item === items[i])) return sorted;
  const isFlow = items.some((item) => item.start.some((token) => token.type === 'comma'));
  if (!isFlow) {
    const [first, ...rest] = sorted;
    if (first === undefined || first.start.some(({ type }) => type === 'comment')) return items;
    return [{ ...first, start: first.start.filter(({ type }) => type !== 'newline') }, ...rest];
  }
  const text = items.map((item) => CST.stringify(item)).join('');
  if (text.includes('\n') || text.includes('#')) return items;
  // Commas and blanks stay where they are.
  return sorted.map((item, i) => ({ ...item, start: items[i]?.start ?? [] }));
}

function rankOf({ key }: Item, order: KeyOrder): number {
  const name = key == null ? undefined : nameOf(key);
  return name === undefined ? Number.POSITIVE_INFINITY : order.rank(name);
}

function nameOf(key: CST.Token): string | undefined {
  return CST.isScalar(key) && key.type !== 'block-scalar' ? CST.resolveAsScalar(key)?.value : undefined;
}
