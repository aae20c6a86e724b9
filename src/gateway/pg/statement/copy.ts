import type { TableInfo } from '../../../catalog/model.ts';
import { lastPart } from '../../../kernel/securable-name.ts';
import { Lexer, nameEnd } from '../../../kernel/sql-lexer.ts';
import { access } from './access.ts';
import { columnsQuery, type PartRecord } from './part.ts';
import { refused } from './problem.ts';
import { changedRelation, readRelation, resolveRange, writeRange } from './relations.ts';
import { newLevel } from './scopes.ts';
import { toBytes } from './source.ts';
import {
  child,
  isTrue,
  list,
  locationOf,
  parseStatements,
  strings,
  type TreeObject,
  textOf,
} from './tree.ts';
import type { Walk } from './walk-model.ts';

// COPY: a query or a table to the client, or rows from the client into a table. Never files or programs of the server.

export function visitCopy(walk: Walk, copy: TreeObject): void {
  const level = newLevel(undefined);
  if (isTrue(copy, 'is_program') || textOf(copy, 'filename') !== undefined) {
    const detail = 'COPY through the gateway goes to and from the client alone (STDIN, STDOUT)';
    walk.part.refuse(
      refused('permission_denied', 'permission denied to COPY files or programs of the server', { detail }),
    );
  }
  walk.visit(list(copy, 'options'), level);
  const range = child(copy, 'relation');
  if (range === undefined) {
    walk.query(copy['query'], undefined);
    return;
  }
  if (isTrue(copy, 'is_from')) copyFrom(walk, copy, range);
  else copyTo(walk, copy, range);
}

/** Postgres loads tables only, so the person must write the table itself: exempt from every rule on it. */
function copyFrom(walk: Walk, copy: TreeObject, range: TreeObject): void {
  const level = newLevel(undefined);
  const target = changedRelation(walk.part, range, 'insert');
  if (target !== undefined) {
    recordColumns(walk.part, copy, target.info);
    level.entries.push(target.entry);
    if (target.access.target !== 'base')
      walk.part.refuse(
        refused('refused_on_purpose', `COPY FROM is refused on ${lastPart(target.info.name)}`, {
          detail: 'rules on the table bind you, and COPY cannot write through them',
          hint: 'Use INSERT.',
          on: target.info.name,
          at: locationOf(range),
        }),
      );
  }
  walk.visit(copy['whereClause'], level);
}

function copyTo(walk: Walk, copy: TreeObject, range: TreeObject): void {
  const { part } = walk;
  const resolved = resolveRange(part, range);
  if (resolved.kind !== 'table') {
    readRelation(walk, range, newLevel(undefined));
    return;
  }
  const granted = access(part, resolved.info, 'read', locationOf(range));
  if (granted === undefined) return;
  recordColumns(part, copy, resolved.info);
  if (granted.target === 'base') writeRange(part, range, granted.sent);
  else writeQuery(part, copy, range, resolved.info, granted.sent);
}

/** A view cannot be copied by name: `t (a, b)` becomes `(SELECT a, b FROM view)`. */
function writeQuery(
  part: PartRecord,
  copy: TreeObject,
  range: TreeObject,
  info: TableInfo,
  sent: readonly [string, string],
): void {
  const at = locationOf(range);
  const end = at === undefined ? undefined : relationEnd(part.plan.source.bytes, at, copy, range);
  const query = columnsQuery(copiedColumns(copy, info), sent);
  const parsed = parseStatements(query, query.length);
  const node = parsed.ok ? parsed.statements[0]?.node : undefined;
  if (at === undefined || end === undefined || node === undefined) {
    part.refuse(
      refused('refused_on_purpose', 'this form of COPY is not supported', {
        hint: 'Use COPY (SELECT …) TO STDOUT.',
      }),
    );
    return;
  }
  part.plan.edits.push({ start: at, end, replacement: toBytes(query) });
  part.plan.expected.set(copy, {
    relation: undefined,
    attlist: undefined,
    query: { [node.kind]: node.body },
  });
}

/** Without a list Postgres copies every column that is not generated. */
function copiedColumns(copy: TreeObject, info: TableInfo): readonly string[] {
  const listed = strings(list(copy, 'attlist')).filter((name) => name !== undefined);
  if (listed.length > 0) return listed;
  return info.columns.filter((column) => !column.generated).map((column) => column.name);
}

function recordColumns(part: PartRecord, copy: TreeObject, info: TableInfo): void {
  const known = new Set(info.columns.map((column) => column.name));
  for (const name of copiedColumns(copy, info)) if (known.has(name)) part.column(info.name, name);
}

/** The end of the relation's name and of the list of columns after it. */
function relationEnd(bytes: string, at: number, copy: TreeObject, range: TreeObject): number | undefined {
  const parts = ['catalogname', 'schemaname', 'relname'].filter(
    (field) => textOf(range, field) !== undefined,
  );
  const end = nameEnd(bytes, at, parts.length);
  if (end === undefined || list(copy, 'attlist').length === 0) return end;
  const lexer = new Lexer(bytes, end);
  while (lexer.next()) if (lexer.kind === 'symbol' && lexer.token === ')') return lexer.end;
  return undefined;
}
