import { WritError } from '../kernel/errors.ts';
import { isObject, type Json, refuse } from './tree.ts';
import { Unsupported } from './unsupported.ts';
import { type Uses, walkStatement } from './walk.ts';

/** Characters of one statement; a text beyond is refused before it is parsed. */
const maxText = 1_000_000;

/** @throws too_large, bad_encoding: before the text goes anywhere */
export function checkText(text: string): void {
  if (text.length > maxText) {
    throw new WritError('too_large', { message: `a statement may have ${maxText} characters` });
  }
  if (text.includes('\0')) throw new WritError('bad_encoding', { message: 'a statement cannot hold NUL' });
}

/**
 * What one statement uses, from DuckDB's own parse tree of it. `undefined`: an empty statement.
 * @throws syntax_error with the position, refused_on_purpose
 */
export function analyze(treeJson: string): Uses | undefined {
  const tree = JSON.parse(treeJson) as Json;
  if (!isObject(tree)) return refuse('a statement without a tree');
  if (tree['error'] !== false) throw parseError(tree);
  const statements = Array.isArray(tree['statements']) ? tree['statements'] : [];
  if (statements.length > 1) refuse('several statements at once');
  const first = statements[0];
  return first === undefined ? undefined : walkStatement(first);
}

function parseError(tree: { readonly [key: string]: Json | undefined }): WritError {
  if (tree['error_type'] === 'not implemented') {
    return new Unsupported('a statement other than SELECT');
  }
  const message =
    typeof tree['error_message'] === 'string' ? tree['error_message'].split('\n')[0] : undefined;
  // Characters from 0, unlike the byte offsets inside the tree.
  const at = Number(tree['position']);
  const position = Number.isSafeInteger(at) ? { position: at + 1 } : {};
  return new WritError('syntax_error', { ...(message === undefined ? {} : { message }), ...position });
}
