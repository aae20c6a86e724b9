import type { Tree, TreeObject } from './tree.ts';

// The second wall: the text that is sent is parsed again and must say exactly what was parsed first, but for the names
// that were decided. Whatever a rewrite broke, it is found here, before anything is sent.

/** Fields that a node must have in the text that is sent; `undefined`: must be absent. */
export type Expected = ReadonlyMap<TreeObject, TreeObject>;

const places: ReadonlySet<string> = new Set([
  'location',
  'stmt_location',
  'stmt_len',
  'name_location',
  'list_start',
  'list_end',
  'rexpr_list_start',
  'rexpr_list_end',
]);

/** Whether `after` is `before` with the expected fields put in. Byte places are not compared. */
export function saysTheSame(before: Tree | undefined, after: Tree | undefined, expected: Expected): boolean {
  if (before === after) return true;
  if (typeof before !== 'object' || typeof after !== 'object' || before === null || after === null)
    return false;
  if (isList(before) || isList(after)) {
    if (!isList(before) || !isList(after) || before.length !== after.length) return false;
    for (let i = 0; i < before.length; i++) if (!saysTheSame(before[i], after[i], expected)) return false;
    return true;
  }
  const wanted = expected.get(before);
  return sameFields(wanted === undefined ? before : { ...before, ...wanted }, after, expected);
}

function sameFields(before: TreeObject, after: TreeObject, expected: Expected): boolean {
  let fields = 0;
  for (const field in before) {
    if (before[field] === undefined || places.has(field)) continue;
    fields++;
    if (!saysTheSame(before[field], after[field], expected)) return false;
  }
  for (const field in after) if (after[field] !== undefined && !places.has(field)) fields--;
  return fields === 0;
}

function isList(tree: Tree): tree is readonly Tree[] {
  return Array.isArray(tree);
}
