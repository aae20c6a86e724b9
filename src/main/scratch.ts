import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { loadModule } from 'libpg-query';
import type { CatalogInfo, TableInfo } from '../catalog/model.ts';
import { openApi } from '../client/api.ts';
import { devCertificate } from '../dev/certificate.ts';
import { everybody } from '../dev/company.ts';
import { startEmbeddedPostgres } from '../dev/embedded-postgres.ts';
import { prepareHome } from '../dev/home.ts';
import { type IdentityProvider, startIdentityProvider } from '../dev/identity-provider.ts';
import { fillScratchLake } from '../dev/scratch-lake.ts';
import { makeScratchDatabase, makeScratchRoles } from '../dev/scratch-postgres.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { isWithin, nameParts } from '../kernel/securable-name.ts';
import { scratchTokenKey } from '../kernel/token-key.ts';
import type { PolicyFile } from '../policy/model.ts';
import type { Testbed } from '../policy/testbed.ts';
import { copyView } from '../rolesync/view-copy.ts';
import { type Instance, openInstance } from './instance.ts';
import type { Closer, InstanceConfig } from './parts.ts';

// A whole instance for one run of tests, in a temporary home: an own Postgres, an own lake, an own issuer, and the
// gateway as everybody runs it. It differs from a real one in whom it trusts and in nothing else.

export interface Scratch {
  readonly pgPort: number;
  /** What of the catalog could not be made, in words. */
  readonly problems: readonly string[];
  /** A token of anybody, as their identity provider would give it. */
  token(as: PrincipalName): Promise<string>;
  /** The HTTP API, as this person. */
  call<T>(as: PrincipalName, method: 'GET' | 'POST', path: string, body?: object): Promise<T>;
  /** Brings other files into force. @throws what `policy apply` throws */
  apply(files: readonly PolicyFile[]): Promise<void>;
  /** Stops and removes everything. Safe to call twice. */
  close(): Promise<void>;
}

/** @throws what keeps an instance from starting, with everything stopped and removed again. */
export async function openScratch(testbed: Testbed, files: readonly PolicyFile[]): Promise<Scratch> {
  const home = mkdtempSync(join(tmpdir(), 'writ-test-'));
  const closers: Closer[] = [() => rmSync(home, { recursive: true, force: true })];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return await open(home, testbed, files, closers, close);
  } catch (thrown) {
    await close().catch(() => undefined);
    throw thrown;
  }
}

async function open(
  home: string,
  testbed: Testbed,
  files: readonly PolicyFile[],
  closers: Closer[],
  close: () => Promise<void>,
): Promise<Scratch> {
  prepareHome(home);
  writeFileSync(join(home, 'token-key'), `${scratchTokenKey}\n`, { mode: 0o600 });
  const policies = join(home, 'policies');
  mkdirSync(policies, { mode: 0o700 });
  for (const [i, { path, text }] of files.entries())
    writeFileSync(join(policies, `${i}-${basename(path)}`), text);
  const provider = await startIdentityProvider({ home, port: 0, now: Date.now, directory: everybody });
  closers.push(() => provider.stop());
  const [postgres] = await Promise.allSettled([
    makeClusters(home, testbed, closers),
    makeLakes(home, testbed),
  ]).then((settled) => settled.map(fulfilled));
  const { adminUrl = '', problems = [] } = postgres ?? {};
  const instance = await openInstance(configOf(home, policies, testbed, adminUrl, provider));
  closers.push(() => instance.close());
  return scratchOf(home, instance, provider, problems, close);
}

function fulfilled<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

interface MadeClusters {
  readonly adminUrl?: string;
  readonly problems?: readonly string[];
}

