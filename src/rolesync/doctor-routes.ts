import { z } from 'zod';
import { actingAs } from '../audit/acting.ts';
import type { AuditLog } from '../audit/log-interface.ts';
import type { CatalogInfo } from '../catalog/model.ts';
import type { Cluster } from '../fleet/cluster.ts';
import { WritError } from '../kernel/errors.ts';
import { type Route, route } from '../kernel/route.ts';
import { metastore } from '../kernel/securable-name.ts';
import { join } from '../kernel/sql.ts';
import type { Snapshot } from '../policy/model.ts';
import type { AcceptedPaths } from './accepted-paths.ts';
import { blocksDirect, type DoctorFinding, doctor, ruledRelations } from './doctor.ts';
import { applyHarden, hardenPlan } from './harden.ts';

// `/api/v1/clusters/*`: every way around the policy, and the closing of those that the operator picks.

export interface DoctorRouteOptions {
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly currentSnapshot: () => Snapshot;
  readonly accepted: AcceptedPaths;
  readonly audit: AuditLog;
}

const manageMetastore = { kind: 'privilege', privilege: 'MANAGE', on: () => metastore } as const;

export function doctorRoutes(options: DoctorRouteOptions): readonly Route[] {
  return [
    route({
      method: 'get',
      path: '/api/v1/clusters',
      summary: 'Known clusters',
      input: z.object({}),
      output: z.unknown(),
      requires: manageMetastore,
      run: async () => ({ clusters: await Promise.all([...options.clusters.values()].map(clusterRow)) }),
    }),
    route({
      method: 'post',
      path: '/api/v1/clusters/{name}/doctor',
      summary: 'Every way around the policy',
      input: z.object({ name: z.string() }),
      output: z.unknown(),
      requires: manageMetastore,
      run: async ({ name }) => {
        const found = await Promise.all(catalogsOf(options, name).map((info) => examine(options, info)));
        return { findings: found.flat().map((finding) => findingValue(finding, options.accepted.of(name))) };
      },
    }),
    hardenRoute(options),
  ];
}

function hardenRoute(options: DoctorRouteOptions): Route {
  return route({
    method: 'post',
    path: '/api/v1/clusters/{name}/harden',
    summary: 'Plan or do the closing of ways around',
    output: z.unknown(),
    requires: manageMetastore,
    input: z.object({
      name: z.string(),
      apply: z.boolean().default(false),
      only: z.array(z.string()).optional(),
      accept: z.array(z.string()).optional(),
    }),
    run: async (input, caller) => {
      await checkIds(options, input.name, [...(input.only ?? []), ...(input.accept ?? [])]);
      const acting = { ...options, audit: actingAs(options.audit, caller) };
      if (input.accept !== undefined) options.accepted.accept(input.name, input.accept);
      const accepted = options.accepted.of(input.name);
      const picked = input.only === undefined ? undefined : new Set(input.only);
      const operations = await Promise.all(
        catalogsOf(options, input.name).map((info) =>
          hardenCatalog(acting, info, { accepted, picked, apply: input.apply }),
        ),
      );
      return { operations: operations.flat(), applied: input.apply };
    },
  });
}

/** @throws not_found for ids that doctor does not report: a slip of the pen must not look like a job done. */
async function checkIds(
  options: DoctorRouteOptions,
  cluster: string,
  asked: readonly string[],
): Promise<void> {
  if (asked.length === 0) return;
  const found = await Promise.all(catalogsOf(options, cluster).map((info) => examine(options, info)));
  const known = new Set(found.flat().map((finding) => finding.id));
  const missing = asked.filter((id) => !known.has(id) && !options.accepted.of(cluster).has(id));
  if (missing.length === 0) return;
  throw new WritError('not_found', {
    message: `no finding ${missing.join(', ')} in cluster ${cluster}`,
    hint: known.size === 0 ? 'there are none at all' : `there are: ${[...known].join(', ')}`,
  });
}

export interface HardenChoice {
  readonly accepted: ReadonlySet<string>;
  readonly picked: ReadonlySet<string> | undefined;
  readonly apply: boolean;
}

/** @returns what would be closed, or was. */
export async function hardenCatalog(
  options: DoctorRouteOptions,
  info: CatalogInfo,
  choice: HardenChoice,
): Promise<readonly { words: string; sql: string }[]> {
  const findings = (await examine(options, info)).filter((finding) => !choice.accepted.has(finding.id));
  const plan = hardenPlan(findings, choice.picked);
  if (choice.apply) {
    const cluster = info.cluster ?? '';
    await applyHarden(clusterNamed(options, cluster), info.database ?? '', plan, (statement) => {
      options.audit.append({ kind: 'sync.operation', cluster, catalog: info.name, statement });
      options.audit.flush();
    });
  }
  return plan.operations.map((operation) => ({
    words: operation.words,
    sql: `${join(operation.statements, ';\n').text};`,
  }));
}

/** What keeps direct credentials of a catalog from being issued, in words. */
export async function openPaths(options: DoctorRouteOptions, info: CatalogInfo): Promise<readonly string[]> {
  const blocking = blocksDirect(await examine(options, info), options.accepted.of(info.cluster ?? ''));
  return blocking.map((finding) => `${finding.id} (${finding.title})`);
}

function examine(
  { clusters, currentSnapshot }: DoctorRouteOptions,
  info: CatalogInfo,
): Promise<readonly DoctorFinding[]> {
  const cluster = clusterNamed({ clusters }, info.cluster ?? '');
  return doctor(cluster, info.database ?? '', {
    catalog: info.name,
    ruled: ruledRelations(currentSnapshot(), info.name),
  });
}

function catalogsOf(options: DoctorRouteOptions, cluster: string): readonly CatalogInfo[] {
  clusterNamed(options, cluster);
  return [...options.currentSnapshot().catalog.catalogs.values()].filter((info) => info.cluster === cluster);
}

function clusterNamed({ clusters }: Pick<DoctorRouteOptions, 'clusters'>, name: string): Cluster {
  const cluster = clusters.get(name);
  if (cluster === undefined)
    throw new WritError('not_found', { message: `no cluster ${name}`, hint: '`writ cluster ls` lists them' });
  return cluster;
}

async function clusterRow(cluster: Cluster): Promise<object> {
  const version = await cluster.version().then(
    (number) => `${Math.floor(number / 10_000)}.${number % 10_000}`,
    () => 'unreachable',
  );
  return { name: cluster.name, host: cluster.host, port: cluster.port, version };
}

function findingValue(finding: DoctorFinding, accepted: ReadonlySet<string>): object {
  const { id, severity, title, why, where, fix } = finding;
  return {
    id,
    severity,
    title,
    why,
    where,
    fixes: (fix ?? []).map((statement) => statement.text),
    accepted: finding.accepts && accepted.has(id),
  };
}
