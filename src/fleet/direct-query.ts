import { parseSync, scanSync } from 'libpg-query';
import { WritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { formatSecurableName, lastPart, nameParts, type SecurableName } from '../kernel/securable-name.ts';
import type { Snapshot } from '../policy/model.ts';
import { reachOf } from './reach.ts';
import { shadowSchema } from './shadow-names.ts';

// A query as the gateway takes it, in names that a direct session knows: `shop.public.customers` is `customers`, found
// through the search path of the login. Where several schemas have that name, the shadow view is named whole. Whoever
// calls this has loaded the parser (`loadModule`). Pure.

type Node = Readonly<Record<string, unknown>>;
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** @throws syntax_error for what Postgres does not parse */
export function directQuery(
  snapshot: Snapshot,
  principal: PrincipalName,
  catalog: SecurableName,
  query: string,
): string {
  const { tree, tokens } = parsed(query);
  const edits: Edit[] = [];
  // A name of n parts is 2n - 1 tokens: parts and dots.
  const cut = (node: Node, parts: number, text: string) => {
    const start = typeof node['location'] === 'number' ? node['location'] : 0;
    const at = tokens.findIndex((token) => token.start === start);
    const end = tokens[at + 2 * parts - 2]?.end;
    if (at >= 0 && end !== undefined) edits.push({ start, end, text });
  };
  walk(tree, (type, node) => {
    if (type === 'RangeVar' && typeof node['schemaname'] === 'string') {
      const parts = [node['catalogname'], node['schemaname'], node['relname']].filter(isText);
      cut(node, parts.length, directName(snapshot, principal, catalog, parts.slice(-2)));
    }
    const fields = type === 'ColumnRef' ? strings(node['fields']) : [];
    // catalog.schema.table.column: the table goes by its own name in what was rewritten.
    if (fields.length >= 3) cut(node, fields.length - 1, fields.slice(-2, -1).map(quote).join('.'));
  });
  return applied(query, edits);
}

/** The catalog that a query's first whole name says; undefined: it names none. */
export function catalogOfQuery(query: string): SecurableName | undefined {
  let found: SecurableName | undefined;
  const { tree } = parsed(query);
  walk(tree, (type, node) => {
    if (type === 'RangeVar' && isText(node['catalogname']))
      found ??= formatSecurableName([node['catalogname']]);
  });
  return found;
}

/** Whether the order of the rows is part of what the query says. */
export function isOrdered(query: string): boolean {
  const { tree } = parsed(query);
  const [first] = isNode(tree) && Array.isArray(tree['stmts']) ? (tree['stmts'] as unknown[]) : [];
  const statement = isNode(first) ? first['stmt'] : undefined;
  const select = isNode(statement) ? statement['SelectStmt'] : undefined;
  return isNode(select) && Array.isArray(select['sortClause']);
}

function directName(
  snapshot: Snapshot,
  principal: PrincipalName,
  catalog: SecurableName,
  [schema = '', table = '']: readonly string[],
): string {
  const name = formatSecurableName([...nameParts(catalog), schema, table]);
  const alike = [...snapshot.catalog.tables.keys()].filter(
    (other) => lastPart(other) === table && nameParts(other)[0] === nameParts(catalog)[0],
  );
  const { read } = reachOf(snapshot, principal, name, 'direct');
  if (alike.length < 2 || read === undefined || read === 'base') return quote(table);
  return `${quote(shadowSchema(schema, 'direct', read))}.${quote(table)}`;
}

function parsed(query: string): { tree: unknown; tokens: readonly { start: number; end: number }[] } {
  try {
    return { tree: parseSync(query), tokens: scanSync(query).tokens };
  } catch (cause) {
    throw new WritError('syntax_error', {
      message: cause instanceof Error ? cause.message : 'the query does not parse',
      cause,
    });
  }
}

function walk(value: unknown, visit: (type: string, node: Node) => void): void {
  if (Array.isArray(value)) for (const item of value) walk(item, visit);
  else if (isNode(value))
    for (const [type, inner] of Object.entries(value)) {
      if (isNode(inner)) visit(type, inner);
      walk(inner, visit);
    }
}

/** Offsets are UTF-8 bytes, as libpg-query counts. */
function applied(text: string, edits: readonly Edit[]): string {
  let result = Buffer.from(text);
  for (const { start, end, text: put } of edits.toSorted((a, b) => b.start - a.start))
    result = Buffer.concat([result.subarray(0, start), Buffer.from(put), result.subarray(end)]);
  return result.toString();
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

function strings(value: unknown): string[] {
  const items = Array.isArray(value) ? (value as unknown[]) : [];
  return items.flatMap((item) => {
    const text = isNode(item) ? item['String'] : undefined;
    if (isNode(text) && isText(text['sval'])) return [text['sval']];
    return isNode(item) && 'A_Star' in item ? ['*'] : [];
  });
}
