import type { TableInfo } from '../catalog/model.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { Snapshot } from './model.ts';

/** The tables that a relation shows rows of: itself, or what a view reads through any chain; undefined when not all is known. */
export function tablesBeneath(snapshot: Snapshot, info: TableInfo): readonly SecurableName[] | undefined {
  const found = new Set<SecurableName>();
  const seen = new Set<SecurableName>();
  const open: TableInfo[] = [info];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next.name)) continue;
    seen.add(next.name);
    if (next.kind !== 'VIEW' && next.kind !== 'MATERIALIZED_VIEW') {
      found.add(next.name);
      continue;
    }
    if (next.reads === undefined) return undefined;
    for (const name of next.reads) {
      const read = snapshot.catalog.tables.get(name);
      if (read === undefined) return undefined;
      open.push(read);
    }
  }
  return [...found];
}
