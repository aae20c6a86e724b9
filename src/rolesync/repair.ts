import { actingAs } from '../audit/acting.ts';
import type { AuditLog } from '../audit/log-interface.ts';
import type { CatalogInfo } from '../catalog/model.ts';
import type { Cluster } from '../fleet/cluster.ts';
import { toWritError, WritError } from '../kernel/errors.ts';
import type { Caller } from '../kernel/route.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import { type CatalogPlan, clusterOf, type InForce, planCatalogs, postgresCatalogs } from './in-force.ts';
import { applyCluster, driftCluster } from './reconcile.ts';
import { withDiscovered } from './seen-catalog.ts';

// `writ sync plan` and `writ sync apply`: what a repair would do, and the repair. A plan reads, and changes nothing at
// all; a repair that leaves something as it was says so.

export interface RepairOptions {
  readonly inForce: InForce;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly audit: AuditLog;
  /** Looks at what a catalog holds before it is repaired: a swapped table is another table. */
  readonly discover: (catalog: SecurableName) => Promise<boolean>;
}

/** The policy in force against the catalogs as they are at this moment, without keeping what was seen. */
export async function planAgain({ inForce, clusters }: RepairOptions): Promise<readonly CatalogPlan[]> {
  let seen = inForce.current().catalog;
  for (const info of postgresCatalogs(inForce.current())) {
    const cluster = clusters.get(info.cluster ?? '');
    if (cluster === undefined || info.database === undefined) continue;
    // A cluster that does not answer says so when it is planned.
    const found = await cluster.discover(info.name, info.database).catch(() => undefined);
    if (found !== undefined) seen = withDiscovered(seen, info.name, found);
  }
  try {
    return await planCatalogs(clusters, await inForce.preview(seen), inForce.limits);
  } catch (thrown) {
    const plans = await planCatalogs(clusters, inForce.current(), inForce.limits);
    return plans.map((each) => ({ ...each, error: each.error ?? toWritError(thrown) }));
  }
}

/** Brings every cluster to the policy in force, and looks whether it is there. */
export async function repairAll(options: RepairOptions, caller: Caller): Promise<readonly CatalogPlan[]> {
  const { inForce } = options;
  const { done, obstacle } = await lookAgain(options, caller);
  const plans = await Promise.all(
    postgresCatalogs(inForce.current()).map(async (info) => {
      const earlier = done.find((each) => each.catalog === info.name);
      return repair(options, info, caller, earlier);
    }),
  );
  // After all of them: a role goes with the last database that needs it.
  return Promise.all(plans.map((each) => withRemainder(options, each, obstacle)));
}

async function lookAgain({ inForce, discover }: RepairOptions, caller: Caller) {
  await Promise.all(
    postgresCatalogs(inForce.current()).map((info) => discover(info.name).catch(() => false)),
  );
  try {
    return { done: await inForce.refresh('sync apply: the catalog changed', caller), obstacle: undefined };
  } catch (thrown) {
    return { done: [], obstacle: toWritError(thrown) };
  }
}

async function repair(
  { inForce, clusters, audit }: RepairOptions,
  info: CatalogInfo,
  caller: Caller,
  earlier: CatalogPlan | undefined,
): Promise<CatalogPlan> {
  const cluster = info.cluster ?? '';
  const place = { cluster, catalog: info.name };
  const acting = actingAs(audit, caller);
  try {
    const last = await applyCluster({
      cluster: clusterOf(clusters, info),
      catalog: info,
      snapshot: inForce.current(),
      limits: inForce.limits,
      audit: acting,
    });
    const before = earlier?.error === undefined ? earlier?.plan : undefined;
    const operations = [...(before?.operations ?? []), ...last.operations];
    const notEnforced = [...new Set([...(before?.notEnforced ?? []), ...last.notEnforced])];
    acting.append({
      kind: 'sync.operation',
      cluster,
      catalog: info.name,
      policyVersion: inForce.current().id,
      statement: `sync apply: ${operations.length} operations`,
    });
    return { ...place, plan: { ...last, operations, notEnforced }, error: undefined };
  } catch (thrown) {
    return { ...place, plan: undefined, error: toWritError(thrown) };
  }
}

/** What is still not as the policy says is an error, with the reason where we know it. */
async function withRemainder(
  { inForce, clusters }: RepairOptions,
  each: CatalogPlan,
  obstacle: WritError | undefined,
): Promise<CatalogPlan> {
  const info = inForce.current().catalog.catalogs.get(each.catalog);
  if (each.error !== undefined || info === undefined) return each;
  if (obstacle !== undefined) return { ...each, error: obstacle };
  try {
    const target = { cluster: clusterOf(clusters, info), catalog: info, snapshot: inForce.current() };
    const left = (await driftCluster(target)).filter(({ severity }) => severity !== 'reported');
    return left.length === 0 ? each : { ...each, error: remainder(left.map(({ summary }) => summary)) };
  } catch (thrown) {
    return { ...each, error: toWritError(thrown) };
  }
}

function remainder(summaries: readonly string[]): WritError {
  return new WritError('conflict', {
    message: `${summaries.length} difference${summaries.length === 1 ? ' is' : 's are'} left that this apply cannot repair`,
    detail: summaries.join('; '),
    hint: '`writ sync drift` lists them; put the table back, or change the policy, and apply again',
  });
}

/** One cluster's part of a plan or a repair, as the API prints it: with what to do where something went wrong. */
export function clusterValue({ cluster, catalog, plan, error }: CatalogPlan): object {
  const why = error === undefined ? [] : [error.message, error.detail, error.hint];
  return {
    cluster,
    catalog,
    operations: (plan?.operations ?? []).map(({ words, sql }) => ({ words, sql })),
    notEnforced: plan?.notEnforced ?? [],
    ...(error === undefined ? {} : { error: why.filter((part) => part !== undefined).join('\n  ') }),
  };
}
