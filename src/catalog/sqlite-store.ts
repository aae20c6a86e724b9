import type Database from 'better-sqlite3';
import type { PrincipalName } from '../kernel/principal.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import { type Sql, sql } from '../kernel/sql.ts';
import type { BoundPrincipal, CatalogInfo, CatalogSnapshot, CredentialRecord, Discovered } from './model.ts';
import { openDatabase } from './open-database.ts';
import { buildSnapshot, type CatalogContent, contentDigest, sortDiscovered } from './snapshot.ts';
import { SqliteCredentials } from './sqlite-credentials.ts';
import { SqliteKept } from './sqlite-kept.ts';
import { SqlitePrincipals } from './sqlite-principals.ts';
import type {
  Binding,
  CatalogStore,
  ClaimedGroups,
  KeptInputs,
  KeptMoment,
  NewKept,
  PolicyInForce,
  PolicySource,
  QuarantinedSubject,
} from './store.ts';

export interface SqliteStoreOptions {
  /** The database file, or `:memory:`. */
  readonly file: string;
}

/** The embedded catalog store. @throws invalid_config when a newer Writ made the file */
export function openSqliteStore(options: SqliteStoreOptions): CatalogStore {
  return new SqliteStore(openDatabase(options.file));
}

class SqliteStore implements CatalogStore {
  readonly #database: Database.Database;
  readonly #principals: SqlitePrincipals;
  readonly #credentials: SqliteCredentials;
  readonly #kept: SqliteKept;
  #cached: { readonly snapshot: CatalogSnapshot; readonly version: unknown } | undefined;

  constructor(database: Database.Database) {
    this.#database = database;
    this.#principals = new SqlitePrincipals(database);
    this.#credentials = new SqliteCredentials(database);
    this.#kept = new SqliteKept(database);
  }

  putCatalog(catalog: CatalogInfo): void {
    const put = sql`INSERT INTO catalog (name, body) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body`;
    this.#run(put, catalog.name, JSON.stringify(catalog));
    this.#cached = undefined;
  }

