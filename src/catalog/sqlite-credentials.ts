import type Database from 'better-sqlite3';
import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import { sql } from '../kernel/sql.ts';
import type { CredentialRecord } from './model.ts';

interface CredentialRow {
  readonly id: string;
  readonly secret_hash: string;
  readonly principal: PrincipalName;
  readonly catalog: SecurableName;
  readonly direct: number;
  readonly login: string | null;
  readonly cluster: string | null;
  readonly issued_at: number;
  readonly expires_at: number;
  readonly revoked_at: number | null;
  readonly purpose: string | null;
  readonly ticket: string | null;
}

/** Credentials as they are kept: hashes, never secrets. */
export class SqliteCredentials {
  readonly #put: Database.Statement;
  readonly #get: Database.Statement;
  readonly #list: Database.Statement;
  readonly #revoke: Database.Statement;

  constructor(database: Database.Database) {
    this.#put = database.prepare(
      sql`INSERT INTO credential VALUES (@id, @secretHash, @principal, @catalog, @direct, @login, @cluster, @issuedAt,
        @expiresAt, @revokedAt, @purpose, @ticket)`.text,
    );
    this.#get = database.prepare(sql`SELECT * FROM credential WHERE id = ?`.text);
    this.#list = database.prepare(
      sql`SELECT * FROM credential WHERE (@principal IS NULL OR principal = @principal)
        AND (@live IS NULL OR (revoked_at IS NULL AND expires_at > @live)) ORDER BY issued_at, id`.text,
    );
    this.#revoke = database.prepare(
      sql`UPDATE credential SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL`.text,
    );
  }

  put(credential: CredentialRecord): void {
    const { login = null, cluster = null, revokedAt = null, purpose = null, ticket = null } = credential;
    const optional = { login, cluster, revokedAt, purpose, ticket };
    this.#put.run({ ...credential, ...optional, direct: credential.direct ? 1 : 0 });
  }

  get(id: string): CredentialRecord | undefined {
    const row = this.#get.get(id) as CredentialRow | undefined;
    return row === undefined ? undefined : toRecord(row);
  }

  list(filter: { principal?: PrincipalName; live?: number }): readonly CredentialRecord[] {
    const rows = this.#list.all({ principal: filter.principal ?? null, live: filter.live ?? null });
    return (rows as CredentialRow[]).map(toRecord);
  }

  /** @returns whether it was live until now */
  revoke(id: string, now: number): boolean {
    return this.#revoke.run(now, id).changes > 0;
  }
}

function toRecord(row: CredentialRow): CredentialRecord {
  return {
    id: row.id,
    secretHash: row.secret_hash,
    principal: row.principal,
    catalog: row.catalog,
    direct: row.direct === 1,
    ...(row.login === null ? {} : { login: row.login }),
    ...(row.cluster === null ? {} : { cluster: row.cluster }),
    issuedAt: row.issued_at,
    expiresAt: row.expires_at,
    ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at }),
    ...(row.purpose === null ? {} : { purpose: row.purpose }),
    ...(row.ticket === null ? {} : { ticket: row.ticket }),
  };
}
