import type { Logger } from 'pino';
import { actingAs } from '../audit/acting.ts';
import type { AuditLog } from '../audit/log-interface.ts';
import type { Cluster } from '../fleet/cluster.ts';
import { governedDatabases, type Place } from '../fleet/governed-databases.ts';
import type { DirectCredentials } from '../fleet/logins.ts';
import type { Clock } from '../kernel/clock.ts';
import { toWritError } from '../kernel/errors.ts';
import { operatorName } from '../kernel/principal.ts';
import type { Snapshot } from '../policy/model.ts';
import { joinUnmanaged } from '../rolesync/harden.ts';
import type { Closer } from './parts.ts';

export interface WatchOptions {
  readonly direct: DirectCredentials;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly currentSnapshot: () => Snapshot;
  readonly backendPids: () => ReadonlySet<number>;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One thing that is looked after; what stops it stops no other. */
export interface Job {
  readonly name: string;
  run(): Promise<void>;
}

const everyMs = 1_000;

/**
 * Once a second: direct credentials whose time is over are ended and dropped; roles that others made since are given
 * what PUBLIC had before hardening; sessions on our logins that nobody of ours opened are ended and recorded. What
 * cannot be reached is tried again; the lease ends it natively meanwhile.
 */
export function keepWatch(options: WatchOptions): Closer {
  const failing = new Map<string, string>();
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let turn: Promise<void> = Promise.resolve();
  const next = () => {
    timer = setTimeout(() => {
      turn = lookOnce(jobsOf(options), failing, options.logger).finally(() => {
        if (!stopped) next();
      });
    }, everyMs);
  };
  next();
  return async () => {
    stopped = true;
    if (timer !== undefined) clearTimeout(timer);
    await turn;
  };
}

/** Runs every job, whatever becomes of the others; a failure is logged when it is new, not each second. */
export async function lookOnce(
  jobs: readonly Job[],
  failing: Map<string, string>,
  logger: Logger,
): Promise<void> {
  for (const { name, run } of jobs) {
    try {
      await run();
      failing.delete(name);
    } catch (thrown) {
      const error = toWritError(thrown).message;
      if (failing.get(name) !== error) logger.warn({ job: name, error }, 'the watch goes on without this');
      failing.set(name, error);
    }
  }
}

function jobsOf(options: WatchOptions): readonly Job[] {
  const { direct, clusters, currentSnapshot, backendPids, clock } = options;
  const places = governedDatabases(clusters, currentSnapshot().catalog.catalogs);
  return [
    { name: 'expired credentials', run: async () => void (await direct.sweep(clock.now())) },
    ...places.map((place) => ({ name: `new roles of ${place.catalog}`, run: () => join(place, options) })),
    {
      name: 'sessions nobody opened',
      run: async () => {
        for (const found of await direct.findBypass(backendPids())) recordBypass(found, options);
      },
    },
  ];
}

function join({ cluster, database, catalog }: Place, { audit }: WatchOptions): Promise<void> {
  const record = actingAs(audit, { principal: operatorName, credential: 'instance' });
  return joinUnmanaged(cluster, database, (statement) => {
    record.append({ kind: 'sync.operation', cluster: cluster.name, catalog, statement });
    record.flush();
  });
}

function recordBypass(
  { login, pid, cluster }: Awaited<ReturnType<DirectCredentials['findBypass']>>[number],
  { audit }: WatchOptions,
): void {
  audit.append({
    kind: 'bypass',
    cluster,
    login,
    decision: 'deny',
    summary: `a session (pid ${pid}) on ${login} that Writ did not open, or whose lease ended, was terminated`,
  });
}