  replaceDiscovered(catalog: SecurableName, found: Discovered): boolean {
    const content = contentDigest(found);
    const replace = this.#database.transaction(() => {
      const before = this.#row(sql`SELECT content FROM catalog WHERE name = ?`, catalog);
      if (before === undefined) throw new Error(`catalog ${catalog} is not registered`);
      this.#clear(catalog);
      this.#insert(catalog, sortDiscovered(found));
      this.#run(sql`UPDATE catalog SET content = ? WHERE name = ?`, content, catalog);
      return before['content'] !== content;
    });
    const changed = replace.immediate();
    this.#cached = undefined;
    return changed;
  }

  snapshot(): CatalogSnapshot {
    // Changes when another connection wrote; our own writes drop the cache.
    const version = this.#database.pragma('data_version', { simple: true });
    if (this.#cached !== undefined && this.#cached.version === version) return this.#cached.snapshot;
    const snapshot = this.#database.transaction(() => this.#load())();
    this.#cached = { snapshot, version };
    return snapshot;
  }

  bindPrincipal(
    subject: { issuer: string; subject: string; name: PrincipalName; email?: string },
    now: number,
  ): Binding {
    return this.#principals.bind(subject, now);
  }

  principals(): readonly BoundPrincipal[] {
    return this.#principals.all();
  }

  moveIssuer(from: string, to: string): number {
    return this.#principals.moveIssuer(from, to);
  }

  quarantined(): readonly QuarantinedSubject[] {
    return this.#principals.quarantined();
  }

  rebindPrincipal(subject: { issuer: string; subject: string }, now: number): boolean {
    return this.#principals.rebind(subject, now);
  }

  putCredential(credential: CredentialRecord): void {
    this.#credentials.put(credential);
  }

  credential(id: string): CredentialRecord | undefined {
    return this.#credentials.get(id);
  }

  credentials(filter: { principal?: PrincipalName; live?: number } = {}): readonly CredentialRecord[] {
    return this.#credentials.list(filter);
  }

  revokeCredential(id: string, now: number): boolean {
    return this.#credentials.revoke(id, now);
  }

  putPolicy(policy: PolicyInForce): void {
    const put = sql`INSERT INTO policy_in_force (snapshot, applied_at, applied_by, files, source) VALUES (?, ?, ?, ?, ?)`;
    const source = policy.source === undefined ? null : JSON.stringify(policy.source);
    this.#run(put, policy.snapshot, policy.appliedAt, policy.appliedBy, JSON.stringify(policy.files), source);
  }

  policyInForce(): PolicyInForce | undefined {
    return this.#policies(sql`SELECT * FROM policy_in_force ORDER BY number DESC LIMIT 1`)[0];
  }

  policies(): readonly PolicyInForce[] {
    return this.#policies(sql`SELECT * FROM policy_in_force ORDER BY number`);
  }

  keepSnapshot(kept: NewKept): number {
    return this.#kept.keep(kept);
  }

  keptBegins(number: number, since: number): void {
    this.#kept.begins(number, since);
  }

  keptAt(moment?: number): KeptMoment | undefined {
    return this.#kept.at(moment);
  }

  firstKept(): number | undefined {
    return this.#kept.first();
  }

  keptInputs(number: number): KeptInputs {
    return this.#kept.inputs(number);
  }

  putClaimedGroups(principal: PrincipalName, groups: readonly string[], issuedAt: number): void {
    this.#kept.claim(principal, groups, issuedAt);
  }

  claimedGroups(): readonly ClaimedGroups[] {
    return this.#kept.claimed();
  }

  claimedGroupsOf(principal: PrincipalName): ClaimedGroups | undefined {
    return this.#kept.claimedBy(principal);
  }

  close(): void {
    this.#database.close();
  }

  #policies(query: Sql): readonly PolicyInForce[] {
    return this.#rows(query).map((row) => ({
      snapshot: String(row['snapshot']),
      appliedAt: Number(row['applied_at']),
      appliedBy: String(row['applied_by']) as PrincipalName,
      files: parseBody<PolicyInForce['files']>(row['files']),
      ...(row['source'] === null ? {} : { source: parseBody<PolicySource>(row['source']) }),
    }));
  }

  #clear(catalog: SecurableName): void {
    this.#run(sql`DELETE FROM catalog_schema WHERE catalog = ?`, catalog);
    this.#run(sql`DELETE FROM catalog_table WHERE catalog = ?`, catalog);
    this.#run(sql`DELETE FROM catalog_function WHERE catalog = ?`, catalog);
    this.#run(sql`DELETE FROM catalog_partition WHERE catalog = ?`, catalog);
  }

  #insert(catalog: SecurableName, found: Discovered): void {
    const schema = this.#prepare(sql`INSERT INTO catalog_schema (name, catalog) VALUES (?, ?)`);
    for (const name of found.schemas) schema.run(name, catalog);
    const table = this.#prepare(sql`INSERT INTO catalog_table (name, catalog, body) VALUES (?, ?, ?)`);
    for (const info of found.tables) table.run(info.name, catalog, JSON.stringify(info));
    const fn = this.#prepare(
      sql`INSERT INTO catalog_function (name, signature, catalog, body) VALUES (?, ?, ?, ?)`,
    );
    for (const info of found.functions) fn.run(info.name, info.signature, catalog, JSON.stringify(info));
    const partition = this.#prepare(
      sql`INSERT INTO catalog_partition (name, parent, catalog) VALUES (?, ?, ?)`,
    );
    for (const { name, parent } of found.partitions) partition.run(name, parent, catalog);
  }

  #load(): CatalogSnapshot {
    return buildSnapshot(
      this.#rows(sql`SELECT * FROM catalog ORDER BY name`).map((row) => this.#content(row)),
    );
  }

  #content(row: Row): CatalogContent {
    const name = String(row['name']);
    const schemas = this.#rows(sql`SELECT name FROM catalog_schema WHERE catalog = ? ORDER BY name`, name);
    const tables = this.#rows(sql`SELECT body FROM catalog_table WHERE catalog = ? ORDER BY name`, name);
    const functions = this.#rows(
      sql`SELECT body FROM catalog_function WHERE catalog = ? ORDER BY name, signature`,
      name,
    );
    const partitions = this.#rows(
      sql`SELECT name, parent FROM catalog_partition WHERE catalog = ? ORDER BY name`,
      name,
    );
    return {
      catalog: parseBody(row['body']),
      content: String(row['content']),
      schemas: schemas.map((schema) => String(schema['name']) as SecurableName),
      tables: tables.map((table) => parseBody(table['body'])),
      functions: functions.map((fn) => parseBody(fn['body'])),
      partitions: partitions.map((partition) => ({
        name: String(partition['name']) as SecurableName,
        parent: String(partition['parent']) as SecurableName,
      })),
    };
  }

  #prepare(query: Sql): Database.Statement {
    return this.#database.prepare(query.text);
  }

  #run(query: Sql, ...values: readonly (string | number | null)[]): void {
    this.#prepare(query).run(...values);
  }

  #row(query: Sql, ...values: readonly string[]): Row | undefined {
    return this.#prepare(query).get(...values) as Row | undefined;
  }

  #rows(query: Sql, ...values: readonly string[]): readonly Row[] {
    return this.#prepare(query).all(...values) as readonly Row[];
  }
}

type Row = Readonly<Record<string, unknown>>;

/** Bodies are JSON that this store wrote from the same type. */
function parseBody<T>(text: unknown): T {
  return JSON.parse(String(text)) as T;
}
