import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { openAuditLog } from '../audit/log.ts';
import { openSqliteStore } from '../catalog/sqlite-store.ts';
import type { CatalogStore } from '../catalog/store.ts';
import type { Cluster } from '../fleet/cluster.ts';
import { openDirectCredentials } from '../fleet/direct-credentials.ts';
import { openGatewayLogins } from '../fleet/gateway-logins.ts';
import { openCluster } from '../fleet/open-cluster.ts';
import { directSearchPath } from '../fleet/search-path.ts';
import { systemClock } from '../kernel/clock.ts';
import { toWritError } from '../kernel/errors.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import { discoverLake } from '../lake/discover.ts';
import { systemCatalog } from '../lake/system-catalog.ts';
import { loadPolicyFiles } from '../policy/load.ts';
import { openInForce } from '../rolesync/in-force.ts';
import { openDoors } from './doors.ts';
import type { Closer, InstanceConfig } from './parts.ts';

// Opens the rooms from left to right and closes them in reverse. Nothing here decides anything.

export interface Instance {
  readonly httpPort: number;
  readonly pgPort: number;
  close(): Promise<void>;
}

/** @throws what the rooms throw; whatever was opened until then is closed again. */
export async function openInstance(config: InstanceConfig): Promise<Instance> {
  const closers: Closer[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const ports = await openRooms(config, closers);
    return { ...ports, close };
  } catch (thrown) {
    await close().catch(() => undefined);
    throw thrown;
  }
}

async function openRooms(
  config: InstanceConfig,
  closers: Closer[],
): Promise<{ httpPort: number; pgPort: number }> {
  const clock = systemClock;
  const logger = pino(
    { level: config.logLevel },
    pino.destination({ dest: join(config.home, 'writ.log'), sync: true, mkdir: true }),
  );
  const audit = openAuditLog({ folder: join(config.home, 'audit'), writer: 'gateway', clock });
  closers.push(() => audit.close());
  const store = openSqliteStore({ file: join(config.home, 'catalog.db') });
  closers.push(() => store.close());
  for (const { issuer, formerly = [] } of config.issuers)
    for (const from of formerly) store.moveIssuer(from, issuer);
  const clusters = new Map(
    config.clusters.map(({ name, adminUrl }) => [name, openCluster({ name, adminUrl })] as const),
  );
  for (const cluster of clusters.values()) closers.push(() => cluster.close());
  for (const catalog of config.catalogs) store.putCatalog(catalog);
  await Promise.all(config.catalogs.map((catalog) => discoverCatalog(store, clusters, catalog.name)));

  const inForce = await openInForce({
    store,
    clusters,
    audit,
    clock,
    loadFiles: () => loadPolicyFiles(config.policies),
  });
  closers.push(() => inForce.close());
  const catalogs = () => store.snapshot().catalogs;
  const instance = instanceName(config.home);
  const onError = (error: unknown) =>
    logger.warn({ error: toWritError(error).message }, 'housekeeping failed; it is tried again');
  const direct = openDirectCredentials({
    clusters,
    catalogs,
    clock,
    instance,
    searchPathFor: (principal, catalog) => directSearchPath(inForce.current(), principal, catalog),
  });
  const logins = async () => {
    const opened = await openGatewayLogins({ clusters, catalogs, clock, instance, onError });
    closers.push(() => opened.close());
    return opened;
  };
  return openDoors({
    config,
    closers,
    clock,
    logger,
    audit,
    store,
    clusters,
    inForce,
    direct,
    openLogins: logins,
    operatorToken: operatorToken(config.home),
    discover: (name) => discoverCatalog(store, clusters, name),
  });
}

/** Looks at what one catalog holds. @returns whether anything changed. */
export async function discoverCatalog(
  store: CatalogStore,
  clusters: ReadonlyMap<string, Cluster>,
  name: SecurableName,
): Promise<boolean> {
  const info = store.snapshot().catalogs.get(name);
  switch (info?.kind) {
    case 'POSTGRES': {
      const cluster = clusters.get(info.cluster ?? '');
      if (cluster === undefined || info.database === undefined) return false;
      return store.replaceDiscovered(name, await cluster.discover(name, info.database));
    }
    case 'LAKE':
      return store.replaceDiscovered(name, await discoverLake(name, info.location ?? ''));
    case 'SYSTEM':
      return store.replaceDiscovered(name, systemCatalog(name));
    case undefined:
      return false;
  }
}

/** Names this installation in every cluster: kept, so that a restart finds what an earlier process left. */
function instanceName(home: string): string {
  return kept(join(home, 'instance'), () => randomBytes(6).toString('hex'));
}

/** Whoever can read this file is the local operator. */
function operatorToken(home: string): string {
  return kept(join(home, 'operator-token'), () => randomBytes(32).toString('hex'));
}

function kept(file: string, make: () => string): string {
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  const value = make();
  writeFileSync(file, `${value}\n`, { mode: 0o600 });
  return value;
}
