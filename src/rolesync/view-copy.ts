import { parseSync, scanSync } from 'libpg-query';
import { exceededLimit } from '../kernel/sql-complexity.ts';
import { keyOf } from './state.ts';

// An application's view shows rows with its owner's rights, so a governed person never reads it as it is: its text is
// copied with every relation replaced by what governs it. Offsets are UTF-8 bytes, as libpg-query counts. Whoever
// calls this has loaded the parser (`loadModule`). Pure.

/** What stands in the copy for a relation that the view reads; a refusal names the reason. */
export type Replacement =
  | { readonly kind: 'replace'; readonly schema: string; readonly name: string }
  | { readonly kind: 'keep' }
  | { readonly kind: 'refuse'; readonly because: string };

export interface CopyContext {
  relation(schema: string, name: string): Replacement;
  /** A function that is not pg_catalog's: the reason why a copy may not call it, or undefined. */
  refuseFunction(schema: string, name: string): string | undefined;
  /** Names of aggregates besides Postgres's own. */
  isAggregate(name: string): boolean;
}

export type CopiedView =
  | {
      readonly kind: 'copied';
      readonly body: string;
      readonly functions: readonly { schema: string; name: string }[];
    }
  | { readonly kind: 'refused'; readonly because: string };

/** `definition` as pg_get_viewdef prints it under an empty search_path: every relation of the application is qualified. */
export function copyView(definition: string, context: CopyContext): CopiedView {
  // A parser whose stack ran out is damaged for good, so such a text never reaches it.
  if (exceededLimit(Buffer.from(definition).toString('latin1')) !== undefined)
    return { kind: 'refused', because: 'its text is too long or nested too deeply' };
  try {
    return rewrite(definition.trim().replace(/;$/, ''), context);
  } catch (error) {
    if (error instanceof Refused) return { kind: 'refused', because: error.message };
    return { kind: 'refused', because: 'its text cannot be parsed' };
  }
}

class Refused extends Error {}

type Node = Readonly<Record<string, unknown>>;
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function rewrite(text: string, context: CopyContext): CopiedView {
  const bytes = Buffer.from(text);
  const tree: unknown = parseSync(text);
  const tokens = scanSync(text).tokens;
  const edits: Edit[] = [];
  const functions = new Map<string, { schema: string; name: string }>();
  const withNames = commonTableNames(tree);
  walk(tree, (type, node) => {
    if (type === 'RangeVar') edits.push(...relationEdits(node, withNames, context, tokens));
    if (type === 'FuncCall') noteFunction(node, context, functions);
    if (type === 'SelectStmt') edits.push(...groupByEdits(node, context, bytes, tokens));
  });
  return { kind: 'copied', body: applyEdits(bytes, edits), functions: [...functions.values()] };
}

function relationEdits(
  node: Node,
  withNames: ReadonlySet<string>,
  context: CopyContext,
  tokens: readonly { start: number; end: number; text: string }[],
): Edit[] {
  const schema = node['schemaname'];
  const name = String(node['relname']);
  if (typeof schema !== 'string') {
    if (withNames.has(name)) return [];
    throw new Refused(`it reads the system relation ${name}`);
  }
  const replacement = context.relation(schema, name);
  if (replacement.kind === 'refuse') throw new Refused(replacement.because);
  if (replacement.kind === 'keep') return [];
  const start = typeof node['location'] === 'number' ? node['location'] : 0;
  const at = tokens.findIndex((token) => token.start === start);
  const last = tokens[at + 2]; // schema . name
  if (at < 0 || last === undefined || tokens[at + 1]?.text !== '.')
    throw new Refused('its text is not as expected');
  // A column reference by the relation's name goes on to work: the name stays, only the schema changes.
  return [{ start, end: last.end, text: `${quote(replacement.schema)}.${quote(replacement.name)}` }];
}

function noteFunction(
  node: Node,
  context: CopyContext,
  functions: Map<string, { schema: string; name: string }>,
): void {
  const parts = strings(node['funcname']);
  const [schema, name] = parts.length > 1 ? [parts[0], parts[1]] : [undefined, parts[0]];
  if (schema === undefined || name === undefined || schema === 'pg_catalog') {
    if (name !== undefined && runsText.has(name)) throw new Refused(`it calls ${name}, which runs SQL text`);
    return;
  }
  const because = context.refuseFunction(schema, name);
  if (because !== undefined) throw new Refused(because);
  functions.set(keyOf(schema, name), { schema, name });
}

/** These would read tables by a name inside a string. */
const runsText: ReadonlySet<string> = new Set([
  'query_to_xml',
  'query_to_xmlschema',
  'query_to_xml_and_xmlschema',
  'table_to_xml',
  'table_to_xmlschema',
  'table_to_xml_and_xmlschema',
  'schema_to_xml',
  'database_to_xml',
  'cursor_to_xml',
  'ts_stat',
]);

/**
 * GROUP BY a primary key lets a view show the table's other columns; over a shadow view Postgres knows no primary key.
 * Where a table has a column in GROUP BY, the columns of it that stand outside aggregates are added: they depend on the
 * key, or Postgres had refused the view.
 */
