import type { TableInfo } from '../../../catalog/model.ts';
import { type Access, access, type Need } from './access.ts';
import type { PartRecord } from './part.ts';
import { refused } from './problem.ts';
import { type Resolved, resolveRelation } from './resolve.ts';
import { type Entry, isCommonTable, type Level, opaqueEntry, visibleColumns } from './scopes.ts';
import { child, list, locationOf, strings, type TreeObject, textOf } from './tree.ts';
import type { Walk } from './walk-model.ts';

// What a statement's relation names mean, and what they become in the text that is sent.

export interface Target {
  readonly entry: Entry;
  readonly info: TableInfo;
  readonly access: Access;
}

/** A relation that is read: common table expressions first, unless a schema is written. */
export function readRelation(walk: Walk, range: TreeObject, level: Level): Entry {
  const name = textOf(range, 'relname') ?? '';
  const alias = aliasOf(range);
  if (textOf(range, 'schemaname') === undefined && isCommonTable(level, name))
    return opaqueEntry(alias.name ?? name);
  return resolveAndWrite(walk.part, range, 'read')?.entry ?? opaqueEntry(alias.name ?? name);
}

/** A relation that is changed: never a common table expression, never one of the system's. */
export function changedRelation(
  part: PartRecord,
  range: TreeObject,
  need: Exclude<Need, 'read'>,
): Target | undefined {
  const found = resolveAndWrite(part, range, need);
  return found?.info === undefined || found.access === undefined
    ? undefined
    : { entry: found.entry, info: found.info, access: found.access };
}

/** Name, place and meaning of a RangeVar. */
export function resolveRange(part: PartRecord, range: TreeObject): Resolved {
  return resolveRelation(part.context, {
    catalog: textOf(range, 'catalogname'),
    schema: textOf(range, 'schemaname'),
    name: textOf(range, 'relname') ?? '',
    at: locationOf(range),
  });
}

interface Found {
  readonly entry: Entry;
  readonly info: TableInfo | undefined;
  readonly access: Access | undefined;
}

function resolveAndWrite(part: PartRecord, range: TreeObject, need: Need): Found | undefined {
  const resolved = resolveRange(part, range);
  const at = locationOf(range);
  switch (resolved.kind) {
    case 'problem':
      part.refuse(resolved.problem);
      return undefined;
    case 'system': {
      const sent = [resolved.schema, resolved.name] as const;
      if (need !== 'read') {
        part.refuse(
          refused('permission_denied', `permission denied for relation ${resolved.name}`, {
            detail: 'relations of the system are not changed through the gateway',
            at,
          }),
        );
        return undefined;
      }
      writeRange(part, range, sent);
      return { entry: entryFor(range, undefined, sent, sent), info: undefined, access: undefined };
    }
    default: {
      const granted = access(part, resolved.info, need, at);
      if (granted === undefined) return undefined;
      writeRange(part, range, granted.sent);
      const written = [resolved.schema, resolved.name] as const;
      const entry = entryFor(range, resolved.info, written, granted.sent);
      return { entry, info: resolved.info, access: granted };
    }
  }
}

/** Sends the relation as `schema.name`; a text that says so already stays. */
export function writeRange(part: PartRecord, range: TreeObject, sent: readonly [string, string]): void {
  const schema = textOf(range, 'schemaname');
  const catalog = textOf(range, 'catalogname');
  if (catalog === undefined && schema === sent[0] && textOf(range, 'relname') === sent[1]) return;
  const parts = 1 + (schema === undefined ? 0 : 1) + (catalog === undefined ? 0 : 1);
  part.writeName(range, locationOf(range), parts, sent, {
    catalogname: undefined,
    schemaname: sent[0],
    relname: sent[1],
  });
}

function entryFor(
  range: TreeObject,
  info: TableInfo | undefined,
  written: readonly [string, string],
  sent: readonly [string, string],
): Entry {
  const alias = aliasOf(range);
  return {
    refname: alias.name ?? written[1],
    info,
    columns: info === undefined ? undefined : visibleColumns(info, alias.columns),
    resolved: alias.name === undefined ? written : undefined,
    sent,
    inner: undefined,
  };
}

/** The alias of a FROM item and the names that it gives to columns. */
export function aliasOf(item: TreeObject): { name: string | undefined; columns: readonly string[] } {
  const alias = child(item, 'alias');
  if (alias === undefined) return { name: undefined, columns: [] };
  const columns = strings(list(alias, 'colnames')).filter((name) => name !== undefined);
  return { name: textOf(alias, 'aliasname'), columns };
}

/** Whether a data change asks for rows back. */
export function hasReturning(body: TreeObject): boolean {
  return child(body, 'returningClause') !== undefined;
}
