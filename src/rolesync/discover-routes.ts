import { z } from 'zod';
import { WritError } from '../kernel/errors.ts';
import { type Route, route } from '../kernel/route.ts';
import { isWithin, parseSecurableName, type SecurableName } from '../kernel/securable-name.ts';
import type { InForce } from './in-force.ts';

export interface DiscoverRouteOptions {
  readonly inForce: InForce;
  readonly discover: (catalog: SecurableName) => Promise<boolean>;
}

/** Looks again at what a catalog holds; the policy in force is compiled against it at once. */
export function discoverRoutes({ inForce, discover }: DiscoverRouteOptions): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/api/v1/catalog/discover',
      summary: 'Look again at what a catalog holds',
      input: z.object({ catalog: z.string() }),
      output: z.unknown(),
      requires: { kind: 'privilege', privilege: 'MANAGE', on: (input) => parseSecurableName(input.catalog) },
      run: async (input, caller) => {
        const catalog = parseSecurableName(input.catalog);
        if (!inForce.current().catalog.catalogs.has(catalog))
          throw new WritError('not_found', {
            message: `there is no catalog ${catalog}`,
            hint: '`writ catalog ls` lists them',
          });
        const before = inForce.current().id;
        const found = await discover(catalog);
        // Also when nothing is new: what an earlier look found may still wait for a policy that compiles.
        await inForce.refresh(`${catalog} was discovered again`, caller);
        const changed = found || inForce.current().id !== before;
        const tables = [...inForce.current().catalog.tables.keys()].filter((table) =>
          isWithin(table, catalog),
        );
        return { catalog, tables: tables.length, changed };
      },
    }),
  ];
}
