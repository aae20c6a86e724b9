import { sql } from '../kernel/sql.ts';
import type { Cluster } from './cluster.ts';
import type { Place } from './governed-databases.ts';
import { dropLogin, listLogins, withLeases } from './login-role.ts';

export interface LeftOverQuery {
  readonly places: readonly Place[];
  readonly instance: string;
  /** At start every login that bears our instance's name is left over: it is of a process before us. */
  readonly starting: boolean;
  readonly isOurs: (login: string) => boolean;
  readonly onError: (error: unknown) => void;
}

/** Drops gateway logins that no process keeps alive. One cluster that is away does not keep the others waiting. */
export async function removeLeftOvers(query: LeftOverQuery): Promise<void> {
  await Promise.all(
    query.places.map(async ({ cluster, database }) => {
      try {
        for (const login of await leftOversIn(query, cluster, database))
          if (!query.isOurs(login)) await dropLogin(cluster, database, login);
      } catch (error) {
        query.onError(error);
      }
    }),
  );
}

async function leftOversIn(
  { instance, starting }: LeftOverQuery,
  cluster: Cluster,
  database: string,
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
