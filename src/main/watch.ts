import type { Logger } from 'pino';
import type { AuditLog } from '../audit/log-interface.ts';
import type { Cluster } from '../fleet/cluster.ts';
import { governedDatabases, type Place } from '../fleet/governed-databases.ts';
import type { DirectCredentials } from '../fleet/logins.ts';
import type { Clock } from '../kernel/clock.ts';
import { toWritError } from '../kernel/errors.ts';
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

const everyMs = 1_000;

/**
 * Once a second: roles that others made since are given what PUBLIC had before hardening; direct credentials whose time is over are ended and dropped, and sessions on our logins that nobody of
 * ours opened are ended and recorded. What cannot be reached is tried again; the lease ends it natively meanwhile.
 */
export function keepWatch(options: WatchOptions): Closer {
  const { direct, clusters, currentSnapshot, backendPids, audit, clock, logger } = options;
  const join = ({ cluster, database, catalog }: Place) =>
    joinUnmanaged(cluster, database, (statement) => {
      audit.append({ kind: 'sync.operation', cluster: cluster.name, catalog, statement });
      audit.flush();
    });
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async () => {
    try {
      await direct.sweep(clock.now());
      for (const place of governedDatabases(clusters, currentSnapshot().catalog.catalogs)) await join(place);
      for (const { login, pid, cluster } of await direct.findBypass(backendPids())) {
        audit.append({
          kind: 'bypass',
          cluster,
          login,
          decision: 'deny',
          summary: `a session (pid ${pid}) on ${login} that Writ did not open, or whose lease ended, was terminated`,
        });
      }
    } catch (thrown) {
      logger.warn({ error: toWritError(thrown).message }, 'the watch over logins could not reach a cluster');
    }
  };
  let turn: Promise<void> = Promise.resolve();
  const next = () => {
    timer = setTimeout(() => {
      turn = look().finally(() => {
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
