import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { openAuditLog } from '../audit/log.ts';
import { openSqliteStore } from '../catalog/sqlite-store.ts';
import type { CatalogStore } from '../catalog/store.ts';
import type { Cluster } from '../fleet/cluster.ts';
import { openDirectCredentials } from '../fleet/direct-credentials.ts';
import { openGatewayLogins } from '../fleet/gateway-logins.ts';
import { openCluster } from '../fleet/open-cluster.ts';
import { directSearchPath } from '../fleet/search-path.ts';
import { systemClock } from '../kernel/clock.ts';
import { toWritError, type WritError } from '../kernel/errors.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import { TokenKey } from '../kernel/token-key.ts';
import { discoverLake } from '../lake/discover.ts';
import { systemCatalog } from '../lake/system-catalog.ts';
import { loadPolicyFiles } from '../policy/load.ts';
import type { PolicyFile } from '../policy/model.ts';
import { type InForce, openInForce } from '../rolesync/in-force.ts';
import { openLastGoodCatalog } from '../rolesync/last-good-catalog.ts';
import { openDoors } from './doors.ts';
import type { Closer, InstanceConfig } from './parts.ts';
import { openSource } from './source.ts';

// Opens the rooms from left to right and closes them in reverse. Nothing here decides anything.

export interface Instance {
  readonly httpPort: number;
  readonly pgPort: number;
  /** What the operator should know of the policy folder; undefined when the policy in force is what it says. */
  readonly policyNotice: string | undefined;
  close(): Promise<void>;
}

/** @throws what the rooms throw; whatever was opened until then is closed again. */
export async function openInstance(config: InstanceConfig): Promise<Instance> {
  const closers: Closer[] = [];
  const close = () => closeAll(closers.splice(0).reverse());
  try {
    const ports = await openRooms(config, closers);
    return { ...ports, close };
  } catch (thrown) {
    await close().catch(() => undefined);
    throw thrown;
  }
}

/** Each is closed, whatever happened to the one before; the first failure is thrown when all were tried. */
async function closeAll(closers: readonly Closer[]): Promise<void> {
  const failures: unknown[] = [];
  for (const closer of closers) {
    try {
      await closer();
    } catch (thrown) {
      failures.push(thrown);
    }
  }
  if (failures.length > 0) throw failures[0];
}

async function openRooms(config: InstanceConfig, closers: Closer[]): Promise<Omit<Instance, 'close'>> {
  const clock = systemClock;
  const logger = openLogger(config);
  const audit = openAuditLog({
    folder: join(config.home, 'audit'),
    ...config.audit,
    writer: 'gateway',
    clock,
  });
  closers.push(() => audit.close());
  const store = openStore(config, closers);
  const key = tokenKey(config.home);
  const clusters = new Map(
    config.clusters.map(
      ({ labels: _, ...cluster }) => [cluster.name, openCluster({ ...cluster, tokenKey: key })] as const,
    ),
  );
  for (const cluster of clusters.values()) closers.push(() => cluster.close());
  await Promise.all(config.catalogs.map((catalog) => discoverCatalog(store, clusters, catalog.name)));

  const { first, loadFiles, follower } = await openSource(config, { store, audit, clock, logger });
  const inForce = await openInForce({
    store,
    clusters,
    audit,
    clock,
    loadFiles,
    guards: config.guards,
    labels: new Map(config.clusters.map(({ name, labels = {} }) => [name, new Map(Object.entries(labels))])),
    lastGood: openLastGoodCatalog(join(config.home, 'last-good-catalog.json')),
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
  const ports = await openDoors({
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
    decisionToken: decisionToken(config.home),
    tokenKey: key,
    discover: (name) => discoverCatalog(store, clusters, name),
    first,
    follower,
  });
  follower?.start(inForce);
  // Closed first: nothing new comes into force while the doors close.
  if (follower !== undefined) closers.push(() => follower.close());
  const differs = follower === undefined ? await policyNotice(inForce, config.policies) : undefined;
  return {
    ...ports,
    policyNotice: unfitNotice(inForce.unfit) ?? differs,
  };
}

function openLogger({ home, logLevel }: InstanceConfig): Logger {
  const file = pino.destination({ dest: join(home, 'writ.log'), sync: true, mkdir: true });
  return pino({ level: logLevel }, file);
}

/** With the issuers and catalogs of the configuration in it. */
function openStore(config: InstanceConfig, closers: Closer[]): CatalogStore {
  const { home, issuers, catalogs, storeFile = join(home, 'catalog.db') } = config;
  const store = openSqliteStore({ file: storeFile });
  closers.push(() => store.close());
  for (const { issuer, formerly = [] } of issuers)
    for (const from of formerly) store.moveIssuer(from, issuer);
  for (const catalog of catalogs) store.putCatalog(catalog);
  return store;
}

/** The application's tables changed so that the policy in force does not fit them: it goes on as they were. */
function unfitNotice(unfit: WritError | undefined): string | undefined {
  return unfit === undefined
    ? undefined
    : `tables changed and the policy in force does not fit them; they are served as they were:\n${unfit.detail ?? unfit.message}`;
}

/** A start goes on with the last good policy; what the folder says by now is not silently passed over. */
async function policyNotice(inForce: InForce, folder: string): Promise<string | undefined> {
  const { id, files } = inForce.current();
  const say = (what: string) => `policy files ${what}; in force: ${id.slice(0, 8)}; run \`writ policy plan\``;
  const texts = (list: readonly PolicyFile[]) => JSON.stringify(list.map((file) => file.text).toSorted());
  try {
    const now = await loadPolicyFiles(folder);
    if (texts(now) === texts(files)) return undefined;
    const broken = (await inForce.lint(now)).some((finding) => finding.severity === 'error');
    return say(broken ? 'do not compile' : 'differ from the policy in force');
  } catch (thrown) {
    return say(`cannot be read (${toWritError(thrown).message})`);
  }
}

/** Looks at what one catalog holds. @returns whether anything changed. */
async function discoverCatalog(
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

/** Engines that ask for decisions (Trino) show it; it opens nothing else. */
function decisionToken(home: string): string {
  return kept(join(home, 'decision-token'), () => randomBytes(32).toString('hex'));
}

/** Made once: with another key every token is another one. Instances that shall agree share the file. */
function tokenKey(home: string): TokenKey {
  const file = join(home, 'token-key');
  return TokenKey.parse(
    kept(file, () => randomBytes(32).toString('hex')),
    file,
  );
}

function kept(file: string, make: () => string): string {
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  const value = make();
  writeFileSync(file, `${value}\n`, { mode: 0o600 });
  return value;
}
