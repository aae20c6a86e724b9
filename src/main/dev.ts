import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { CatalogInfo } from '../catalog/model.ts';
import { type Endpoints, endpointsFile } from '../client/endpoints.ts';
import type { Settings } from '../config/settings.ts';
import { type DevEnvironment, startDevEnvironment } from '../dev/environment.ts';
import { usablePort } from '../dev/ports.ts';
import { WritError } from '../kernel/errors.ts';
import type { SecurableName } from '../kernel/securable-name.ts';
import { formatFinding } from '../policy/findings.ts';
import { loadPolicyFiles } from '../policy/load.ts';
import type { Instance } from './instance.ts';
import { lastWord, stopSignal, writeEndpoints } from './running.ts';

// `writ dev`: the embedded environment on the left, the instance on the right, and what to paste.

/** Runs until SIGTERM or SIGINT. @throws WritError when something cannot start; all that was started is stopped again. */
export async function runDev(settings: Settings): Promise<void> {
  const started = Date.now();
  const stopping = stopSignal(settings.launchedByNpm);
  await checkFirst(settings);
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
    const facts = { endpoints, environment, tookMs: Date.now() - started, notice: instance.policyNotice };
    process.stdout.write(`${welcome(facts, settings)}\n`);
    await stopping;
  } finally {
    rmSync(endpointsFile(settings.home), { force: true });
    try {
      await instance?.close();
    } finally {
      await environment.stop();
      lastWord();
    }
  }
}

/**
 * What can be known to be wrong before Postgres and the others are started.
 * @throws invalid_policy for files that a first start would compile, invalid_config for a port in use
 */
async function checkFirst({ home, policies, httpPort, pgPort }: Settings): Promise<void> {
  // Somebody holds this home, or did: the environment says who, better than a port could.
  if (!existsSync(join(home, 'dev.lock'))) {
    await usablePort(httpPort, 'WRIT_HTTP_PORT');
    await usablePort(pgPort, 'WRIT_PG_PORT');
  }
  // Later starts go on with the last good policy, whatever the files say.
  if (existsSync(join(home, 'applied'))) return;
  const { lintWithoutCatalog } = await import('../policy/lint.ts');
  const findings = await lintWithoutCatalog(await loadPolicyFiles(policies), Date.now());
  const errors = findings.filter((finding) => finding.severity === 'error');
  if (errors.length === 0) return;
  throw new WritError('invalid_policy', {
    message: `the policy files in ${policies} do not compile: ${errors.length} error${errors.length === 1 ? '' : 's'}`,
    detail: errors.map(formatFinding).join('\n       '),
    hint: 'nothing was started; `writ policy lint` shows the same list',
  });
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

interface WelcomeFacts {
  readonly endpoints: Endpoints;
  readonly environment: DevEnvironment;
  readonly tookMs: number;
  readonly notice: string | undefined;
}

function welcome({ endpoints, environment, tookMs, notice }: WelcomeFacts, settings: Settings): string {
  const { host, port } = endpoints.postgres;
  const writ = `${homePrefix(settings.home)}npx writ`;
  return `
Writ is ready after ${(tookMs / 1000).toFixed(1)} s.${notice === undefined ? '' : `\n\n${notice}`}

  gateway   postgres://${host}:${port}   catalogs: shop, lake, system
  http      ${endpoints.http}
  sign-in   ${endpoints.issuer}
  cluster   postgres://${environment.cluster.host}:${environment.cluster.port}/${environment.cluster.database} (embedded Postgres)

Paste into another shell:

  ${writ} psql shop --as ana@acme.test -c 'select id, email, phone, region from customers limit 3'
  ${writ} psql shop --as sam@acme.test -c 'select id, email, phone, region from customers limit 3'
  ${writ} psql lake --as ana@acme.test -c 'select region, count(*) from lake.sales.orders_history group by region'
  ${writ} psql system --as carla@acme.test -c "select event_time, principal, statement, decision from system.access.audit where kind = 'statement' order by event_time desc limit 10"

With any other client, the password is a token:

  PGPASSWORD=$(${writ} token --as ana@acme.test) psql "host=${host} port=${port} dbname=shop user=ana@acme.test"

Ctrl-C stops everything.`;
}

/** What a shell needs before a pasted command to find this instance; nothing in the folder where it was started. */
function homePrefix(home: string): string {
  if (home === resolve('.writ')) return '';
  return `WRIT_HOME=${/^[\w@%+=:,./-]+$/.test(home) ? home : `'${home.replaceAll("'", "'\\''")}'`} `;
}
