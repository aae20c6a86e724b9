import type { TableInfo } from '../../../catalog/model.ts';
import { formatReason } from '../../../kernel/decision.ts';
import { lastPart } from '../../../kernel/securable-name.ts';
import type { PartRecord } from './part.ts';
import { refused } from './problem.ts';
import { changedRelation, hasReturning, type Target } from './relations.ts';
import { type Level, newLevel, renamedEntry } from './scopes.ts';
import { visitFrom, visitWith } from './select.ts';
import { asNode, child, list, locationOf, type Tree, type TreeObject, textOf } from './tree.ts';
import type { Walk } from './walk-model.ts';

// INSERT, UPDATE, DELETE, MERGE. Targets go to the shape that the person writes through; what Postgres would refuse
// with a puzzling message is refused here with the reason.

export function visitInsert(walk: Walk, insert: TreeObject, parent: Level | undefined): Level {
  const level = newLevel(parent);
  visitWith(walk, insert, level);
  walk.visit(insert['selectStmt'], level);
  const target = changeTarget(walk, insert, 'insert');
  const columns = list(insert, 'cols');
  if (target !== undefined) {
    checkInsert(walk.part, insert, target);
    if (columns.length === 0) walk.part.allColumns(target.info);
    level.entries.push(target.entry, renamedEntry(target.entry, 'excluded'));
  }
  visitAssignments(walk, columns, target, level);
  const conflict = child(insert, 'onConflictClause');
  if (conflict !== undefined) {
    visitAssignments(walk, list(conflict, 'targetList'), target, level);
    walk.visit(conflict['infer'], level);
    walk.visit(conflict['whereClause'], level);
  }
  visitReturning(walk, insert, target, level);
  return level;
}

export function visitUpdate(walk: Walk, update: TreeObject, parent: Level | undefined): Level {
  const level = newLevel(parent);
  visitWith(walk, update, level);
  const target = changeTarget(walk, update, 'write');
  if (target !== undefined) level.entries.push(target.entry);
  for (const item of list(update, 'fromClause')) visitFrom(walk, item, level);
  visitAssignments(walk, list(update, 'targetList'), target, level);
  walk.visit(update['whereClause'], level);
  visitReturning(walk, update, target, level);
  return level;
}

export function visitDelete(walk: Walk, remove: TreeObject, parent: Level | undefined): Level {
  const level = newLevel(parent);
  visitWith(walk, remove, level);
  const target = changeTarget(walk, remove, 'write');
  if (target !== undefined) level.entries.push(target.entry);
  for (const item of list(remove, 'usingClause')) visitFrom(walk, item, level);
  walk.visit(remove['whereClause'], level);
  visitReturning(walk, remove, target, level);
  return level;
}

export function visitMerge(walk: Walk, merge: TreeObject, parent: Level | undefined): Level {
  const level = newLevel(parent);
  visitWith(walk, merge, level);
  const target = changeTarget(walk, merge, 'write');
  if (target !== undefined) level.entries.push(target.entry);
  const source = merge['sourceRelation'];
  if (source !== undefined) visitFrom(walk, source, level);
  walk.visit(merge['joinCondition'], level);
  for (const clause of list(merge, 'mergeWhenClauses')) {
    const body = asNode(clause)?.body ?? {};
    if (target !== undefined) checkMergeClause(walk.part, body, target);
    visitAssignments(walk, list(body, 'targetList'), target, level);
    walk.visit(body['values'], level);
    walk.visit(body['condition'], level);
  }
  visitReturning(walk, merge, target, level);
  return level;
}

function changeTarget(walk: Walk, statement: TreeObject, need: 'insert' | 'write'): Target | undefined {
  const range = child(statement, 'relation');
  return range === undefined ? undefined : changedRelation(walk.part, range, need);
}

