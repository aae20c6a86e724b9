import type { GovernedPart, SessionEffect } from '../governed.ts';
import { visitCopy } from './copy.ts';
import { constantText } from './expressions.ts';
import { visitExecute, visitExplain, visitPrepare } from './nested.ts';
import type { PartRecord } from './part.ts';
import { refused } from './problem.ts';
import { commandOf, refusalOf } from './refusals.ts';
import { resolveRange } from './relations.ts';
import { newLevel } from './scopes.ts';
import { settingProblem } from './settings.ts';
import { isObject, isTrue, list, locationOf, type Node, type Tree, type TreeObject, textOf } from './tree.ts';
import type { Walk } from './walk-model.ts';

// The statements that are let through, by the parser's name of them. What is not in this table is refused.

export interface Outcome {
  /** For the record: `SELECT`, `COPY`, `BEGIN`. */
  readonly command: string;
  readonly effect?: SessionEffect;
}

/** What a statement is examined with, beside the walk. */
export interface Surroundings {
  prepared(name: string): GovernedPart | undefined;
  /** The statement's text for the record. */
  readonly redacted: string;
}

type Examine = (walk: Walk, node: Node, around: Surroundings) => Outcome;

/** Walks a whole statement; everything found goes into the walk's part. */
export function examineStatement(walk: Walk, node: Node, around: Surroundings): Outcome {
  const examine = kinds.get(node.kind);
  if (examine !== undefined) return examine(walk, node, around);
  walk.part.refuse(refusalOf(node.kind));
  recordRelations(walk.part, node.body);
  return { command: commandOf(node.kind) };
}

/** The record names what a refused statement was about. */
function recordRelations(part: PartRecord, tree: Tree | undefined): void {
  if (typeof tree !== 'object' || tree === null) return;
  if (isObject(tree) && 'relname' in tree) {
    const resolved = resolveRange(part, tree);
    if (resolved.kind === 'table') part.table(resolved.info.name);
  }
  for (const inner of Object.values(tree)) recordRelations(part, inner);
}

const query =
  (command: string): Examine =>
  (walk, node) => {
    walk.query({ [node.kind]: node.body }, undefined);
    return { command };
  };

const plain =
  (command: string): Examine =>
  () => ({ command });

const walked =
  (command: string, visit: (walk: Walk, body: TreeObject, around: Surroundings) => void): Examine =>
  (walk, { body }, around) => {
    visit(walk, body, around);
    return { command };
  };

const kinds: ReadonlyMap<string, Examine> = new Map<string, Examine>([
  ['SelectStmt', query('SELECT')],
  ['InsertStmt', query('INSERT')],
  ['UpdateStmt', query('UPDATE')],
  ['DeleteStmt', query('DELETE')],
  ['MergeStmt', query('MERGE')],
  ['CopyStmt', walked('COPY', visitCopy)],
  ['ExplainStmt', walked('EXPLAIN', visitExplain)],
  [
    'DeclareCursorStmt',
    (walk, { body }) => {
      walk.query(body['query'], undefined);
      return {
        command: 'DECLARE CURSOR',
        effect: { kind: 'declare', name: textOf(body, 'portalname') ?? '' },
      };
    },
  ],
  ['FetchStmt', (_, { body }) => ({ command: isTrue(body, 'ismove') ? 'MOVE' : 'FETCH' })],
  ['ClosePortalStmt', plain('CLOSE')],
  ['PrepareStmt', (walk, { body }, around) => visitPrepare(walk, body, around)],
  ['ExecuteStmt', walked('EXECUTE', visitExecute)],
  [
    'DeallocateStmt',
    (_, { body }) => ({
      command: 'DEALLOCATE',
      effect: { kind: 'deallocate', name: isTrue(body, 'isall') ? undefined : textOf(body, 'name') },
    }),
  ],
  ['TransactionStmt', transaction],
  ['ConstraintsSetStmt', plain('SET CONSTRAINTS')],
  ['VariableSetStmt', setting],
  ['VariableShowStmt', plain('SHOW')],
  [
    'DiscardStmt',
    (_, { body }) =>
      textOf(body, 'target') === 'DISCARD_ALL'
        ? { command: 'DISCARD', effect: { kind: 'discard-all' } }
        : { command: 'DISCARD' },
  ],
  ['UnlistenStmt', plain('UNLISTEN')],
]);

const transactions: ReadonlyMap<string, string> = new Map([
  ['TRANS_STMT_BEGIN', 'BEGIN'],
  ['TRANS_STMT_START', 'START TRANSACTION'],
  ['TRANS_STMT_COMMIT', 'COMMIT'],
  ['TRANS_STMT_ROLLBACK', 'ROLLBACK'],
  ['TRANS_STMT_SAVEPOINT', 'SAVEPOINT'],
  ['TRANS_STMT_RELEASE', 'RELEASE'],
  ['TRANS_STMT_ROLLBACK_TO', 'ROLLBACK'],
]);

function transaction(walk: Walk, { body }: Node): Outcome {
  const command = transactions.get(textOf(body, 'kind') ?? '');
  if (command !== undefined) return { command };
  walk.part.refuse(
    refused('refused_on_purpose', 'two-phase commit is refused on purpose', {
      detail: 'a prepared transaction outlives the session that was decided about',
    }),
  );
  return { command: 'PREPARE TRANSACTION' };
}

function setting(walk: Walk, { body }: Node): Outcome {
  const kind = textOf(body, 'kind') ?? '';
  const name = textOf(body, 'name') ?? '';
  const reset = kind === 'VAR_RESET' || kind === 'VAR_RESET_ALL';
  const command = reset ? 'RESET' : 'SET';
  walk.visit(list(body, 'args'), newLevel(undefined));
  if (kind === 'VAR_RESET_ALL') return { command };
  if (kind === 'VAR_SET_MULTI') return manySettings(walk, name);
  const values = kind === 'VAR_SET_VALUE' ? valuesOf(body) : undefined;
  const problem = settingProblem(walk.part.context, { name, values, at: locationOf(body) });
  if (problem !== undefined) walk.part.refuse(problem);
  return { command };
}

/** SET TRANSACTION and SET SESSION CHARACTERISTICS. */
function manySettings(walk: Walk, name: string): Outcome {
  if (name === 'TRANSACTION SNAPSHOT')
    walk.part.refuse(
      refused('refused_on_purpose', 'SET TRANSACTION SNAPSHOT is refused on purpose', {
        detail: 'snapshots are not shared between sessions',
      }),
    );
  return { command: 'SET' };
}

/** Values as text; what is no constant (`INTERVAL '1' HOUR`) stands as something that no list allows. */
function valuesOf(body: TreeObject): readonly string[] {
  return list(body, 'args').map((arg) => constantText(arg)?.text ?? '(expression)');
}