async function makeClusters(
  home: string,
  testbed: Testbed,
  closers: Closer[],
): Promise<MadeClusters | undefined> {
  const catalogs = testbed.catalogs.filter(({ kind }) => kind === 'POSTGRES');
  if (catalogs.length === 0) return undefined;
  const [server] = await Promise.all([startEmbeddedPostgres({ home, port: 0 }), loadModule()]);
  closers.push(() => server.stop());
  const password = await makeScratchRoles(server.adminUrl, testbed.roles);
  const problems: string[] = [];
  for (const catalog of catalogs) {
    const inside = <T extends { readonly name: Parameters<typeof isWithin>[0] }>(list: readonly T[]) =>
      list.filter(({ name }) => isWithin(name, catalog.name));
    const made = await makeScratchDatabase(server.adminUrl, password, {
      name: databaseOf(catalog),
      schemas: testbed.schemas.filter((name) => isWithin(name, catalog.name)),
      tables: testbed.tables.filter(({ info }) => isWithin(info.name, catalog.name)),
      views: inside(testbed.views).map(withWholeGroups),
      functions: inside(testbed.functions),
    });
    problems.push(...made);
  }
  return { adminUrl: server.adminUrl, problems };
}

/** Scratch tables have no keys: what a view shows because a key is in its GROUP BY is added to it, as for shadow views. */
function withWholeGroups(view: TableInfo): TableInfo {
  const copied = copyView(view.definition ?? '', {
    relation: () => ({ kind: 'keep' }),
    refuseFunction: () => undefined,
    isAggregate: () => false,
  });
  return copied.kind === 'copied' ? { ...view, definition: copied.body } : view;
}

/** Catalogs of several clusters may have databases of one name; here they share a server. */
function databaseOf({ name }: CatalogInfo): string {
  return `scratch_${nameParts(name).join('_')}`.slice(0, 63);
}

async function makeLakes(home: string, { catalogs, schemas, tables }: Testbed): Promise<undefined> {
  for (const { name, kind } of catalogs) {
    if (kind !== 'LAKE') continue;
    await fillScratchLake(
      lakeOf(home, name),
      schemas.filter((schema) => isWithin(schema, name)),
      tables.filter(({ info }) => isWithin(info.name, name)),
    );
  }
}

const lakeOf = (home: string, name: CatalogInfo['name']) =>
  join(home, 'lake', Buffer.from(name).toString('base64url'));

function configOf(
  home: string,
  policies: string,
  { catalogs }: Testbed,
  adminUrl: string,
  { issuer, audience }: IdentityProvider,
): InstanceConfig {
  const clusters = new Set(catalogs.flatMap(({ cluster }) => (cluster === undefined ? [] : [cluster])));
  return {
    home,
    policies,
    logLevel: 'warn',
    httpPort: 0,
    pgPort: 0,
    clusters: [...clusters].map((name) => ({ name, adminUrl })),
    catalogs: catalogs.map((catalog) => placed(home, catalog)),
    issuers: [{ issuer, audience }],
    tls: devCertificate(join(home, 'tls'), Date.now()),
    allowPlaintextLoopback: true,
    hardenOnFirstStart: true,
  };
}

function placed(home: string, catalog: CatalogInfo): CatalogInfo {
  switch (catalog.kind) {
    case 'POSTGRES':
      return { ...catalog, database: databaseOf(catalog) };
    case 'LAKE':
      return { ...catalog, location: lakeOf(home, catalog.name) };
    case 'SYSTEM':
      return { ...catalog, location: join(home, 'audit') };
  }
}

function scratchOf(
  home: string,
  instance: Instance,
  provider: IdentityProvider,
  problems: readonly string[],
  close: () => Promise<void>,
): Scratch {
  const server = () => `http://127.0.0.1:${instance.httpPort}`;
  const token = (as: PrincipalName) => provider.mintDevToken({ as });
  const operator = async () => readFileSync(join(home, 'operator-token'), 'utf8').trim();
  return {
    pgPort: instance.pgPort,
    problems,
    token,
    call: (as, method, path, body) => openApi(server, () => token(as)).call(method, path, body),
    apply: async (files) => {
      await openApi(server, operator).call('POST', '/api/v1/policy/apply', { files });
    },
    close,
  };
}
