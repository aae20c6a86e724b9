import { loadModule } from 'libpg-query';
import type { AuditLog } from '../audit/log-interface.ts';
import type { CatalogInfo } from '../catalog/model.ts';
import type { AdminConnection, Cluster } from '../fleet/cluster.ts';
import { WritError } from '../kernel/errors.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import { join } from '../kernel/sql.ts';
import type { Snapshot } from '../policy/model.ts';
import { applyOperations, lockDatabase, unlockDatabase } from './apply.ts';
import { describe } from './describe.ts';
import { desiredState } from './desired.ts';
import { diff } from './diff.ts';
import { type DriftFinding, driftOf } from './drift.ts';
import { type GuardSettings, guard, limitsOf } from './guard.ts';
import { inspectDatabase, type Observed } from './inspect.ts';
import { pause, resume } from './pause.ts';
import type { Effect, PlanOperation } from './plan-operation.ts';
import { render } from './render.ts';
import type { DatabaseState } from './state.ts';
import { uninstall } from './uninstall.ts';

// The room's front: inspect, diff, guard, apply, look again. One catalog of kind POSTGRES at a time.

export interface SyncTarget {
  readonly cluster: Cluster;
  readonly catalog: CatalogInfo;
  readonly snapshot: Snapshot;
  readonly limits?: GuardSettings | undefined;
}

export interface PlannedOperation {
  readonly words: string;
  readonly sql: string;
  readonly effect: Effect;
}

export interface ClusterPlan {
  readonly operations: readonly PlannedOperation[];
  /** Sentences: what the database does not enforce or offer, and why. */
  readonly notEnforced: readonly string[];
  /** Names what was observed: an apply may insist on it. */
  readonly digest: string;
}

export interface ApplyOptions extends SyncTarget {
  readonly audit: AuditLog;
  /** Apply only if what is observed is what the plan saw. */
  readonly digest?: string;
}

/** What an apply would do; reads only. @throws unreachable, guard_refused */
export async function planCluster(target: SyncTarget): Promise<ClusterPlan> {
  await loadModule();
  return target.cluster.withAdmin(databaseOf(target.catalog), async (connection) => {
    const { observed, desired, operations, notEnforced } = await compare(connection, target);
    guard(operations, observed, desired, limitsOf(target.limits));
    return asPlan(observed, operations, notEnforced);
  });
}

/**
 * Brings one database to the policy and looks again: done means that the next plan is empty.
 * @returns what was done @throws conflict (busy, changed since the plan, not converged), guard_refused, unreachable
 */
export async function applyCluster(options: ApplyOptions): Promise<ClusterPlan> {
  await loadModule();
  return options.cluster.withAdmin(databaseOf(options.catalog), async (connection) => {
    await lockDatabase(connection);
    try {
      const { observed, desired, operations, notEnforced } = await compare(connection, options);
      if (options.digest !== undefined && options.digest !== observed.digest) {
        throw new WritError('conflict', {
          message: `cluster ${options.cluster.name} changed since the plan was made`,
          hint: 'plan again',
        });
      }
      guard(operations, observed, desired, limitsOf(options.limits));
      const { audit, catalog, snapshot, cluster } = options;
      await applyOperations(
        {
          connection,
          cluster: cluster.name,
          tokenKey: cluster.tokenKey,
          catalog,
          audit,
          version: observed.versionNumber,
          policyVersion: snapshot.id,
        },
        operations,
      );
      const left = operations.length === 0 ? [] : await verify(connection, options);
      return asPlan(observed, operations, [...notEnforced, ...left]);
    } finally {
      await unlockDatabase(connection).catch(() => undefined); // the connection may be gone; the lock went with it
    }
  });
}

/** How the database differs from the policy in force. */
export async function driftCluster(target: SyncTarget): Promise<readonly DriftFinding[]> {
  await loadModule();
  return target.cluster.withAdmin(databaseOf(target.catalog), async (connection) => {
    const { observed, desired, operations } = await compare(connection, target);
    return driftOf(observed, desired, operations);
  });
}

export interface TableOptions extends ApplyOptions {
  readonly table: SecurableName;
}