/** Columns that are set or inserted into, and what is put there. */
function visitAssignments(
  walk: Walk,
  targets: readonly Tree[],
  target: Target | undefined,
  level: Level,
): void {
  for (const tree of targets) {
    const body = asNode(tree)?.body ?? {};
    const name = textOf(body, 'name');
    if (target !== undefined && name !== undefined) writtenColumn(walk.part, target, name, locationOf(body));
    // Fields and subscripts of the assignment are no expressions, but a subscript holds one.
    for (const step of list(body, 'indirection'))
      if (asNode(step)?.kind !== 'String') walk.visit(step, level);
    walk.visit(body['val'], level);
  }
}

function writtenColumn(part: PartRecord, target: Target, name: string, at: number | undefined): void {
  if (!target.info.columns.some((column) => column.name === name)) return;
  part.column(target.info.name, name);
  if (target.access.target === 'base' || target.access.target === 'clear') return;
  const { snapshot, principal } = part.context;
  const mask = snapshot.boundRules(principal, target.info.name).masks.get(name);
  if (mask === undefined) return;
  const reason = { kind: 'column-mask', policy: mask.policy, on: target.info.name } as const;
  part.refuse({
    code: 'permission_denied',
    message: `permission denied for column ${name} of table ${lastPart(target.info.name)}`,
    detail: `${formatReason(reason)}: who sees a column masked cannot write it`,
    reasons: [reason],
    ...(at === undefined ? {} : { at }),
  });
}

function checkInsert(part: PartRecord, insert: TreeObject, target: Target): void {
  if (target.access.target !== 'insert') return;
  const table = lastPart(target.info.name);
  const conflict = child(insert, 'onConflictClause');
  if (conflict !== undefined && textOf(conflict, 'action') === 'ONCONFLICT_UPDATE')
    part.refuse(
      refused('refused_on_purpose', `INSERT … ON CONFLICT DO UPDATE is refused on ${table}`, {
        detail: `${filterNames(part, target.info)}: an update on conflict could reach rows that are hidden from you`,
        hint: 'Use UPDATE and INSERT as two statements, or MERGE.',
        on: target.info.name,
        at: locationOf(conflict),
      }),
    );
  if (hasReturning(insert))
    part.refuse(
      refused('permission_denied', `INSERT … RETURNING is refused on ${table}`, {
        detail: `${filterNames(part, target.info)}: inserted rows are read back with SELECT`,
        on: target.info.name,
      }),
    );
}

function checkMergeClause(part: PartRecord, clause: TreeObject, target: Target): void {
  if (textOf(clause, 'commandType') !== 'CMD_INSERT') return;
  const { snapshot, principal } = part.context;
  const filtered =
    target.access.target === 'governed' &&
    snapshot.boundRules(principal, target.info.name).filters.length > 0;
  if (!filtered) return;
  part.refuse(
    refused('refused_on_purpose', `MERGE … INSERT is refused on ${lastPart(target.info.name)}`, {
      detail: `${filterNames(part, target.info)}: rows are inserted by INSERT alone`,
      on: target.info.name,
    }),
  );
}

function filterNames(part: PartRecord, info: TableInfo): string {
  const { filters } = part.context.snapshot.boundRules(part.context.principal, info.name);
  return filters.map(({ policy }) => formatReason({ kind: 'row-filter', policy, on: info.name })).join('; ');
}

/** RETURNING sees the target as itself, `old` and `new`, or as the names that RETURNING WITH gives. */
function visitReturning(walk: Walk, statement: TreeObject, target: Target | undefined, level: Level): void {
  const returning = child(statement, 'returningClause');
  if (returning === undefined) return;
  if (target !== undefined) {
    const given = list(returning, 'options').map((tree) => textOf(asNode(tree)?.body ?? {}, 'value'));
    for (const name of ['old', 'new', ...given])
      if (name !== undefined) level.entries.push(renamedEntry(target.entry, name));
  }
  walk.visit(returning['exprs'], level);
}
