import { fieldProblem, judgeFunction } from './functions.ts';
import { refused } from './problem.ts';
import { closedSchema } from './resolve.ts';
import { columnsNamed, type Entry, entryByName, entryByReference, type Level } from './scopes.ts';
import { settingProblem } from './settings.ts';
import {
  asNode,
  isTrue,
  list,
  locationOf,
  numberOf,
  strings,
  type Tree,
  type TreeObject,
  textOf,
} from './tree.ts';
import type { Walk } from './walk-model.ts';

// Names inside expressions: columns, functions, fields, operators, types.

/** A function call: judged, written out where it is the application's. Its arguments are walked by the caller. */
export function functionCall(walk: Walk, call: TreeObject): void {
  const names = list(call, 'funcname');
  const parts = strings(names).map((part) => part ?? '');
  const at = locationOf(call);
  const verdict = judgeFunction(walk.part.context, { parts, at, arguments: list(call, 'args').length });
  switch (verdict.kind) {
    case 'problem':
      walk.part.refuse(verdict.problem);
      return;
    case 'set-config':
      setConfig(walk, call, at);
      return;
    default: {
      walk.part.because(verdict.reasons);
      const { name } = verdict;
      if (name === undefined || (parts.length === 2 && parts[0] === name[0])) return;
      walk.part.writeName(call, at, parts.length, name, { funcname: name.map(stringNode) });
    }
  }
}

/** `set_config` is SET in another dress: allowed where the SET would be, and only with constants. */
function setConfig(walk: Walk, call: TreeObject, at: number | undefined): void {
  const [name, value] = list(call, 'args').map(constantText);
  if (name === undefined || value === undefined || name.text === undefined) {
    const detail = 'which setting it changes must be plain to see: constants only';
    walk.part.refuse(
      refused('permission_denied', 'permission denied for function set_config', { detail, at }),
    );
    return;
  }
  const values = value.text === undefined ? undefined : [value.text];
  const problem = settingProblem(walk.part.context, { name: name.text, values, at });
  if (problem !== undefined) walk.part.refuse(problem);
}

/** A constant's text; `text` is undefined for NULL, the whole for anything that is no constant. */
export function constantText(tree: Tree): { text: string | undefined } | undefined {
  const node = asNode(tree);
  if (node?.kind !== 'A_Const') return undefined;
  if (isTrue(node.body, 'isnull')) return { text: undefined };
  for (const field of ['sval', 'fval', 'bsval'] as const) {
    const value = node.body[field];
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return { text: textOf(value as TreeObject, field) ?? '' };
  }
  const integer = node.body['ival'];
  if (typeof integer === 'object' && integer !== null)
    return { text: String(numberOf(integer as TreeObject, 'ival') ?? 0) };
  const boolean = node.body['boolval'];
  if (typeof boolean === 'object' && boolean !== null)
    return { text: isTrue(boolean as TreeObject, 'boolval') ? 'on' : 'off' };
  return undefined;
}

/** A column reference: recorded, and its schema rewritten where one is written. */
export function columnReference(walk: Walk, reference: TreeObject, level: Level): void {
  const fields = list(reference, 'fields');
  const names = strings(fields);
  const last = names.at(-1);
  if (fields.length > 1) itemReference(walk, reference, level);
  else if (last === undefined) everyColumn(walk, level.entries);
  else bareName(walk, last, level);
}

/** `item.column`, `item.*`, with or without the item's schema. */
function itemReference(walk: Walk, reference: TreeObject, level: Level): void {
  const names = strings(list(reference, 'fields'));
  const last = names.at(-1);
  const at = locationOf(reference);
  const entry =
    names.length === 2
      ? entryByReference(level, names[0] ?? '')
      : schemaQualified(walk, reference, level, at);
  if (entry?.info === undefined) return;
  const column = last === undefined ? undefined : entry.columns?.get(last);
  if (last === undefined) everyColumn(walk, [entry]);
  else if (column !== undefined) walk.part.column(entry.info.name, column);
  else fieldAccess(walk, last, at);
}

/** `schema.table.column` and `catalog.schema.table.column` mean the item without an alias; the rest is Postgres' to refuse. */
function schemaQualified(
  walk: Walk,
  reference: TreeObject,
  level: Level,
  at: number | undefined,
): Entry | undefined {
  const fields = list(reference, 'fields');
  const names = strings(fields);
  const [schema = '', table = ''] = names.slice(-3, -1);
  const closed = closedSchema(walk.part.context, schema, at);
  if (closed !== undefined) walk.part.refuse(closed);
  const entry = entryByName(level, schema, table);
  if (entry?.sent === undefined) return entry;
  const { sent } = entry;
  if (fields.length > 3 || sent[0] !== schema) {
    const lastField = fields.at(-1) ?? null;
    walk.part.writeName(reference, at, fields.length - 1, sent, {
      fields: [...sent.map(stringNode), lastField],
    });
  }
  return entry;
}

function bareName(walk: Walk, name: string, level: Level): void {
  const columns = columnsNamed(level, name);
  for (const [table, column] of columns) walk.part.column(table, column);
  if (columns.length > 0) return;
  const whole = entryByReference(level, name);
  if (whole !== undefined) everyColumn(walk, [whole]);
}

function everyColumn(walk: Walk, entries: readonly Entry[]): void {
  for (const { info } of entries) if (info !== undefined) walk.part.allColumns(info);
}

/** `(expression).name`: a field, or a function of one argument. */
export function fieldsOf(walk: Walk, indirection: TreeObject): void {
  for (const name of strings(list(indirection, 'indirection')))
    if (name !== undefined) fieldAccess(walk, name, undefined);
}

function fieldAccess(walk: Walk, name: string, at: number | undefined): void {
  const problem = fieldProblem(walk.part.context, name, at);
  if (problem !== undefined) walk.part.refuse(problem);
}

/** `OPERATOR(schema.+)`, a type's name: never Writ's schemas. */
export function qualifiedName(walk: Walk, names: readonly Tree[], at: number | undefined): void {
  if (names.length < 2) return;
  const schema = strings(names).at(-2);
  const problem = schema === undefined ? undefined : closedSchema(walk.part.context, schema, at);
  if (problem !== undefined) walk.part.refuse(problem);
}

function stringNode(text: string): TreeObject {
  return { String: { sval: text } };
}
