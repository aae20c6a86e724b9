import { denied, refused } from './problem.ts';
import { aliasOf, readRelation } from './relations.ts';
import {
  columnsNamed,
  type Entry,
  isCommonTable,
  type Level,
  newLevel,
  opaqueEntry,
  relationsWithin,
} from './scopes.ts';
import {
  asNode,
  child,
  isObject,
  isTrue,
  list,
  strings,
  type Tree,
  type TreeObject,
  textOf,
} from './tree.ts';
import type { Walk } from './walk-model.ts';

// SELECT, VALUES, TABLE, set operations and WITH, in the order in which Postgres analyses them.

const visitedLater: ReadonlySet<string> = new Set([
  'withClause',
  'fromClause',
  'larg',
  'rarg',
  'lockingClause',
]);

/** Walks a SELECT as a level below `parent`. */
export function visitSelect(walk: Walk, select: TreeObject, parent: Level | undefined): Level {
  const level = newLevel(parent);
  if (select['intoClause'] !== undefined)
    walk.part.refuse(
      refused('permission_denied', 'permission denied: SELECT INTO makes a table', {
        detail: "people read and write data; schema changes are the owner's",
        hint: "run migrations as the application's own role",
      }),
    );
  visitWith(walk, select, level);
  const left = child(select, 'larg');
  const right = child(select, 'rarg');
  if (left !== undefined) visitSelect(walk, left, level);
  if (right !== undefined) visitSelect(walk, right, level);
  for (const item of list(select, 'fromClause')) visitFrom(walk, item, level);
  for (const field in select) if (!visitedLater.has(field)) walk.visit(select[field], level);
  for (const clause of list(select, 'lockingClause')) visitLocking(walk, clause, level);
  return level;
}

/**
 * Names of common table expressions as Postgres makes them visible: WITH RECURSIVE all at once, WITH one after the
 * other, each to those after it and to the statement. A later WITH name hides nothing before it stands.
 */
export function visitWith(walk: Walk, statement: TreeObject, level: Level): void {
  const clause = child(statement, 'withClause');
  if (clause === undefined) return;
  const tables = list(clause, 'ctes').map((tree) => asNode(tree)?.body ?? {});
  const recursive = isTrue(clause, 'recursive');
  if (recursive) for (const table of tables) level.ctes.add(textOf(table, 'ctename') ?? '');
  for (const table of tables) {
    walk.query(table['ctequery'], level);
    for (const field in table) if (field !== 'ctequery') walk.visit(table[field], newLevel(level));
    level.ctes.add(textOf(table, 'ctename') ?? '');
  }
}

/** Walks one FROM item and makes it known in the level. */
export function visitFrom(walk: Walk, item: Tree, level: Level): void {
  const node = asNode(item);
  const body = node?.body ?? (isObject(item) ? item : {});
  switch (node?.kind) {
    case 'RangeVar':
      level.entries.push(readRelation(walk, body, level));
      return;
    case 'RangeSubselect': {
      const inner = walk.query(body['subquery'], level);
      level.entries.push(opaqueEntry(aliasOf(body).name ?? '', inner));
      return;
    }
    case 'JoinExpr':
      visitJoin(walk, body, level);
      return;
    case 'RangeTableSample':
      visitSample(walk, body, level);
      return;
    default:
      walk.visit(item, level);
      level.entries.push(opaqueEntry(aliasOf(body).name ?? ''));
  }
}

function visitJoin(walk: Walk, join: TreeObject, level: Level): void {
  for (const side of [join['larg'], join['rarg']]) if (side !== undefined) visitFrom(walk, side, level);
  for (const name of strings(list(join, 'usingClause')))
    for (const [table, column] of columnsNamed(level, name ?? '')) walk.part.column(table, column);
  walk.visit(join['quals'], level);
  const alias = aliasOf(join).name;
  if (alias !== undefined) level.entries.push(opaqueEntry(alias));
}

/** Sampling takes pages of the table itself, hidden rows included: it has no meaning on a governed shape. */
function visitSample(walk: Walk, sample: TreeObject, level: Level): void {
  const relation = sample['relation'];
  const range = child(sample, 'relation');
  if (relation !== undefined && range !== undefined) {
    visitFrom(walk, relation, level);
    const entry = level.entries.at(-1);
    const governed = entry?.info !== undefined && entry.sent?.[0].startsWith('writ_') === true;
    if (governed && !isCommonTable(level, textOf(range, 'relname') ?? ''))
      walk.part.refuse(
        refused('refused_on_purpose', `TABLESAMPLE is refused on ${entry.refname}`, {
          detail: 'rules stand on the table, and a sample would be taken before them',
        }),
      );
  }
  for (const field in sample) if (field !== 'relation') walk.visit(sample[field], level);
}

/** FOR UPDATE and its like need the right to change. `OF` names stay: the relation keeps its name. */
function visitLocking(walk: Walk, clause: Tree, level: Level): void {
  const body = asNode(clause)?.body ?? {};
  const names = list(body, 'lockedRels').map((tree) => textOf(asNode(tree)?.body ?? {}, 'relname'));
  const locked = (entry: Entry): boolean => names.length === 0 || names.includes(entry.refname);
  const { snapshot, principal } = walk.part.context;
  for (const info of level.entries.filter(locked).flatMap(relationsWithin)) {
    const decision = snapshot.decide(principal, 'MODIFY', info.name);
    if (decision.effect === 'allow') walk.part.because(decision.because);
    else {
      const problem = denied(snapshot, decision, 'locking rows of', info.name, undefined);
      walk.part.refuse(problem);
    }
  }
}
