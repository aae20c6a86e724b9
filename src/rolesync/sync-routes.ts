import { z } from 'zod';
import { actingAs } from '../audit/acting.ts';
import type { AuditLog } from '../audit/log-interface.ts';
import type { Cluster } from '../fleet/cluster.ts';
import { WritError } from '../kernel/errors.ts';
import { type Route, route } from '../kernel/route.ts';
import {
  formatSecurableName,
  metastore,
  nameParts,
  parseSecurableName,
  type SecurableName,
} from '../kernel/securable-name.ts';
import { clusterOf, type InForce, postgresCatalogs } from './in-force.ts';
import { driftCluster, pauseTable, resumeTable, uninstallCluster } from './reconcile.ts';
import { clusterValue, planAgain, repairAll } from './repair.ts';

// `/api/v1/sync/*`: bring clusters to the policy in force, say how they differ, let go of them.

export interface SyncRouteOptions {
  readonly inForce: InForce;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly audit: AuditLog;
  /** Looks at what a catalog holds before it is planned: a swapped table is another table. */
  readonly discover: (catalog: SecurableName) => Promise<boolean>;
  /** Ends the sessions of a cluster that is let go. */
  readonly onUninstall: (catalogs: readonly SecurableName[]) => Promise<void>;
}

const manageMetastore = { kind: 'privilege', privilege: 'MANAGE', on: () => metastore } as const;
const anything = z.unknown();
const nothing = z.object({});

export function syncRoutes(options: SyncRouteOptions): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/api/v1/sync/plan',
      summary: 'What would be repaired',
      input: nothing,
      output: anything,
      requires: manageMetastore,
      run: async () => {
        return { clusters: (await planAgain(options)).map(clusterValue) };
      },
    }),
    route({
      method: 'post',
      path: '/api/v1/sync/apply',
      summary: 'Repair drift from the policy in force',
      input: nothing,
      output: anything,
      requires: manageMetastore,
      run: async (_input, caller) => ({ clusters: (await repairAll(options, caller)).map(clusterValue) }),
    }),
    driftRoute(options),
    ...tableRoutes(options),
    uninstallRoute(options),
  ];
}

function driftRoute({ inForce, clusters, audit }: SyncRouteOptions): Route {
  return route({
    method: 'post',
    path: '/api/v1/sync/drift',
    summary: 'How clusters differ from the policy in force',
    input: nothing,
    output: anything,
    requires: manageMetastore,
    run: async () => {
      const found = await Promise.all(
        postgresCatalogs(inForce.current()).map(async (info) => {
          const findings = await driftCluster({
            cluster: clusterOf(clusters, info),
            catalog: info,
            snapshot: inForce.current(),
          });
          return findings.map((finding) => ({ cluster: info.cluster ?? '', ...finding }));
        }),
      );
      for (const { cluster, severity, summary } of found.flat())
        audit.append({ kind: 'sync.drift', cluster, severity, summary });
      return { findings: found.flat() };
    },
  });
}

function uninstallRoute({ inForce, clusters, audit, onUninstall }: SyncRouteOptions): Route {
  return route({
    method: 'post',
    path: '/api/v1/sync/uninstall',
    summary: 'Remove everything that Writ made in a cluster',
    input: z.object({ cluster: z.string() }),
    output: anything,
    requires: manageMetastore,
    run: async ({ cluster }, caller) => {
      const catalogs = postgresCatalogs(inForce.current()).filter((info) => info.cluster === cluster);
      if (!isFilled(catalogs))
        throw new WritError('not_found', {
          message: `no cluster ${cluster}`,
          hint: '`writ cluster ls` lists them',
        });
      await onUninstall(catalogs.map((info) => info.name));
      // One call clears every database of the cluster, whichever catalog it is asked for.
      const [catalog] = catalogs;
      const removed = await uninstallCluster({
        cluster: clusterOf(clusters, catalog),
        catalog,
        audit: actingAs(audit, caller),
      });
      return { removed };
    },
  });
}

function tableRoutes({ inForce, clusters, audit }: SyncRouteOptions): readonly Route[] {
  const verbs = [
    ['pause', pauseTable, "Withdraw a table's views for a migration"],
    ['resume', resumeTable, "Make a paused table's views again"],
  ] as const;
  return verbs.map(([verb, run, summary]) =>
    route({
      method: 'post',
      path: `/api/v1/sync/${verb}`,
      summary,
      input: z.object({ table: z.string() }),
      output: anything,
      requires: { kind: 'privilege', privilege: 'MANAGE', on: (input) => parseSecurableName(input.table) },
      run: async (input, caller) => {
        const table = parseSecurableName(input.table);
        const info = inForce
          .current()
          .catalog.catalogs.get(formatSecurableName(nameParts(table).slice(0, 1)));
        if (info === undefined) throw new WritError('not_found', { message: `no table ${table}` });
        await run({
          cluster: clusterOf(clusters, info),
          catalog: info,
          snapshot: inForce.current(),
          table,
          audit: actingAs(audit, caller),
        });
        return { table };
      },
    }),
  );
}

function isFilled<T>(list: readonly T[]): list is readonly [T, ...T[]] {
  return list.length > 0;
}
