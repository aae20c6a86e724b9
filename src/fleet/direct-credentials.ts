import { randomBytes } from 'node:crypto';
import type { CatalogInfo } from '../catalog/model.ts';
import type { Clock } from '../kernel/clock.ts';
import { WritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import { literal, sql } from '../kernel/sql.ts';
import type { Cluster } from './cluster.ts';
import { governedDatabases, type Place, placeOf } from './governed-databases.ts';
import { createLogin, dropLogin, listLogins, timestamp, withLeases } from './login-role.ts';
import type { DirectCredential, DirectCredentials } from './logins.ts';
import { loginRole } from './role-names.ts';
import { scramVerifier } from './scram.ts';

export interface DirectCredentialSettings {
  readonly clusters: ReadonlyMap<string, Cluster>;
  /** All catalogs, asked at each use: `() => store.snapshot().catalogs`. */
  readonly catalogs: () => ReadonlyMap<SecurableName, CatalogInfo>;
  readonly clock: Clock;
  /** As given to openGatewayLogins: whose gateway logins `findBypass` can judge. */
  readonly instance: string;
  /** `directSearchPath` over the snapshot in force. */
  readonly searchPathFor: (principal: PrincipalName, catalog: SecurableName) => readonly string[];
  /** A backend is judged once it is this old: the gateway learns its pid only when it is open (ms, 2,000). */
  readonly bypassGraceMs?: number;
}

export function openDirectCredentials(settings: DirectCredentialSettings): DirectCredentials {
  const places = (): readonly Place[] => governedDatabases(settings.clusters, settings.catalogs());
  return {
    issue: (request) => issue(settings, request),
    async revoke(login, catalog) {
      const place = placeOf(settings.clusters, settings.catalogs(), catalog);
      await dropLogin(place.cluster, place.database, requireDirect(login));
    },
    async terminate(login, catalog) {
      const { cluster, database } = placeOf(settings.clusters, settings.catalogs(), catalog);
      const role = requireDirect(login);
      await cluster.withAdmin(database, (connection) =>
        connection.query(sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = $1`, [
          role,
        ]),
      );
    },
    async sweep(now) {
      const removed = await eachReachable(places(), (place) => sweepOne(place, now));
      return removed.flat().toSorted();
    },
    async findBypass(openedByUs) {
      const grace = settings.bypassGraceMs ?? 2_000;
      const found = await eachReachable(places(), (place) =>
        bypassIn(place, settings.instance, grace, openedByUs),
      );
      return found.flat();
    },
  };
}

async function issue(
  settings: DirectCredentialSettings,
  request: Parameters<DirectCredentials['issue']>[0],
): Promise<DirectCredential> {
  const { principal, catalog, expiresAt } = request;
  if (expiresAt <= settings.clock.now()) {
    throw new WritError('invalid_argument', { message: 'the credential would have expired already' });
  }
  const { cluster, database } = placeOf(settings.clusters, settings.catalogs(), catalog);
  const user = loginRole(principal, 'direct', randomBytes(8).toString('hex'));
  const password = randomBytes(24).toString('base64url');
  await createLogin(cluster, {
    role: user,
    principal,
    door: 'direct',
    database,
    instance: settings.instance,
    verifier: scramVerifier(password, randomBytes(16)),
    validUntil: expiresAt,
    lease: { until: expiresAt },
    credential: request.id,
    searchPath: settings.searchPathFor(principal, catalog),
  });
  return { id: request.id, host: cluster.host, port: cluster.port, database, user, password, expiresAt };
}

/** Direct logins of this database whose lease has ended or is missing. */
async function sweepOne({ cluster, database }: Place, now: number): Promise<readonly string[]> {
  const ended = await cluster.withAdmin(database, async (connection) => {
    const logins = await listLogins(connection, 'direct');
    const here = logins.filter((one) => one.note?.database === database).map((one) => one.login);
    const live = await withLeases<{ login: string }>(
      connection,
      sql`select login::text from writ.lease where revoked_at is null and expires_at > ${timestamp(now)}`,
    );
    const alive = new Set(live.map((row) => row.login));
    return here.filter((login) => !alive.has(login));
  });
  for (const login of ended) await dropLogin(cluster, database, login);
  return ended;
}

interface Suspect extends Record<string, unknown> {
  readonly login: string;
  readonly pid: number;
  readonly instance: string | null;
  readonly live: boolean;
}

/**
 * Sessions of this database's logins that should not be: on a direct or foreign gateway login without a live lease, or
 * on a login of our own instance and not opened by us. They are ended.
 */
async function bypassIn(
  { cluster, database }: Place,
  instance: string,
  graceMs: number,
  openedByUs: ReadonlySet<number>,
): Promise<readonly { login: string; pid: number; cluster: string }[]> {
  return cluster.withAdmin(database, async (connection) => {
    const notes = new Map<string, string>();
    for (const door of ['gateway', 'direct'] as const) {
      for (const { login, note } of await listLogins(connection, door))
        if (note?.database === database) notes.set(login, note.instance);
    }
    const open = await withLeases<Suspect>(
      connection,
      sql`select a.usename::text as login, a.pid,
          exists (select from writ.lease l where l.login::text = a.usename::text
                  and l.revoked_at is null and l.expires_at > clock_timestamp()) as live
        from pg_stat_activity a
        where starts_with(a.usename::text, 'writ_l_') and a.backend_type = 'client backend'
          and a.backend_start < clock_timestamp() - make_interval(secs => ${literal(String(graceMs / 1000))})`,
    );
    const bypassing = open.filter(({ login, pid, live }) => {
      if (!notes.has(login)) return false; // of another database, judged there
      if (!live) return true;
      return login.startsWith('writ_l_g_') && notes.get(login) === instance && !openedByUs.has(pid);
    });
    for (const { pid } of bypassing) await connection.query(sql`select pg_terminate_backend($1)`, [pid]);
    return bypassing.map(({ login, pid }) => ({ login, pid, cluster: cluster.name }));
  });
}

/** One cluster that is away does not keep the others from being looked at. @throws the first other error, after all ran */
async function eachReachable<T>(
  places: readonly Place[],
  work: (place: Place) => Promise<T>,
): Promise<readonly T[]> {
  const results = await Promise.allSettled(places.map(work));
  const done: T[] = [];
  for (const result of results) {
    if (result.status === 'fulfilled') done.push(result.value);
    else if (!(result.reason instanceof WritError && result.reason.code === 'unreachable'))
      throw result.reason;
  }
  return done;
}

function requireDirect(login: string): string {
  if (!login.startsWith('writ_l_d_')) {
    throw new WritError('invalid_argument', { message: `${login} is no direct login` });
  }
  return login;
}
