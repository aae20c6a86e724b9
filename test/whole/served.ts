import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { Endpoints } from '../../src/client/endpoints.ts';
import { type DevEnvironment, startDevEnvironment } from '../../src/dev/environment.ts';
import { type Ran, run, stopProcess } from './company.ts';

// A company that has its Postgres, lake and identity provider already, and `writ serve` in front of them.

const main = join(inject('dist'), 'main.js');

export interface Surroundings {
  readonly environment: DevEnvironment;
  /** Everything but `policy`, on free ports. */
  readonly yaml: string;
  stop(): Promise<void>;
}

export async function startSurroundings(): Promise<Surroundings> {
  const home = mkdtempSync(join(tmpdir(), 'writ-company-'));
  const environment = await startDevEnvironment({ home, clusterPort: 0, idpPort: 0 });
  return {
    environment,
    yaml: `clusters:
  main:
    host: 127.0.0.1
    port: ${environment.cluster.port}
    adminUrl: { env: MAIN_ADMIN_URL }
    labels: { tier: trial }
catalogs:
  shop: { kind: POSTGRES, cluster: main, database: shop }
  lake: { kind: LAKE, location: ${environment.lakeFolder} }
issuers:
  - { issuer: "${environment.identityProvider.issuer}", allowLoopbackHttp: true }
listen: { http: { port: 0 }, postgres: { port: 0 } }
`,
    stop: async () => {
      await environment.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export interface Served {
  readonly home: string;
  readonly config: string;
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly endpoints: () => Endpoints;
  writ(...args: string[]): Promise<Ran>;
  /** The rows of a query on the audit log, as objects. */
  audit(query: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

/** A home with the writ.yaml in it; nothing runs yet. */
export function freshHome({ environment }: Surroundings): string {
  const home = mkdtempSync(join(tmpdir(), 'writ-served-'));
  symlinkSync(join(environment.home, 'idp'), join(home, 'idp'));
  return home;
}

/** Starts `writ serve`; resolves when it is ready, rejects with what it said when it ended. */
export async function serve(
  surroundings: Surroundings,
  home: string,
  policy: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Served> {
  const config = join(home, 'writ.yaml');
  writeFileSync(config, `${surroundings.yaml}${policy}`);
  const all = {
    ...process.env,
    WRIT_HOME: home,
    MAIN_ADMIN_URL: surroundings.environment.cluster.adminUrl,
    ...env,
  };
  rmSync(join(home, 'endpoints.json'), { force: true });
  const child = spawn(process.execPath, [main, 'serve', '-c', config], {
    env: all,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  const output = () => chunks.join('');
  const deadline = Date.now() + 60_000;
  while (!existsSync(join(home, 'endpoints.json'))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stopProcess(child, 'SIGKILL');
      throw new Error(`writ serve did not start:\n${output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const writ = (...args: string[]) => run(process.execPath, [main, ...args], all);
  return {
    home,
    config,
    child,
    output,
    endpoints: () => JSON.parse(readFileSync(join(home, 'endpoints.json'), 'utf8')) as Endpoints,
    writ,
    audit: async (query) => {
      const answer = await writ('audit', 'query', query, '--json', '--as', 'carla@acme.test');
      if (answer.code !== 0) throw new Error(`${answer.stdout}${answer.stderr}`);
      return rowsOf(JSON.parse(answer.stdout));
    },
    stop: () => stopProcess(child, 'SIGTERM'),
  };
}

function rowsOf(value: {
  columns: (string | { name: string })[];
  rows: unknown[][];
}): Record<string, unknown>[] {
  const names = value.columns.map((column) => (typeof column === 'string' ? column : column.name));
  return value.rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])));
}
