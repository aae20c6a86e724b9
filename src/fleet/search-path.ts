import type { PrincipalName } from '../kernel/principal.ts';
import { isWithin, lastPart, type SecurableName } from '../kernel/securable-name.ts';
import type { Snapshot } from '../policy/model.ts';
import { tablesBeneath } from '../policy/tables-beneath.ts';
import { reachOf } from './reach.ts';
import { shadowSchema } from './shadow-names.ts';

/**
 * The search_path of a direct login: unqualified names find the shadow views that the person may read. Per schema the
 * clear views come first, and only for those whom no rule of that schema binds: a name is found in the first schema
 * that has it, whether or not it may be read there. The application's schemas stand last, for types and functions.
 * `public` goes before the others, as names there are the ones that applications leave unqualified.
 */
export function directSearchPath(
  snapshot: Snapshot,
  principal: PrincipalName,
  catalog: SecurableName,
): readonly string[] {
  const schemas = [...snapshot.catalog.schemas]
    .filter((schema) => isWithin(schema, catalog))
    .map((schema) => ({ schema, name: lastPart(schema) }))
    .toSorted((a, b) => Number(b.name === 'public') - Number(a.name === 'public') || compare(a.name, b.name));
  const shadows = schemas.flatMap(({ schema, name }) => {
    const reads = readsIn(snapshot, principal, schema);
    if (reads.none) return [];
    const governed = shadowSchema(name, 'direct', 'governed');
    return reads.clearFirst ? [shadowSchema(name, 'direct', 'clear'), governed] : [governed];
  });
  return [...shadows, ...schemas.map(({ name }) => name)];
}

interface Reads {
  readonly none: boolean;
  readonly clearFirst: boolean;
}

function readsIn(snapshot: Snapshot, principal: PrincipalName, schema: SecurableName): Reads {
  let clear = 0;
  let bound = 0;
  let plain = 0;
  for (const [name, info] of snapshot.catalog.tables) {
    if (!isWithin(name, schema)) continue;
    const { read } = reachOf(snapshot, principal, name, 'direct');
    if (read === undefined) continue;
    if (read === 'clear') clear++;
    else if (tablesBeneath(snapshot, info)?.some((table) => snapshot.tableRules(table) !== undefined))
      bound++;
    else plain++;
  }
  return { none: clear + bound + plain === 0, clearFirst: clear > 0 && bound === 0 };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