function groupByEdits(
  select: Node,
  context: CopyContext,
  bytes: Buffer,
  tokens: readonly { start: number; end: number; text: string }[],
): Edit[] {
  const groups = Array.isArray(select['groupClause']) ? select['groupClause'] : [];
  if (groups.length === 0) return [];
  const grouped = groups.flatMap((node) => qualifiedColumn(node) ?? []);
  if (grouped.length !== groups.length) return []; // expressions, grouping sets: nothing depends on a key there
  const tables = new Set(grouped.map((column) => column.table));
  const known = new Set(grouped.map((column) => keyOf(column.table, column.name)));
  const missing = new Map<string, { table: string; name: string }>();
  const outside = (node: unknown): void => {
    walkUnless(
      node,
      (type, inner) => type === 'SubLink' || (type === 'FuncCall' && isAggregateCall(inner, context)),
      (column) => {
        const key = keyOf(column.table, column.name);
        if (tables.has(column.table) && !known.has(key)) missing.set(key, column);
      },
    );
  };
  for (const part of ['targetList', 'havingClause', 'sortClause', 'distinctClause']) outside(select[part]);
  const last = groups.at(-1);
  if (missing.size === 0 || !isNode(last)) return [];
  const column = last['ColumnRef'];
  const start = isNode(column) && typeof column['location'] === 'number' ? column['location'] : 0;
  const end = tokens[tokens.findIndex((token) => token.start === start) + 2]?.end ?? bytes.length;
  const added = [...missing.values()].map((one) => `, ${quote(one.table)}.${quote(one.name)}`).join('');
  return [{ start: end, end, text: added }];
}

function isAggregateCall(node: Node, context: CopyContext): boolean {
  const name = strings(node['funcname']).at(-1) ?? '';
  const looks = ['agg_star', 'agg_filter', 'agg_order', 'agg_distinct', 'agg_within_group'].some(
    (key) => node[key] !== undefined,
  );
  return node['over'] === undefined && (looks || builtInAggregates.has(name) || context.isAggregate(name));
}

const builtInAggregates: ReadonlySet<string> = new Set([
  'count',
  'sum',
  'avg',
  'min',
  'max',
  'array_agg',
  'string_agg',
  'bool_and',
  'bool_or',
  'every',
  'bit_and',
  'bit_or',
  'bit_xor',
  'json_agg',
  'jsonb_agg',
  'json_object_agg',
  'jsonb_object_agg',
  'xmlagg',
  'any_value',
  'range_agg',
  'range_intersect_agg',
  'stddev',
  'stddev_pop',
  'stddev_samp',
  'variance',
  'var_pop',
  'var_samp',
  'corr',
  'covar_pop',
  'covar_samp',
  'mode',
  'percentile_cont',
  'percentile_disc',
  'regr_avgx',
  'regr_avgy',
  'regr_count',
  'regr_intercept',
  'regr_r2',
  'regr_slope',
  'regr_sxx',
  'regr_sxy',
  'regr_syy',
  'json_agg_strict',
  'jsonb_agg_strict',
  'json_object_agg_strict',
  'jsonb_object_agg_strict',
]);

function qualifiedColumn(node: unknown): { table: string; name: string } | undefined {
  const reference = isNode(node) ? node['ColumnRef'] : undefined;
  const parts = isNode(reference) ? strings(reference['fields']) : [];
  const [table, name] = parts;
  return parts.length === 2 && table !== undefined && name !== undefined ? { table, name } : undefined;
}

function walkUnless(
  value: unknown,
  skip: (type: string, node: Node) => boolean,
  onColumn: (column: { table: string; name: string }) => void,
): void {
  if (Array.isArray(value)) {
    for (const item of value) walkUnless(item, skip, onColumn);
  } else if (isNode(value)) {
    const column = qualifiedColumn(value);
    if (column !== undefined) onColumn(column);
    for (const [type, inner] of Object.entries(value)) {
      if (!(isNode(inner) && skip(type, inner))) walkUnless(inner, skip, onColumn);
    }
  }
}

function commonTableNames(tree: unknown): ReadonlySet<string> {
  const names = new Set<string>();
  walk(tree, (type, node) => {
    if (type !== 'CommonTableExpr') return;
    const name = String(node['ctename']);
    // Scopes are not tracked here: such a name could hide that a system relation is read elsewhere.
    if (name.startsWith('pg_')) throw new Refused(`it names a common table expression ${name}`);
    names.add(name);
  });
  return names;
}

/** Calls back with every node that stands under its type's name. */
function walk(value: unknown, visit: (type: string, node: Node) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) walk(item, visit);
  } else if (isNode(value)) {
    for (const [type, inner] of Object.entries(value)) {
      if (isNode(inner) && /^[A-Z]/.test(type)) visit(type, inner);
      // The arms of a set operation and the INTO of nothing stand there without their type's name.
      if (isNode(inner) && (type === 'larg' || type === 'rarg') && value['op'] !== undefined)
        visit('SelectStmt', inner);
      walk(inner, visit);
    }
  }
}

function applyEdits(bytes: Buffer, edits: readonly Edit[]): string {
  const ordered = [...edits].sort((a, b) => b.start - a.start);
  let result = bytes;
  for (const edit of ordered) {
    result = Buffer.concat([
      result.subarray(0, edit.start),
      Buffer.from(edit.text),
      result.subarray(edit.end),
    ]);
  }
  return result.toString();
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function strings(value: unknown): string[] {
  const items = Array.isArray(value) ? value : [];
  return items.flatMap((item: unknown) => {
    const text = isNode(item) ? item['String'] : undefined;
    return isNode(text) && typeof text['sval'] === 'string' ? [text['sval']] : [];
  });
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
