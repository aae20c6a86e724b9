import { reachOf } from '../../../fleet/reach.ts';
import type { Need } from '../governed.ts';
import { accessProblem, recordReasons } from './access.ts';
import type { Outcome, Surroundings } from './kinds.ts';
import type { PartRecord } from './part.ts';
import { refused } from './problem.ts';
import { commandOf, refusalOf } from './refusals.ts';
import { newLevel } from './scopes.ts';
import { asNode, list, numberOf, type Tree, type TreeObject, textOf } from './tree.ts';
import type { Walk } from './walk-model.ts';

// Statements inside statements: EXPLAIN, PREPARE, EXECUTE.

const queries: ReadonlySet<string> = new Set([
  'SelectStmt',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
]);

const commands: ReadonlySet<string> = new Set([...queries].map(commandOf));

/** EXPLAIN of what may be run. ANALYZE counts the rows that a filter removed, so it is refused where a rule binds. */
export function visitExplain(walk: Walk, body: TreeObject, around: Surroundings): void {
  const inner = asNode(body['query']);
  if (inner === undefined) return;
  if (queries.has(inner.kind)) walk.query({ [inner.kind]: inner.body }, undefined);
  else if (inner.kind === 'DeclareCursorStmt') walk.query(inner.body['query'], undefined);
  else if (inner.kind === 'ExecuteStmt') visitExecute(walk, inner.body, around);
  else walk.part.refuse(refusalOf(inner.kind));
  if (!list(body, 'options').some(isAnalyze)) return;
  const governed = [...walk.part.needs.values()].find(
    ({ target }) => target === 'governed' || target === 'insert',
  );
  if (governed === undefined) return;
  walk.part.refuse(
    refused('refused_on_purpose', 'EXPLAIN ANALYZE is refused where rules apply', {
      detail: `rules on ${governed.table} bind you, and its counters would tell how many rows they hide`,
      hint: 'EXPLAIN without ANALYZE shows the plan.',
      on: governed.table,
    }),
  );
}

function isAnalyze(option: Tree): boolean {
  const body = asNode(option)?.body ?? {};
  if (textOf(body, 'defname')?.toLowerCase() !== 'analyze') return false;
  const value = asNode(body['arg']);
  if (value === undefined) return true;
  if (value.kind === 'Integer') return (numberOf(value.body, 'ival') ?? 0) !== 0;
  if (value.kind === 'Boolean') return value.body['boolval'] === true;
  return !['off', 'false'].includes((textOf(value.body, 'sval') ?? '').toLowerCase());
}

/** PREPARE is decided like its statement, and leaves it for EXECUTE. */
export function visitPrepare(walk: Walk, body: TreeObject, around: Surroundings): Outcome {
  const command = 'PREPARE';
  const name = textOf(body, 'name') ?? '';
  walk.visit(list(body, 'argtypes'), newLevel(undefined));
  const inner = asNode(body['query']);
  if (inner === undefined || !queries.has(inner.kind)) {
    walk.part.refuse(refusalOf(inner?.kind ?? ''));
    return { command };
  }
  walk.query({ [inner.kind]: inner.body }, undefined);
  const statement = walk.part.finish(commandOf(inner.kind), around.redacted);
  return { command, effect: { kind: 'prepare', name, statement } };
}

/** EXECUTE is decided again, under the policy of now; a name that we do not know is left to Postgres (26000). */
export function visitExecute(walk: Walk, body: TreeObject, around: Surroundings): void {
  walk.visit(list(body, 'params'), newLevel(undefined));
  const name = textOf(body, 'name') ?? '';
  const prepared = around.prepared(name);
  if (prepared === undefined) return;
  // A Parse message can give a name to any statement: to another EXECUTE, whose meaning would change behind our back,
  // or to a PREPARE, whose effect nobody would see.
  if (!commands.has(prepared.command)) {
    walk.part.refuse(
      refused('refused_on_purpose', `EXECUTE of a prepared ${prepared.command} is refused`, {
        detail: `"${name}" is no query; SELECT, INSERT, UPDATE, DELETE and MERGE are executed by name`,
        hint: 'Run the statement itself.',
      }),
    );
    return;
  }
  walk.part.adopt(prepared);
  for (const need of prepared.needs ?? []) decideAgain(walk.part, need, name);
}

function decideAgain(part: PartRecord, need: Need, name: string): void {
  const { snapshot, principal } = part.context;
  const info = snapshot.catalog.tables.get(need.table);
  const problem = info === undefined ? undefined : accessProblem(part.context, info, need.use, undefined);
  const target = reachOf(snapshot, principal, need.table, 'gateway')[need.use];
  if (problem !== undefined) part.refuse(problem);
  else if (info !== undefined && target === need.target) recordReasons(part, info, need.use);
  else
    part.refuse(
      refused('refused_on_purpose', `prepared statement "${name}" was prepared under another policy`, {
        detail: `the rules on ${need.table} have changed since`,
        hint: 'DEALLOCATE it and prepare it again.',
        on: need.table,
      }),
    );
}
