import { hasSqlDetails, loadModule, parseSync } from 'libpg-query';

// The parse tree of libpg-query, as plain JSON. Nodes stand either wrapped ({"RangeVar": {…}}) or bare where the field
// can hold one kind only; fields with Postgres' zero value are absent.

export type Tree = null | boolean | number | string | readonly Tree[] | TreeObject;

export interface TreeObject {
  readonly [field: string]: Tree | undefined;
}

export interface StatementTree {
  readonly node: Node;
  /** Byte range in the text: from the end of the statement before to the semicolon. */
  readonly start: number;
  readonly end: number;
}

export interface Node {
  readonly kind: string;
  readonly body: TreeObject;
}

export type Parsed =
  | { readonly ok: true; readonly statements: readonly StatementTree[] }
  /** `position`: 1-based character; undefined where the parser itself gave up. */
  | { readonly ok: false; readonly message: string; readonly position: number | undefined };

/** Loads the WASM parser; once per process, before the first statement. */
export async function initStatementParser(): Promise<void> {
  await loadModule();
}

/** Never throws. @param length UTF-8 bytes of the text */
export function parseStatements(text: string, length: number): Parsed {
  try {
    const result = parseSync(text) as unknown as TreeObject;
    return { ok: true, statements: list(result, 'stmts').map((stmt) => statementTree(stmt, length)) };
  } catch (error) {
    if (!hasSqlDetails(error)) return { ok: false, message: 'the parser gave up', position: undefined };
    const position = error.sqlDetails?.cursorPosition;
    return { ok: false, message: error.message, position: position === undefined ? undefined : position + 1 };
  }
}

function statementTree(stmt: Tree, length: number): StatementTree {
  const raw = isObject(stmt) ? stmt : {};
  const start = numberOf(raw, 'stmt_location') ?? 0;
  const bytes = numberOf(raw, 'stmt_len') ?? 0;
  const node = raw['stmt'] === undefined ? undefined : asNode(raw['stmt']);
  return { node: node ?? { kind: '', body: {} }, start, end: bytes === 0 ? length : start + bytes };
}

export function isObject(tree: Tree | undefined): tree is TreeObject {
  return typeof tree === 'object' && tree !== null && !Array.isArray(tree);
}

/** The node, when the tree is a wrapped one: a single key that begins with a capital. */
export function asNode(tree: Tree | undefined): Node | undefined {
  if (!isObject(tree)) return undefined;
  for (const kind in tree) {
    const body = tree[kind];
    const first = kind.charCodeAt(0);
    return first >= 0x41 && first <= 0x5a && isObject(body) ? { kind, body } : undefined;
  }
  return undefined;
}

/** The body of a wrapped node of one kind, or a bare object. */
export function child(body: TreeObject, field: string): TreeObject | undefined {
  const tree = body[field];
  return asNode(tree)?.body ?? (isObject(tree) ? tree : undefined);
}

export function list(body: TreeObject, field: string): readonly Tree[] {
  const tree = body[field];
  return Array.isArray(tree) ? tree : [];
}

export function textOf(body: TreeObject, field: string): string | undefined {
  const tree = body[field];
  return typeof tree === 'string' ? tree : undefined;
}

export function numberOf(body: TreeObject, field: string): number | undefined {
  const tree = body[field];
  return typeof tree === 'number' ? tree : undefined;
}

export function isTrue(body: TreeObject, field: string): boolean {
  return body[field] === true;
}

/** Byte offset of the node; undefined where the parser gives none. */
export function locationOf(body: TreeObject): number | undefined {
  const location = numberOf(body, 'location');
  return location === undefined || location < 0 ? undefined : location;
}

/** `[{String: {sval: 'a'}}, …]` → ['a', …]; anything that is no string becomes undefined. */
export function strings(trees: readonly Tree[]): readonly (string | undefined)[] {
  return trees.map((tree) => {
    const node = asNode(tree);
    return node?.kind === 'String' ? (textOf(node.body, 'sval') ?? '') : undefined;
  });
}
