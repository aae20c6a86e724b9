import type { TableInfo } from '../../../catalog/model.ts';
import type { SecurableName } from '../../../kernel/securable-name.ts';

// The query levels of a statement, as Postgres' parse analysis nests them: which names mean common table expressions,
// and which relations a column may belong to.

/** One item of a FROM clause, or the target of a change. */
export interface Entry {
  /** The alias, or the relation's name. */
  readonly refname: string;
  /** A relation of the catalog. */
  readonly info: TableInfo | undefined;
  /** Visible column → the table's own; an alias may rename. Undefined where we do not know the columns. */
  readonly columns: ReadonlyMap<string, string> | undefined;
  /** Schema and name as resolved, when `schema.name.column` may refer to it: it has no alias. */
  readonly resolved: readonly [string, string] | undefined;
  /** Schema and name in the text that is sent. */
  readonly sent: readonly [string, string] | undefined;
  /** A subquery's own level. */
  readonly inner: Level | undefined;
}

export interface Level {
  readonly parent: Level | undefined;
  readonly ctes: Set<string>;
  readonly entries: Entry[];
}

export function newLevel(parent: Level | undefined): Level {
  return { parent, ctes: new Set(), entries: [] };
}

/** An item whose columns we do not know. */
export function opaqueEntry(refname: string, inner?: Level): Entry {
  return { refname, info: undefined, columns: undefined, resolved: undefined, sent: undefined, inner };
}

/** The same relation under another name: `excluded`, `old`, `new`. */
export function renamedEntry(entry: Entry, refname: string): Entry {
  return { ...entry, refname, resolved: undefined };
}

export function isCommonTable(level: Level | undefined, name: string): boolean {
  for (let at = level; at !== undefined; at = at.parent) if (at.ctes.has(name)) return true;
  return false;
}

export function entryByReference(level: Level | undefined, refname: string): Entry | undefined {
  for (let at = level; at !== undefined; at = at.parent) {
    const found = at.entries.find((entry) => entry.refname === refname);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The relation that `schema.name.column` refers to: the nearest one without an alias. */
export function entryByName(level: Level | undefined, schema: string, name: string): Entry | undefined {
  for (let at = level; at !== undefined; at = at.parent) {
    const found = at.entries.find(({ resolved }) => resolved?.[0] === schema && resolved[1] === name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Columns that an unqualified name may mean: those of the nearest level that has it; none where a subquery may own it. */
export function columnsNamed(level: Level | undefined, name: string): readonly [SecurableName, string][] {
  for (let at = level; at !== undefined; at = at.parent) {
    const found = at.entries.flatMap((entry): [SecurableName, string][] => {
      const column = entry.columns?.get(name);
      return column === undefined || entry.info === undefined ? [] : [[entry.info.name, column]];
    });
    if (found.length > 0 || at.entries.some((entry) => entry.columns === undefined)) return found;
  }
  return [];
}

/** Visible names of a relation's columns under an alias with a column list. */
export function visibleColumns(info: TableInfo, renamed: readonly string[]): ReadonlyMap<string, string> {
  return new Map(info.columns.map((column, i) => [renamed[i] ?? column.name, column.name]));
}

/** Every relation of the catalog in an item, through subqueries. */
export function relationsWithin(entry: Entry): readonly TableInfo[] {
  if (entry.info !== undefined) return [entry.info];
  return entry.inner === undefined ? [] : entry.inner.entries.flatMap(relationsWithin);
}
