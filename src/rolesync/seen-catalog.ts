import { createHash } from 'node:crypto';
import type { CatalogSnapshot, Discovered, FunctionInfo } from '../catalog/model.ts';
import { contentDigest, sortDiscovered } from '../catalog/snapshot.ts';
import { isWithin, type SecurableName } from '../kernel/securable-name.ts';

/** The snapshot with what one catalog holds replaced by what was just seen; for plans, never stored. Pure. */
export function withDiscovered(
  snapshot: CatalogSnapshot,
  catalog: SecurableName,
  discovered: Discovered,
): CatalogSnapshot {
  const found = sortDiscovered(discovered);
  const others = <T>(map: ReadonlyMap<SecurableName, T>) =>
    [...map].filter(([name]) => !isWithin(name, catalog));
  const functions = new Map<SecurableName, readonly FunctionInfo[]>(others(snapshot.functions));
  for (const one of found.functions) functions.set(one.name, [...(functions.get(one.name) ?? []), one]);
  return {
    catalogs: snapshot.catalogs,
    schemas: new Set([...[...snapshot.schemas].filter((name) => !isWithin(name, catalog)), ...found.schemas]),
    tables: new Map([
      ...others(snapshot.tables),
      ...found.tables.map((table) => [table.name, table] as const),
    ]),
    functions,
    partitions: new Map([
      ...others(snapshot.partitions),
      ...found.partitions.map(({ name, parent }) => [name, parent] as const),
    ]),
    digest: createHash('sha256')
      .update(`${snapshot.digest} ${catalog} ${contentDigest(found)}`)
      .digest('hex'),
  };
}
