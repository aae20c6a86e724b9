import { z } from 'zod';
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
      run: async (input) => {
        const catalog = parseSecurableName(input.catalog);
        const changed = await discover(catalog);
        if (changed) await inForce.refresh(`${catalog} was discovered again`);
        const tables = [...inForce.current().catalog.tables.keys()].filter((table) =>
          isWithin(table, catalog),
        );
        return { catalog, tables: tables.length, changed };
      },
    }),
  ];
}
