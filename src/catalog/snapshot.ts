import { createHash } from 'node:crypto';
import { canonicalJson } from '../audit/canonical.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { CatalogInfo, CatalogSnapshot, Discovered, FunctionInfo, TableInfo } from './model.ts';

// A snapshot and its name. Pure: the same content gives the same digest, whatever order it came in.

/** What one catalog holds, with the hash that names it. */
export interface CatalogContent extends Discovered {
  readonly catalog: CatalogInfo;
  /** `contentDigest` of what discovery found; empty before the first discovery. */
  readonly content: string;
}

export function contentDigest(found: Discovered): string {
  const sorted = sortDiscovered(found);
  return sha256(canonicalJson({ ...sorted, tables: sorted.tables.map(withoutEstimate) }));
}

/** In order of names, so that discovery's own order does not count. */
export function sortDiscovered(found: Discovered): Discovered {
  return {
    schemas: [...found.schemas].sort(),
    tables: byKey(found.tables, (table) => table.name),
    functions: byKey(found.functions, (fn) => `${fn.name}(${fn.signature})`),
    partitions: byKey(found.partitions, (partition) => partition.name),
  };
}

export function buildSnapshot(contents: readonly CatalogContent[]): CatalogSnapshot {
  const sorted = byKey(contents, (content) => content.catalog.name);
  const functions = new Map<SecurableName, FunctionInfo[]>();
  for (const fn of sorted.flatMap((content) => content.functions)) {
    const overloads = functions.get(fn.name);
    if (overloads === undefined) functions.set(fn.name, [fn]);
    else overloads.push(fn);
  }
  return {
    catalogs: new Map(sorted.map(({ catalog }) => [catalog.name, catalog])),
    schemas: new Set(sorted.flatMap((content) => content.schemas)),
    tables: new Map(sorted.flatMap((content) => content.tables).map((table) => [table.name, table])),
    functions,
    partitions: new Map(
      sorted.flatMap((content) => content.partitions).map(({ name, parent }) => [name, parent]),
    ),
    digest: sha256(canonicalJson(sorted.map(({ catalog, content }) => ({ catalog, content })))),
  };
}

/** Estimates move by themselves; a policy must not be recompiled because of them. */
function withoutEstimate({ rowsEstimate: _, ...table }: TableInfo): object {
  return table;
}

function byKey<T>(values: readonly T[], key: (value: T) => string): readonly T[] {
  return values
    .map((value) => ({ value, at: key(value) }))
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
    .map(({ value }) => value);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
