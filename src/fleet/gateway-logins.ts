import type { CatalogInfo } from '../catalog/model.ts';
import type { Clock } from '../kernel/clock.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import { sql } from '../kernel/sql.ts';
import type { Cluster } from './cluster.ts';
import { type GatewayLogin, isGone, lendPassword, makeLogin, renew } from './gateway-login.ts';
import { governedDatabases, placeOf } from './governed-databases.ts';
import { removeLeftOvers } from './left-over-logins.ts';
import { dropLogin, withLeases } from './login-role.ts';
import type { GatewayLogins, UpstreamLogin } from './logins.ts';

export interface GatewayLoginSettings {
  readonly clusters: ReadonlyMap<string, Cluster>;
  /** All catalogs, asked at each use: `() => store.snapshot().catalogs`. */
  readonly catalogs: () => ReadonlyMap<SecurableName, CatalogInfo>;
  readonly clock: Clock;
  /** Names this gateway; at a restart the logins of the process before it bear the same name and are removed. */
  readonly instance: string;
  /** Told when housekeeping fails for a cluster; it goes on with the next beat. */
  readonly onError?: (error: unknown) => void;
}

const beatMs = 60_000;
/** A login that nobody has used for so long is dropped. */
const idleMs = 900_000;

interface Kept {
  readonly settings: GatewayLoginSettings;
  /** By catalog and principal; promises, so that two who come at once get one login. */
  readonly logins: Map<string, Promise<GatewayLogin>>;
}

/** Removes what an earlier process of the same instance left behind, then serves. */
export async function openGatewayLogins(settings: GatewayLoginSettings): Promise<GatewayLogins> {
  const kept: Kept = { settings, logins: new Map() };
  const report = settings.onError ?? (() => {});
  await clean(kept, true);
  const timer = setInterval(() => void beat(kept).catch(report), beatMs);
  timer.unref();
  return {
    open: (principal, catalog) => open(kept, principal, catalog),
    terminate: (principal, catalog) => terminateAll(settings, principal, catalog),
    async close() {
      clearInterval(timer);
      const last = await made(kept);
      kept.logins.clear();
      await Promise.all(last.map((login) => drop(login).catch(report)));
    },
  };
}

async function open(kept: Kept, principal: PrincipalName, catalog: SecurableName): Promise<UpstreamLogin> {
  const key = `${catalog} ${principal}`;
  for (let attempt = 1; ; attempt++) {
    const pending = kept.logins.get(key) ?? begin(kept, key, principal, catalog);
    const login = await pending;
    try {
      return await lendPassword(kept.settings.clock, login);
    } catch (error) {
      if (attempt > 2 || !isGone(error)) throw error;
      if (kept.logins.get(key) === pending) kept.logins.delete(key);
      await drop(login);
    }
  }
}

function begin(
  { settings, logins }: Kept,
  key: string,
  principal: PrincipalName,
  catalog: SecurableName,
): Promise<GatewayLogin> {
  const login = (async () => {
    const place = placeOf(settings.clusters, settings.catalogs(), catalog);
    return makeLogin(place, principal, settings.instance, settings.clock);
  })();
  logins.set(key, login);
  login.catch(() => {
    if (logins.get(key) === login) logins.delete(key);
  });
  return login;
}

async function made({ logins }: Kept): Promise<readonly GatewayLogin[]> {
  const all = await Promise.allSettled(logins.values());
  return all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

function drop(login: GatewayLogin): Promise<void> {
  return dropLogin(login.place.cluster, login.place.database, login.role);
}

/** Leases are renewed, idle logins dropped, and what dead processes left is removed. */
async function beat(kept: Kept): Promise<void> {
  const now = kept.settings.clock.now();
  const report = kept.settings.onError ?? (() => {});
  for (const [key, pending] of [...kept.logins]) {
    try {
      const login = await pending;
      if ((await renew(login)) || login.openers > 0) login.usedAt = now;
      else if (now - login.usedAt > idleMs) {
        kept.logins.delete(key);
        await drop(login);
      }
    } catch (error) {
      report(error);
    }
  }
  await clean(kept, false);
}

async function clean(kept: Kept, starting: boolean): Promise<void> {
  const { clusters, catalogs, instance, onError } = kept.settings;
  const mine = new Set((await made(kept)).map((login): string => login.role));
  await removeLeftOvers({
    places: governedDatabases(clusters, catalogs()),
    instance,
    starting,
    isOurs: (login) => mine.has(login),
    onError: onError ?? (() => {}),
  });
}

/** By lease, so that other replicas' sessions of the person end too. */
async function terminateAll(
  settings: GatewayLoginSettings,
  principal: PrincipalName,
  catalog: SecurableName | undefined,
): Promise<void> {
  const catalogs = settings.catalogs();
  const places =
    catalog === undefined
      ? governedDatabases(settings.clusters, catalogs)
      : [placeOf(settings.clusters, catalogs, catalog)];
  const results = await Promise.allSettled(
    places.map((place) =>
      place.cluster.withAdmin(place.database, (connection) =>
        withLeases(
          connection,
          sql`select pg_terminate_backend(a.pid) from pg_stat_activity a
            join writ.lease l on l.login::text = a.usename::text
            where l.principal = $1 and l.door = 'gateway'`,
          [principal],
        ),
      ),
    ),
  );
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
