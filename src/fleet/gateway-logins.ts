import { randomBytes } from 'node:crypto';
import type { CatalogInfo } from '../catalog/model.ts';
import type { Clock } from '../kernel/clock.ts';
import { WritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import { dollarQuoted, identifier, integer, literal, type Sql, sql } from '../kernel/sql.ts';
import type { Cluster } from './cluster.ts';
import { governedDatabases, type Place, placeOf } from './governed-databases.ts';
import { createLogin, dropLogin, listLogins, longPast, withLeases } from './login-role.ts';
import type { GatewayLogins, UpstreamLogin } from './logins.ts';
import { retryTransient } from './postgres-errors.ts';
import { loginRole, principalRole, type RoleName } from './role-names.ts';
import { scramVerifier } from './scram.ts';

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

/** A password lives this long, unless `opened` ends it sooner. */
const passwordSeconds = 10;
/** A new opener shares a password that has at least this much left. */
const shareMs = 5_000;
const leaseSeconds = 600;
const beatMs = 60_000;
/** A login that nobody has used for so long is dropped. */
const idleMs = 900_000;
/** Random passwords of 192 bits gain nothing from stretching; each sign-in would pay for it twice. */
const iterations = 256;

interface Login {
  readonly role: RoleName;
  readonly principal: PrincipalName;
  readonly place: Place;
  /** Statements about this login's password run one after the other. */
  turn: Promise<unknown>;
  password: string | undefined;
  passwordUntil: number;
  openers: number;
  usedAt: number;
}

/** Removes what an earlier process of the same instance left behind, then serves. */
export async function openGatewayLogins(settings: GatewayLoginSettings): Promise<GatewayLogins> {
  const logins = new Map<string, Promise<Login>>();
  const keyOf = (principal: PrincipalName, catalog: SecurableName): string => `${catalog} ${principal}`;
  const ours = async (): Promise<Login[]> =>
    (await Promise.allSettled(logins.values())).flatMap((one) =>
      one.status === 'fulfilled' ? [one.value] : [],
    );

  const loginFor = (principal: PrincipalName, catalog: SecurableName): Promise<Login> => {
    const key = keyOf(principal, catalog);
    const known = logins.get(key);
    if (known !== undefined) return known;
    const made = makeLogin(settings, principal, catalog);
    logins.set(key, made);
    made.catch(() => logins.get(key) === made && logins.delete(key));
    return made;
  };

  const open = async (principal: PrincipalName, catalog: SecurableName): Promise<UpstreamLogin> => {
    for (let attempt = 1; ; attempt++) {
      const pending = loginFor(principal, catalog);
      const login = await pending;
      try {
        return await inTurn(login, () => lendPassword(settings, login));
      } catch (error) {
        if (attempt > 2 || !isGone(error)) throw error;
        // Dropped, revoked, or the principal's role was made anew: never reuse the name.
        if (logins.get(keyOf(principal, catalog)) === pending) logins.delete(keyOf(principal, catalog));
        await dropLogin(login.place.cluster, login.place.database, login.role);
      }
    }
  };

  const beat = async (): Promise<void> => {
    const now = settings.clock.now();
    for (const [key, pending] of [...logins]) {
      const login = await pending.catch(() => undefined);
      if (login === undefined) continue;
      if ((await renew(login)) || login.openers > 0) login.usedAt = now;
      else if (now - login.usedAt > idleMs) {
        logins.delete(key);
        await dropLogin(login.place.cluster, login.place.database, login.role);
      }
    }
    const mine = new Set((await ours()).map((login): string => login.role));
    await removeLeftOvers(settings, (login) => mine.has(login), false);
  };
  const report = settings.onError ?? (() => {});

  await removeLeftOvers(settings, () => false, true);
  const timer = setInterval(() => void beat().catch(report), beatMs);
  timer.unref();

  return {
    open,
    terminate: (principal, catalog) => terminateAll(settings, principal, catalog),
    async close() {
      clearInterval(timer);
      const open = await ours();
      logins.clear();
      await Promise.all(
        open.map((login) => dropLogin(login.place.cluster, login.place.database, login.role).catch(report)),
      );
    },
  };
}

async function makeLogin(
  settings: GatewayLoginSettings,
  principal: PrincipalName,
  catalog: SecurableName,
): Promise<Login> {
  const place = placeOf(settings.clusters, settings.catalogs(), catalog);
  const role = loginRole(principal, 'gateway', randomBytes(8).toString('hex'));
  await createLogin(place.cluster, {
    role,
    principal,
    door: 'gateway',
    database: place.database,
    instance: settings.instance,
    validUntil: longPast,
    lease: { seconds: leaseSeconds },
  });
  const usedAt = settings.clock.now();
  return { role, principal, place, turn: Promise.resolve(), ...noPassword, openers: 0, usedAt };
}

const noPassword = { password: undefined, passwordUntil: longPast };

/** Several who open at once share one password; the last to be done ends it. */
async function lendPassword(settings: GatewayLoginSettings, login: Login): Promise<UpstreamLogin> {
  const now = settings.clock.now();
  if (login.password === undefined || login.passwordUntil - now < shareMs) {
    const password = randomBytes(24).toString('base64url');
    const verifier = scramVerifier(password, randomBytes(16), iterations);
    await retryTransient(() =>
      login.place.cluster.withAdmin(login.place.database, (connection) =>
        connection.query(armStatement(login, verifier)),
      ),
    );
    login.password = password;
    login.passwordUntil = now + passwordSeconds * 1000;
  }
  login.openers++;
  login.usedAt = now;
  let done = false;
  return {
    host: login.place.cluster.host,
    port: login.place.cluster.port,
    database: login.place.database,
    user: login.role,
    password: login.password ?? '',
    async opened() {
      if (done) return;
      done = true;
      login.openers--;
      await inTurn(login, () => endPassword(login)).catch(() => {}); // it ends by itself within seconds
    },
  };
}

async function endPassword(login: Login): Promise<void> {
  if (login.openers > 0 || login.password === undefined) return;
  Object.assign(login, noPassword);
  const past = literal(new Date(longPast).toISOString());
  await login.place.cluster.withAdmin(login.place.database, (connection) =>
    connection.query(sql`alter role ${identifier(login.role)} password null valid until ${past}`),
  );
}

/** SQLSTATE of our own: the login cannot be used any more. */
const gone = 'WR001';

/**
 * Lease renewed, fresh verifier, VALID UNTIL by the server's own clock: one statement. What the person may have set as
 * a password through an open session is overwritten here.
 */
function armStatement(login: Login, verifier: string): Sql {
  const body = sql`begin
    update writ.lease set expires_at = clock_timestamp() + make_interval(secs => ${integer(leaseSeconds)})
      where login = ${literal(login.role)} and revoked_at is null;
    if not found or not exists (
      select from pg_auth_members m join pg_roles r on r.oid = m.roleid join pg_roles l on l.oid = m.member
      where l.rolname = ${literal(login.role)} and r.rolname = ${literal(principalRole(login.principal, 'gateway'))}
    ) then
      raise exception 'the login is gone' using errcode = ${literal(gone)};
    end if;
    execute format('alter role %I login password %L valid until %L', ${literal(login.role)}, ${literal(verifier)},
      clock_timestamp() + make_interval(secs => ${integer(passwordSeconds)}));
  end`;
  return sql`do ${dollarQuoted(body)}`;
}

function isGone(error: unknown): boolean {
  return error instanceof WritError && [gone, '42704'].includes(error.sqlstate);
}

/** @returns whether the login has sessions */
async function renew(login: Login): Promise<boolean> {
  return login.place.cluster.withAdmin(login.place.database, async (connection) => {
    await withLeases(
      connection,
      sql`update writ.lease set expires_at = clock_timestamp() + make_interval(secs => ${integer(leaseSeconds)})
        where login = ${literal(login.role)} and revoked_at is null`,
    );
    const open = await connection.query(sql`select from pg_stat_activity where usename = $1 limit 1`, [
      login.role,
    ]);
    return open.length > 0;
  });
}

function inTurn<T>(login: Login, work: () => Promise<T>): Promise<T> {
  const result = login.turn.then(work, work);
  login.turn = result.catch(() => {});
  return result;
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

/** Gateway logins that no process keeps alive: their lease has ended, or (at start) they bear our own instance's name. */
async function removeLeftOvers(
  settings: GatewayLoginSettings,
  isOurs: (login: string) => boolean,
  starting: boolean,
): Promise<void> {
  const report = settings.onError ?? (() => {});
  await Promise.all(
    governedDatabases(settings.clusters, settings.catalogs()).map(async ({ cluster, database }) => {
      try {
        for (const login of await leftOversIn(settings.instance, cluster, database, starting))
          if (!isOurs(login)) await dropLogin(cluster, database, login);
      } catch (error) {
        report(error);
      }
    }),
  );
}

async function leftOversIn(
  instance: string,
  cluster: Cluster,
  database: string,
  starting: boolean,
): Promise<readonly string[]> {
  return cluster.withAdmin(database, async (connection) => {
    const here = (await listLogins(connection, 'gateway')).filter((one) => one.note?.database === database);
    if (here.length === 0) return [];
    const live = await withLeases<{ login: string }>(
      connection,
      sql`select login::text from writ.lease where revoked_at is null and expires_at > clock_timestamp()`,
    );
    const alive = new Set(live.map((row) => row.login));
    return here
      .filter((one) => !alive.has(one.login) || (starting && one.note?.instance === instance))
      .map((one) => one.login);
  });
}
