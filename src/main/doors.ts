import { randomUUID } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import type { Logger } from 'pino';
import { actingAs } from '../audit/acting.ts';
import type { OpenAuditLog } from '../audit/log.ts';
import type { CatalogInfo, CredentialRecord } from '../catalog/model.ts';
import type { CatalogStore } from '../catalog/store.ts';
import { portError } from '../dev/ports.ts';
import type { Cluster } from '../fleet/cluster.ts';
import type { DirectCredentials, GatewayLogins } from '../fleet/logins.ts';
import { type CredentialRouteOptions, credentialRoutes } from '../gateway/http/credential-routes.ts';
import { healthRoutes } from '../gateway/http/health-routes.ts';
import { mount } from '../gateway/http/mount.ts';
import { opaRoutes } from '../gateway/http/opa-routes.ts';
import { sessionRoutes } from '../gateway/http/session-routes.ts';
import { type OpenAuthenticator, openAuthenticator } from '../gateway/identity/open-authenticator.ts';
import { serveLake } from '../gateway/pg/lake-session.ts';
import { openPgDoor, type PgDoor } from '../gateway/pg/listener.ts';
import { governStatement, initStatementParser } from '../gateway/pg/statement.ts';
import type { Clock } from '../kernel/clock.ts';
import { WritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import type { Route } from '../kernel/route.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { TokenKey } from '../kernel/token-key.ts';
import { auditRoutes } from '../lake/audit-routes.ts';
import { openLakeEngine } from '../lake/open-engine.ts';
import { catalogRoutes } from '../policy/catalog-routes.ts';
import { openAcceptedPaths } from '../rolesync/accepted-paths.ts';
import { discoverRoutes } from '../rolesync/discover-routes.ts';
import {
  type DoctorRouteOptions,
  doctorRoutes,
  hardenCatalog,
  openPaths,
} from '../rolesync/doctor-routes.ts';
import type { Follower } from '../rolesync/follow.ts';
import type { ApplyRequest, InForce } from '../rolesync/in-force.ts';
import { openPast } from '../rolesync/past.ts';
import { policyRoutes } from '../rolesync/policy-routes.ts';
import { sourceRoutes } from '../rolesync/source-routes.ts';
import { syncRoutes } from '../rolesync/sync-routes.ts';
import type { Closer, InstanceConfig } from './parts.ts';
import { keepWatch } from './watch.ts';

// The right half of the instance: engines that run people's SQL, sign-in, the Postgres door and HTTP.

export interface DoorsOptions {
  readonly config: InstanceConfig;
  readonly closers: Closer[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: OpenAuditLog;
  readonly store: CatalogStore;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly inForce: InForce & { readonly first: boolean };
  readonly direct: DirectCredentials;
  readonly openLogins: () => Promise<GatewayLogins>;
  readonly operatorToken: string;
  readonly decisionToken: string;
  readonly tokenKey: TokenKey;
  readonly discover: (catalog: SecurableName) => Promise<boolean>;
  /** What the first start applies. */
  readonly first: ApplyRequest;
  readonly follower: Follower | undefined;
}

const idleConnectionMs = 75_000;

const systemActor = { principal: 'operator' as PrincipalName, credential: 'start' };

export async function openDoors(options: DoorsOptions): Promise<{ httpPort: number; pgPort: number }> {
  const { config, closers, audit, inForce, logger } = options;
  const currentSnapshot = () => inForce.current();
  const engine = openLakeEngine({ tokenKey: options.tokenKey });
  closers.push(() => engine.close());
  await initStatementParser();
  const doctors: DoctorRouteOptions = {
    clusters: options.clusters,
    currentSnapshot,
    audit,
    accepted: openAcceptedPaths(join(config.home, 'accepted-paths.json')),
  };
  await firstApply(options, doctors);
  const logins = await options.openLogins();
  const authenticator = authenticatorOf(options);
  const door = await listenPg(options, { engine, logins, authenticator });
  closers.push(() => door.close());
  closers.push(keepWatch({ ...options, currentSnapshot, backendPids: () => door.sessions.backendPids() }));
  const ended = endShrunkSessions(options, door, logins);
  const routes = allRoutes({ ...options, engine, authenticator, door, doctors, ended });
  const httpPort = await listenHttp(
    mount(routes, {
      authenticator,
      currentSnapshot,
      audit,
      logError: (error) => logger.error({ code: error.code, cause: String(error.cause) }, error.message),
      decisionClients: {
        token: options.decisionToken,
        trustLoopback: options.config.allowPlaintextLoopback,
      },
    }),
    options,
  );
  return { httpPort, pgPort: door.port };
}

function authenticatorOf({ config, store, clock, audit, inForce, operatorToken }: DoorsOptions) {
  return openAuthenticator({
    store,
    issuers: config.issuers,
    clock,
    audit,
    snapshot: () => inForce.current(),
    onClaims: (principal, groups, issuedAt) => inForce.claimGroups(principal, groups, issuedAt),
    operatorToken,
    allowLoopbackHttp: config.allowLoopbackHttp ?? config.allowPlaintextLoopback,
  });
}

interface PgParts {
  readonly engine: ReturnType<typeof openLakeEngine>;
  readonly logins: GatewayLogins;
  readonly authenticator: OpenAuthenticator;
}

/** @throws invalid_config naming the setting to change when the port is in use */
async function listenPg(options: DoorsOptions, { engine, logins, authenticator }: PgParts): Promise<PgDoor> {
  const { config, audit, clock, inForce, logger } = options;
  const currentSnapshot = () => inForce.current();
  try {
    return await openPgDoor({
      host: config.pgHost ?? '127.0.0.1',
      port: config.pgPort,
      tls: { key: config.tls.key, cert: config.tls.certificate },
      allowPlaintextLoopback: config.allowPlaintextLoopback,
      authenticator,
      audit,
      clock,
      currentSnapshot,
      govern: governStatement,
      logins: {
        open: async (principal, catalog) =>
          inForce.ensurePrincipal(principal).then(() => logins.open(principal, catalog)),
      },
      upstreamTls: (catalog) => {
        const cluster = currentSnapshot().catalog.catalogs.get(catalog)?.cluster;
        return cluster === undefined ? undefined : options.clusters.get(cluster)?.tls;
      },
      serveLake: (link, session) => serveLake({ link, session, engine, currentSnapshot, audit, clock }),
      onError: (error) => logger.error({ error: String(error) }, 'unforeseen'),
    });
  } catch (thrown) {
    // The door knows no settings; what the system said of the port is the cause, and of nothing else it is.
    const cause = thrown instanceof WritError ? thrown.cause : undefined;
    const ofPort = cause instanceof Error && 'syscall' in cause && cause.syscall === 'listen';
    throw ofPort ? portError(cause, config.pgPort, 'WRIT_PG_PORT') : thrown;
  }
}

/**
 * The first start brings the policy into force, and closes ways around where the cluster is ours. A start that was
 * killed half-way was not the first; a cluster that was let go (`sync uninstall`) stays so.
 */
async function firstApply(
  { config, inForce, audit, first }: DoorsOptions,
  doctors: DoctorRouteOptions,
): Promise<void> {
  const done = join(config.home, 'applied');
  if (!inForce.first && existsSync(done)) return;
  const applied = await inForce.apply(systemActor, first);
  const failed = applied.catalogs.find((each) => each.error !== undefined);
  if (failed?.error !== undefined) throw failed.error;
  const snapshot = inForce.current();
  // Where nobody is let in nothing was made, and there is nobody to keep out.
  const admits = ({ name }: CatalogInfo) =>
    [...snapshot.principals].some((one) => snapshot.decide(one, 'USE CATALOG', name).effect === 'allow');
  const catalogs = [...snapshot.catalog.catalogs.values()].filter(
    (info) => info.kind === 'POSTGRES' && admits(info),
  );
  const choice = { accepted: new Set<string>(), picked: undefined, apply: true };
  if (config.hardenOnFirstStart)
    for (const info of catalogs)
      await hardenCatalog({ ...doctors, audit: actingAs(audit, systemActor) }, info, choice);
  writeFileSync(done, '');
}

/** Whoever may see or do less than before: sessions end with 57P01, backends of direct credentials are terminated. */
function endShrunkSessions(
  { inForce, direct, store, clock, logger }: DoorsOptions,
  door: PgDoor,
  logins: GatewayLogins,
): () => number {
  let ended = 0;
  inForce.onChange(async ({ plan }) => {
    const ending: Promise<unknown>[] = [];
    ended += door.sessions.endWhere(
      (session) => plan.shrunk.has(session.principal),
      'your rights changed; connect again',
    );
    for (const principal of plan.shrunk) {
      const gone = logins
        .terminate(principal)
        .catch((error: unknown) =>
          logger.warn({ error: String(error) }, 'a backend could not be terminated'),
        );
      ending.push(gone);
      for (const credential of store.credentials({ principal, live: clock.now() })) {
        if (credential.login === undefined) continue;
        const may = inForce.current().decide(principal, 'USE CATALOG', credential.catalog).effect === 'allow';
        const end = may
          ? direct.terminate(credential.login, credential.catalog)
          : endDirect({ store, direct, clock }, credential, credential.login);
        ending.push(
          end.catch((error: unknown) =>
            logger.warn({ error: String(error) }, 'a direct session could not be ended'),
          ),
        );
      }
    }
    await Promise.all(ending);
  });
  return () => ended;
}

async function endDirect(
  { store, direct, clock }: Pick<DoorsOptions, 'store' | 'direct' | 'clock'>,
  credential: CredentialRecord,
  login: string,
): Promise<void> {
  store.revokeCredential(credential.id, clock.now());
  await direct.revoke(login, credential.catalog);
}

interface RouteParts extends DoorsOptions {
  readonly engine: ReturnType<typeof openLakeEngine>;
  readonly authenticator: OpenAuthenticator;
  readonly door: PgDoor;
  readonly doctors: DoctorRouteOptions;
  readonly ended: () => number;
}

function allRoutes(parts: RouteParts): readonly Route[] {
  const { inForce, clusters, audit, discover, door, doctors, engine, clock, store } = parts;
  const currentSnapshot = () => inForce.current();
  const sessions = () =>
    door.sessions.list().map((session) => ({
      id: session.id,
      principal: session.principal,
      catalog: session.catalog,
      client: session.client.address,
      application: session.client.application,
      startedAt: new Date(session.startedAt).toISOString(),
      state: session.state,
      statements: session.statements,
    }));
  return [
    ...healthRoutes({ audit, currentSnapshot, sessions: () => door.sessions.size }),
    ...policyRoutes({
      inForce,
      past: openPast({ store, clock }),
      sessionsEnded: parts.ended,
      follows: follows(parts.follower),
    }),
    ...sourceRoutes(parts.follower),
    ...syncRoutes({ inForce, clusters, audit, discover, onUninstall: (catalogs) => letGo(parts, catalogs) }),
    ...doctorRoutes(doctors),
    ...discoverRoutes({ inForce, discover }),
    ...catalogRoutes({ currentSnapshot }),
    ...opaRoutes({ currentSnapshot, audit }),
    ...credentialRoutes(credentialParts(parts)),
    ...sessionRoutes({ currentSnapshot, sessions, kill: (id, reason) => door.sessions.kill(id, reason) }),
    ...auditRoutes({
      engine,
      audit,
      currentSnapshot,
      catalog: 'system' as SecurableName,
      uuid: randomUUID,
      now: () => clock.now(),
    }),
  ];
}

function follows(follower: Follower | undefined): string | undefined {
  const settings = follower?.repository.settings;
  return settings === undefined ? undefined : `${settings.address.shown} ${settings.ref}`;
}

function credentialParts(parts: RouteParts): CredentialRouteOptions {
  const { store, inForce, audit, clock, direct, door, doctors, authenticator } = parts;
  return {
    store,
    currentSnapshot: () => inForce.current(),
    audit,
    clock,
    direct,
    door: () => ({ host: '127.0.0.1', port: door.port }),
    issueCompact: (request) => authenticator.issueCompact(request),
    openPaths: (catalog) => {
      const info = inForce.current().catalog.catalogs.get(catalog);
      return info === undefined
        ? Promise.resolve([`catalog ${catalog} is not known`])
        : openPaths(doctors, info);
    },
    onRevoked: (credential) =>
      door.sessions.endWhere(
        (session) => session.credential === `compact:${credential.id}`,
        'the credential was revoked',
      ),
    ensurePrincipal: (principal) => inForce.ensurePrincipal(principal),
  };
}

/** Before a cluster is let go: nobody of ours stays connected. */
async function letGo(
  { door, store, direct, clock }: RouteParts,
  catalogs: readonly SecurableName[],
): Promise<void> {
  door.sessions.endWhere(
    (session) => catalogs.includes(session.catalog),
    'the cluster is no longer governed',
  );
  for (const credential of store.credentials({ live: clock.now() })) {
    if (credential.login !== undefined && catalogs.includes(credential.catalog))
      await endDirect({ store, direct, clock }, credential, credential.login);
  }
}

function listenHttp(app: ReturnType<typeof mount>, { config, closers }: DoorsOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: config.httpPort }, (info) => {
      closers.push(
        () =>
          new Promise<void>((closed) => {
            server.close(() => closed());
            if ('closeAllConnections' in server) server.closeAllConnections();
          }),
      );
      resolve(info.port);
    });
    // Longer than clients and proxies keep an idle connection: who sends on one must not find it just closed.
    if ('keepAliveTimeout' in server) server.keepAliveTimeout = idleConnectionMs;
    server.once('error', (error) => reject(portError(error, config.httpPort, 'WRIT_HTTP_PORT')));
  });
}