/** Withdraws the views of a table, so that any migration of it can run. @throws no_such_table */
export async function pauseTable(options: TableOptions): Promise<void> {
  const { cluster, catalog, audit, table } = options;
  await cluster.withAdmin(databaseOf(catalog), (connection) =>
    pause({ connection, cluster: cluster.name, catalog, audit }, table),
  );
}

/** Makes the views again as policy and catalog have them now. @throws no_such_table */
export async function resumeTable(options: TableOptions): Promise<void> {
  const { cluster, catalog, audit, table } = options;
  await cluster.withAdmin(databaseOf(catalog), (connection) =>
    resume({ connection, cluster: cluster.name, catalog, audit }, table),
  );
  await applyCluster(options);
}

/** Removes everything of ours from every database of the cluster. @returns what went, in words */
export async function uninstallCluster(options: {
  readonly cluster: Cluster;
  readonly catalog: CatalogInfo;
  readonly audit: AuditLog;
}): Promise<readonly string[]> {
  return uninstall(options);
}

interface Comparison {
  readonly observed: Observed;
  readonly desired: DatabaseState;
  readonly operations: readonly PlanOperation[];
  readonly notEnforced: readonly string[];
}

async function compare(
  connection: AdminConnection,
  { cluster, catalog, snapshot }: SyncTarget,
): Promise<Comparison> {
  const observed = await inspectDatabase(connection, catalog);
  const { state: desired, notEnforced } = desiredState(snapshot, catalog, {
    superuser: observed.superuser,
    tokenKey: cluster.tokenKey?.fingerprint(),
  });
  const operations = diff(observed.state, desired);
  return {
    observed,
    desired,
    operations,
    notEnforced: [
      ...notEnforced,
      ...absences(observed.state, desired),
      ...unhardened(observed.state, catalog),
    ],
  };
}

/** Where nothing of ours was, ways around stand open as Postgres leaves them: uninstall gives back what harden took. */
function unhardened(actual: DatabaseState, catalog: CatalogInfo): string[] {
  return actual.schemas.has('writ')
    ? []
    : [
        `the database ${databaseOf(catalog)} is not hardened: after this is applied, run \`writ cluster harden ${catalog.cluster ?? ''} --apply\``,
      ];
}

function absences(actual: DatabaseState, desired: DatabaseState): string[] {
  return [...actual.views].flatMap(([key, fact]) =>
    fact.state !== 'made' && desired.views.has(key)
      ? [`${fact.schema}.${fact.name} is ${fact.state}, because ${fact.reason ?? 'it was dropped'}`]
      : [],
  );
}

/** PostgreSQL reports success for many a REVOKE that did nothing: only looking again tells. */
async function verify(connection: AdminConnection, options: ApplyOptions): Promise<readonly string[]> {
  const { observed, desired, operations } = await compare(connection, options);
  // A withdrawn view is proposed again until its table fits; a role may still be needed in another database.
  const left = operations.filter(
    (operation) =>
      !(operation.op === 'drop-role' || (operation.op === 'make-view' && operation.how === 'create')),
  );
  if (left.length > 0) {
    throw new WritError('conflict', {
      message: `cluster ${options.cluster.name} is not yet what the policy says`,
      detail: left.map(describe).join('; '),
      hint: 'somebody else changes the same objects, or the administrative login may not; `writ sync plan` shows what is left',
    });
  }
  return absences(observed.state, desired);
}

function asPlan(
  observed: Observed,
  operations: readonly PlanOperation[],
  notEnforced: readonly string[],
): ClusterPlan {
  return {
    operations: operations.map((operation) => ({
      words: describe(operation),
      sql:
        operation.op === 'install-schema' || operation.op === 'install-event-triggers'
          ? `-- ${operation.op === 'install-schema' ? 'writ-schema.sql' : 'writ-event-triggers.sql'}`
          : `${join(render(operation, observed.versionNumber), ';\n').text};`,
      effect: operation.effect,
    })),
    notEnforced: [...new Set(notEnforced)],
    digest: observed.digest,
  };
}

/** @throws invalid_config for a catalog without a database */
function databaseOf(catalog: CatalogInfo): string {
  if (catalog.database === undefined)
    throw new WritError('invalid_config', { message: `catalog ${catalog.name} names no database` });
  return catalog.database;
}
