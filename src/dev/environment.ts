import { join } from 'node:path';
import type { Settings } from '../config/settings.ts';
import { type DevCertificate, devCertificate } from './certificate.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';
import { lockHome, prepareHome } from './home.ts';
import type { IdentityProvider } from './identity-provider.ts';
import { createSampleShop, type ShopRole, shopDatabase } from './sample/shop.ts';

// Everything that a company already has and Writ comes to: a Postgres with an application's database, a lake, an
// identity provider. `writ dev` starts it; nothing here knows of policies or the gateway.

export interface DevEnvironment {
  readonly home: string;
  readonly cluster: {
    readonly name: 'main';
    readonly host: string;
    readonly port: number;
    readonly database: string;
    /** postgres://… of the superuser, on database `postgres`. */
    readonly adminUrl: string;
    readonly pid: number;
    /** Settles when the server has ended, for whatever reason. */
    readonly exited: Promise<unknown>;
  };
  /** URLs of the application's own roles on `shop`; Writ manages none of them. */
  readonly roleUrls: Readonly<Record<ShopRole, string>>;
  /** Folder with one folder per schema. */
  readonly lakeFolder: string;
  readonly identityProvider: IdentityProvider;
  /** For the gateway's TLS. */
  readonly certificate: DevCertificate;
  /** Stops all of it, newest first. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Makes what is missing under `settings.home` and starts it.
 * @throws invalid_config for ports in use and for a folder that is not ours; conflict when another process holds it.
 * Whatever was started by then has been stopped.
 */
export async function startDevEnvironment(
  settings: Pick<Settings, 'home' | 'clusterPort' | 'idpPort'>,
): Promise<DevEnvironment> {
  const { home } = settings;
  prepareHome(home);
  const started = new StopList();
  started.add(lockHome(home));
  const lakeFolder = join(home, 'lake');
  // The provider and the lake are big libraries: loaded while Postgres, a process of its own, makes its data.
  // Settled, not raced: what has started while something else failed must be stopped too.
  const [cluster, identityProvider, lake] = await Promise.allSettled([
    startCluster(home, settings.clusterPort, started),
    startProvider(home, settings.idpPort, started),
    import('./sample/lake.ts').then(({ createSampleLake }) => createSampleLake(lakeFolder)),
  ]);
  try {
    const { server, roleUrls } = fulfilled(cluster);
    fulfilled(lake);
    return {
      home,
      cluster: {
        name: 'main',
        host: server.host,
        port: server.port,
        database: shopDatabase,
        adminUrl: server.adminUrl,
        pid: server.pid,
        exited: server.exited,
      },
      roleUrls,
      lakeFolder,
      identityProvider: fulfilled(identityProvider),
      certificate: devCertificate(join(home, 'tls'), Date.now()),
      stop: () => started.stop(),
    };
  } catch (error) {
    await started.stop();
    throw error;
  }
}

async function startProvider(home: string, port: number, started: StopList): Promise<IdentityProvider> {
  const { startIdentityProvider } = await import('./identity-provider.ts');
  const provider = await startIdentityProvider({ home, port, now: Date.now });
  started.add(() => provider.stop());
  return provider;
}

async function startCluster(
  home: string,
  port: number,
  started: StopList,
): Promise<{ server: EmbeddedPostgres; roleUrls: Record<ShopRole, string> }> {
  const server = await startEmbeddedPostgres({ home, port });
  started.add(() => server.stop());
  return { server, roleUrls: await createSampleShop(server.adminUrl, join(home, 'cluster-roles.json')) };
}

class StopList {
  #steps: (() => void | Promise<void>)[] = [];

  add(step: () => void | Promise<void>): void {
    this.#steps.push(step);
  }

  /** Newest first, each once; all are tried, the first failure is thrown. */
  async stop(): Promise<void> {
    const steps = this.#steps.reverse();
    this.#steps = [];
    const failures: unknown[] = [];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

function fulfilled<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}
