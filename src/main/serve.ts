import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Endpoints, endpointsFile } from '../client/endpoints.ts';
import { processEnvironment, type Settings } from '../config/settings.ts';
import { devCertificate } from '../dev/certificate.ts';
import { lockHome, prepareHome } from '../dev/home.ts';
import { WritError } from '../kernel/errors.ts';
import type { Instance } from './instance.ts';
import type { InstanceConfig } from './parts.ts';
import { lastWord, stopSignal, writeEndpoints } from './running.ts';
import { serveConfig, type TlsFiles } from './serve-config.ts';

// `writ serve -c writ.yaml`: the clusters, catalogs and issuers of a company, governed. It brings nothing along, and
// hardens nothing by itself.

/** Runs until SIGTERM or SIGINT. @throws WritError when it cannot start; whatever was opened is closed again. */
export async function runServe(settings: Settings, file: string): Promise<void> {
  const stopping = stopSignal(settings.launchedByNpm);
  const { instance: config, tls } = serveConfig(readConfig(file), file, settings, processEnvironment());
  prepareHome(settings.home);
  const unlock = lockHome(settings.home);
  let instance: Instance | undefined;
  try {
    const { caFile, ...identity } = tls ?? ownCertificate(settings.home);
    const { openInstance } = await import('./instance.ts');
    instance = await openInstance({ ...config, tls: identity });
    const endpoints = endpointsOf(instance, config, caFile);
    writeEndpoints(settings.home, endpoints);
    process.stdout.write(`${welcome(endpoints, config, instance.policyNotice)}\n`);
    await stopping;
  } finally {
    rmSync(endpointsFile(settings.home), { force: true });
    try {
      await instance?.close();
    } finally {
      unlock();
      lastWord();
    }
  }
}

function readConfig(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new WritError('invalid_config', {
      message: `${file} cannot be read`,
      hint: '`writ config example` prints one to start from',
      cause,
    });
  }
}

/** Loopback only: TLS is always offered and always required. */
function ownCertificate(home: string): TlsFiles {
  const { certificate, key, caFile } = devCertificate(join(home, 'tls'), Date.now());
  return { certificate, key, caFile };
}

type Config = Omit<InstanceConfig, 'tls'>;

function endpointsOf(instance: Instance, config: Config, caFile: string): Endpoints {
  const everywhere = config.pgHost === '0.0.0.0' || config.pgHost === '::';
  return {
    http: `http://127.0.0.1:${instance.httpPort}`,
    issuer: config.issuers[0]?.issuer ?? '',
    pid: process.pid,
    postgres: {
      host: everywhere || config.pgHost === undefined ? '127.0.0.1' : config.pgHost,
      port: instance.pgPort,
      caFile,
    },
    clusters: Object.fromEntries(
      config.clusters.map((cluster) => [cluster.name, clusterOf(cluster, config)]),
    ),
  };
}

/** Where it is; its password stays where writ.yaml keeps it. */
function clusterOf({ name, adminUrl, host, port }: Config['clusters'][number], { catalogs }: Config) {
  const url = new URL(adminUrl);
  url.password = '';
  return {
    host: host ?? url.hostname,
    port: port ?? Number(url.port || 5432),
    database: catalogs.find(({ cluster }) => cluster === name)?.database ?? url.pathname.slice(1),
    adminUrl: url.href,
  };
}

function welcome(endpoints: Endpoints, config: Config, notice: string | undefined): string {
  const { host, port } = endpoints.postgres;
  const source = config.git?.repository;
  const from =
    source === undefined ? config.policies : `${source.address.shown} ${source.ref} ${source.folder}`;
  const clusters = Object.entries(endpoints.clusters).map(([name, at]) => `${name} (${at.host}:${at.port})`);
  return `
Writ serves.${notice === undefined ? '' : `\n\n${notice}`}

  gateway   postgres://${host}:${port}   catalogs: ${config.catalogs.map(({ name }) => name).join(', ')}
  http      ${endpoints.http}
  sign-in   ${config.issuers.map(({ issuer }) => issuer).join(', ')}
  clusters  ${clusters.join(', ') || 'none'}
  policy    ${from}

Nothing was hardened: \`writ cluster doctor\` says what stands open on the clusters. SIGTERM stops everything.`;
}
