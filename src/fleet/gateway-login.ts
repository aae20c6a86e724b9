import { randomBytes } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import { WritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { dollarQuoted, identifier, integer, literal, type Sql, sql } from '../kernel/sql.ts';
import type { Place } from './governed-databases.ts';
import { createLogin, longPast, withLeases } from './login-role.ts';
import type { UpstreamLogin } from './logins.ts';
import { retryTransient } from './postgres-errors.ts';
import { loginRole, principalRole, type RoleName } from './role-names.ts';
import { scramVerifier } from './scram.ts';

// One login of this gateway process for one principal and catalog, and the passwords with which backends are opened on
// it: each good for seconds, set just before and ended just after.

/** A password lives this long, unless `opened` ends it sooner. */
const passwordSeconds = 10;
/** A new opener shares a password that has at least this much left. */
const shareMs = 5_000;
const leaseSeconds = 600;
/** Random passwords of 192 bits gain nothing from stretching; each sign-in would pay for it twice. */
const iterations = 256;

export interface GatewayLogin {
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

/** @throws permission_denied when the principal has no role in that database */
export async function makeLogin(
  place: Place,
  principal: PrincipalName,
  instance: string,
  clock: Clock,
): Promise<GatewayLogin> {
  const role = loginRole(principal, 'gateway', randomBytes(8).toString('hex'));
  await createLogin(place.cluster, {
    role,
    principal,
    door: 'gateway',
    database: place.database,
    instance,
    validUntil: longPast,
    lease: { seconds: leaseSeconds },
  });
  const usedAt = clock.now();
  return { role, principal, place, turn: Promise.resolve(), ...noPassword, openers: 0, usedAt };
}

const noPassword = { password: undefined, passwordUntil: longPast };

/** Several who open at once share one password; the last to be done ends it. */
export function lendPassword(clock: Clock, login: GatewayLogin): Promise<UpstreamLogin> {
  return inTurn(login, () => lend(clock, login));
}

async function lend(clock: Clock, login: GatewayLogin): Promise<UpstreamLogin> {
  const now = clock.now();
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

async function endPassword(login: GatewayLogin): Promise<void> {
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
function armStatement(login: GatewayLogin, verifier: string): Sql {
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

/** Dropped, revoked, uninstalled with its leases, or the principal's role was made anew: the name is never used again. */
export function isGone(error: unknown): boolean {
  return error instanceof WritError && [gone, '42704', '42P01', '3F000'].includes(error.sqlstate);
}

/** Renews the lease. @returns whether the login has sessions */
export async function renew(login: GatewayLogin): Promise<boolean> {
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

function inTurn<T>(login: GatewayLogin, work: () => Promise<T>): Promise<T> {
  const result = login.turn.then(work, work);
  login.turn = result.catch(() => {});
  return result;
}
