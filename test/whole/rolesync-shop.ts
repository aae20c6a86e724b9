import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { openAuditLog } from '../../src/audit/log.ts';
import type { CatalogInfo, CatalogSnapshot, FunctionInfo } from '../../src/catalog/model.ts';
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { createSampleShop, type ShopRole } from '../../src/dev/sample/shop.ts';
import type { Cluster } from '../../src/fleet/cluster.ts';
import { openCluster } from '../../src/fleet/open-cluster.ts';
import { principalRole } from '../../src/fleet/role-names.ts';
import { directSearchPath } from '../../src/fleet/search-path.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { parsePrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName, type SecurableName } from '../../src/kernel/securable-name.ts';
import type { TokenKey } from '../../src/kernel/token-key.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import {
  type ApplyOptions,
  applyCluster,
  type ClusterPlan,
  planCluster,
} from '../../src/rolesync/reconcile.ts';
import { catalogOf, sampleTables } from '../policy/fixture.ts';

// The sample shop on a real Postgres of its own, governed by the sample policy or by a variant of it.

export const shop = parseSecurableName('shop');

export interface GovernedShop {
  readonly cluster: Cluster;
  readonly adminUrl: string;
  readonly roleUrls: Readonly<Record<ShopRole, string>>;
  /** The policy against the catalog as it is now; `change` edits the sample's text. */
  snapshot(change?: (text: string) => string): Promise<Snapshot>;
  plan(snapshot: Snapshot): Promise<ClusterPlan>;
  apply(snapshot: Snapshot): Promise<ClusterPlan>;
  target(snapshot: Snapshot): ApplyOptions;
  admin(database?: string): Promise<pg.Client>;
  application(role: ShopRole): Promise<pg.Client>;
  /** A login of the person for one door with a lease, as fleet makes them. */
  login(
    snapshot: Snapshot,
    who: string,
    door: 'gateway' | 'direct',
  ): Promise<pg.Client & { readonly login: string }>;
  stop(): Promise<void>;
}

/** Without its invariants, so that tests may weaken it. */
export const samplePolicy = (): string =>
  readFileSync(new URL('../../policies/sample.yaml', import.meta.url), 'utf8').replace(
    /^invariants: .*$/m,
    '',
  );

/** Gives analysts MODIFY on shop as well. */
export const withModify = (text: string): string =>
  text.replace('grants:\n', 'grants:\n  - { on: shop, to: analysts, privileges: [MODIFY] }\n');

export async function governedShop(tokenKey?: TokenKey): Promise<GovernedShop> {
  const home = mkdtempSync(join(tmpdir(), 'writ-rolesync-'));
  const server = await startEmbeddedPostgres({ home, port: 0 });
  const urls = await createSampleShop(server.adminUrl, join(home, 'roles.json'));
  const cluster = openCluster({ name: 'main', adminUrl: server.adminUrl, tokenKey });
  const audit = openAuditLog({ folder: join(home, 'audit'), writer: 'test', clock: systemClock });
  const clients: pg.Client[] = [];
  let logins = 0;
  const connect = async (config: pg.ClientConfig): Promise<pg.Client> => {
    const client = new pg.Client(config);
    client.on('error', () => undefined);
    await client.connect();
    clients.push(client);
    return client;
  };
  const admin = (database = 'shop') => connect({ connectionString: urlOf(server.adminUrl, database) });
  const target = (snapshot: Snapshot): ApplyOptions => ({
    cluster,
    catalog: shopInfo(snapshot),
    snapshot,
    audit,
  });
  return {
    cluster,
    adminUrl: server.adminUrl,
    roleUrls: urls,
    snapshot: (change = (text) => text) => compile(cluster, change(samplePolicy())),
    plan: (snapshot) => planCluster(target(snapshot)),
    apply: (snapshot) => applyCluster(target(snapshot)),
    target,
    admin,
    application: (role) => connect({ connectionString: urls[role] }),
    async login(snapshot, who, door) {
      const login = `writ_l_${door === 'direct' ? 'd' : 'g'}_${who.replaceAll(/\W/g, '_')}_${++logins}`;
      const principal = parsePrincipalName(who);
      await makeLogin(await admin(), snapshot, login, principal, door);
      const client = await connect({
        host: '127.0.0.1',
        port: Number(new URL(server.adminUrl).port),
        database: 'shop',
        user: login,
        password: 'secret',
      });
      return Object.assign(client, { login });
    },
    async stop() {
      await Promise.allSettled(clients.map((client) => client.end()));
      await cluster.close();
      await audit.close();
      await server.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function makeLogin(
  admin: pg.Client,
  snapshot: Snapshot,
  login: string,
  principal: ReturnType<typeof parsePrincipalName>,
  door: 'gateway' | 'direct',
): Promise<void> {
  await admin.query(`create role "${login}" login password 'secret'`);
  await admin.query(
    `comment on role "${login}" is '${JSON.stringify({ principal, door, database: 'shop', instance: 'test' })}'`,
  );
  await admin.query(`grant "${principalRole(principal, door)}" to "${login}" with inherit true, set false`);
  await admin.query(
    `insert into writ.lease (login, principal, door, expires_at) values ($1, $2, $3, clock_timestamp() + interval '1 hour')`,
    [login, principal, door],
  );
  const path = directSearchPath(snapshot, principal, shop)
    .map((schema) => pg.escapeIdentifier(schema))
    .join(', ');
  if (door === 'direct')
    await admin.query(`alter role "${login}" in database shop set search_path = ${path}`);
}

async function compile(cluster: Cluster, text: string): Promise<Snapshot> {
  const found = await cluster.discover(shop, 'shop');
  const others = sampleTables().filter((table) => !table.name.startsWith('shop.'));
  const base = catalogOf({ shop: 'POSTGRES', lake: 'LAKE', system: 'SYSTEM' }, others);
  const functions = new Map<SecurableName, FunctionInfo[]>();
  for (const one of found.functions) functions.set(one.name, [...(functions.get(one.name) ?? []), one]);
  const tables = new Map([...base.tables, ...found.tables.map((table) => [table.name, table] as const)]);
  const schemas = new Set([...base.schemas, ...found.schemas]);
  const catalog: CatalogSnapshot = {
    ...base,
    tables,
    schemas,
    functions,
    partitions: new Map(found.partitions.map((one) => [one.name, one.parent])),
  };
  const { snapshot, findings } = await compileFiles([{ path: 'policy.yaml', text }], catalog, [], Date.now());
  if (snapshot === undefined)
    throw new Error(findings.map((finding) => `${finding.line}: ${finding.message}`).join('\n'));
  return snapshot;
}

function shopInfo(snapshot: Snapshot): CatalogInfo {
  const info = snapshot.catalog.catalogs.get(shop);
  if (info === undefined) throw new Error('no catalog shop');
  return info;
}

function urlOf(adminUrl: string, database: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  return url.href;
}

/** SQLSTATE of what the statement fails with, or its rows. */
export async function outcome(client: pg.Client, text: string, values?: unknown[]): Promise<unknown> {
  try {
    return (await client.query(text, values)).rows;
  } catch (error) {
    return (error as pg.DatabaseError).code;
  }
}
