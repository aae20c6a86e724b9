import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CatalogInfo } from '../catalog/model.ts';
import { type Endpoints, endpointsFile } from '../client/endpoints.ts';
import type { Settings } from '../config/settings.ts';
import { type DevEnvironment, startDevEnvironment } from '../dev/environment.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import type { Instance } from './instance.ts';

// `writ dev`: the embedded environment on the left, the instance on the right, and what to paste.

/** Runs until SIGTERM or SIGINT. @throws WritError when something cannot start; all that was started is stopped again. */
export async function runDev(settings: Settings): Promise<void> {
  const started = Date.now();
  const stopping = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  const starting = startDevEnvironment(settings);
  // Loaded while Postgres makes its data. Nobody looks at a failure here: the import below meets it again.
  import('./instance.ts').catch(() => undefined);
  const environment = await starting;
  let instance: Instance | undefined;
  try {
    const { openInstance } = await import('./instance.ts');
    instance = await openInstance(instanceConfig(settings, environment));
    const endpoints = endpointsOf(instance, environment);
    writeEndpoints(settings.home, endpoints);
    process.stdout.write(`${welcome(endpoints, environment, Date.now() - started)}\n`);
    await stopping;
  } finally {
    rmSync(endpointsFile(settings.home), { force: true });
    await instance?.close();
    await environment.stop();
  }
}

function instanceConfig(settings: Settings, environment: DevEnvironment) {
  const { home, httpPort, pgPort, policies, logLevel } = settings;
  return {
    home,
    httpPort,
    pgPort,
    policies,
    logLevel,
    clusters: [{ name: 'main', adminUrl: environment.cluster.adminUrl }],
    catalogs: sampleCatalogs(home, environment),
    issuers: [
      {
        issuer: environment.identityProvider.issuer,
        audience: environment.identityProvider.audience,
        formerly: formerIssuers(home, environment.identityProvider.issuer),
      },
    ],
    tls: environment.certificate,
    allowPlaintextLoopback: true,
    hardenOnFirstStart: true,
  };
}

function sampleCatalogs(home: string, environment: DevEnvironment): readonly CatalogInfo[] {
  return [
    {
      name: 'shop' as SecurableName,
      kind: 'POSTGRES',
      cluster: 'main',
      database: environment.cluster.database,
    },
    { name: 'lake' as SecurableName, kind: 'LAKE', location: environment.lakeFolder },
    { name: 'system' as SecurableName, kind: 'SYSTEM', location: join(home, 'audit') },
  ];
}

/** The embedded provider's URL holds its port; with port 0 it moves at every start, its people do not. */
function formerIssuers(home: string, now: string): readonly string[] {
  const file = join(home, 'idp', 'issuers.json');
  const known = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as string[]) : [];
  writeFileSync(file, JSON.stringify([...new Set([...known, now])]), { mode: 0o600 });
  return known.filter((issuer) => issuer !== now);
}

function endpointsOf(instance: Instance, environment: DevEnvironment): Endpoints {
  const { host, port, database, adminUrl } = environment.cluster;
  return {
    http: `http://127.0.0.1:${instance.httpPort}`,
    issuer: environment.identityProvider.issuer,
    pid: process.pid,
    postgres: { host: '127.0.0.1', port: instance.pgPort, caFile: environment.certificate.caFile },
    clusters: { main: { host, port, database, adminUrl: inDatabase(adminUrl, database) } },
  };
}

function inDatabase(url: string, database: string): string {
  const moved = new URL(url);
  moved.pathname = `/${encodeURIComponent(database)}`;
  return moved.href;
}

/** Written last and at once: whoever finds it finds a running instance. */
function writeEndpoints(home: string, endpoints: Endpoints): void {
  const file = endpointsFile(home);
  writeFileSync(`${file}.new`, `${JSON.stringify(endpoints, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function welcome(endpoints: Endpoints, environment: DevEnvironment, tookMs: number): string {
  const { host, port } = endpoints.postgres;
  return `
Writ is ready after ${(tookMs / 1000).toFixed(1)} s.

  gateway   postgres://${host}:${port}   catalogs: shop, lake, system
  http      ${endpoints.http}
  sign-in   ${endpoints.issuer}
  cluster   postgres://${environment.cluster.host}:${environment.cluster.port}/${environment.cluster.database} (embedded Postgres)

Paste into another shell:

  npx writ psql shop --as ana@acme.test -c 'select id, email, phone, region from customers limit 3'
  npx writ psql shop --as sam@acme.test -c 'select id, email, phone, region from customers limit 3'
  npx writ psql lake --as ana@acme.test -c 'select region, count(*) from lake.sales.orders_history group by region'
  npx writ psql system --as carla@acme.test -c 'select principal, statement, decision from system.access.audit'

With any other client, the password is a token:

  PGPASSWORD=$(npx writ token --as ana@acme.test) psql "host=${host} port=${port} dbname=shop user=ana@acme.test"

Ctrl-C stops everything.`;
}
