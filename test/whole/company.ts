import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { inject } from 'vitest';
import type { Endpoints } from '../../src/client/endpoints.ts';

// The sample company as a stranger starts it: the built `writ dev` in a process of its own, a home of its own, free ports.

const main = join(inject('dist'), 'main.js');

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Company {
  readonly home: string;
  readonly process: ChildProcess;
  readonly output: () => string;
  readonly endpoints: Endpoints;
  /** Runs the CLI against this instance. */
  writ(...args: string[]): Promise<Ran>;
  /** Plain psql with a person's fresh credential; `-X -A -t -v VERBOSITY=verbose`. */
  psql(as: string, catalog: string, text: string, ...args: string[]): Promise<Ran>;
  /** A connected node-postgres client. */
  connect(as: string, catalog: string, config?: pg.ClientConfig): Promise<pg.Client>;
  /** A client to the cluster itself with a --direct credential. */
  connectDirect(
    as: string,
    catalog: string,
  ): Promise<pg.Client & { credential: { id: string; user: string; password: string } }>;
  /** A superuser's client of a database of the cluster: how tests look from outside. */
  admin(database?: string): Promise<pg.Client>;
  /** A client of one of the application's own roles (shop_app, shop_backup, …). */
  application(role: string): Promise<pg.Client>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface CompanyOptions {
  readonly home?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly keepHome?: boolean;
}

export async function startCompany(options: CompanyOptions = {}): Promise<Company> {
  const home = options.home ?? mkdtempSync(join(tmpdir(), 'writ-whole-'));
  const env = {
    ...process.env,
    WRIT_HOME: home,
    WRIT_HTTP_PORT: '0',
    WRIT_PG_PORT: '0',
    WRIT_CLUSTER_PORT: '0',
    WRIT_IDP_PORT: '0',
    ...options.env,
  };
  rmSync(join(home, 'endpoints.json'), { force: true });
  const child = spawn(process.execPath, [main, 'dev'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  const output = () => chunks.join('');
  await ready(child, join(home, 'endpoints.json'), output).catch(async (error: unknown) => {
    await stopProcess(child, 'SIGTERM');
    if (options.home === undefined) rmSync(home, { recursive: true, force: true });
    throw error;
  });
  const endpoints = JSON.parse(readFileSync(join(home, 'endpoints.json'), 'utf8')) as Endpoints;
  const writ = (...args: string[]) => run(process.execPath, [main, ...args], env);
  return {
    home,
    process: child,
    output,
    endpoints,
    writ,
    psql: (as, catalog, text, ...args) => psql({ writ, endpoints, env }, as, catalog, text, args),
    connect: (as, catalog, config) => connect(writ, endpoints, as, catalog, config),
    connectDirect: (as, catalog) => connectDirect(writ, as, catalog),
    admin: async (database = 'shop') => {
      const url = new URL(endpoints.clusters['main']?.adminUrl ?? '');
      url.pathname = `/${database}`;
      return opened(new pg.Client({ connectionString: url.href }));
    },
    application: async (role) => {
      const urls = JSON.parse(readFileSync(join(home, 'cluster-roles.json'), 'utf8')) as Record<
        string,
        string
      >;
      const cluster = endpoints.clusters['main'];
      return opened(
        new pg.Client({
          host: cluster?.host ?? '',
          port: cluster?.port ?? 0,
          database: 'shop',
          user: role,
          password: urls[role] ?? '',
        }),
      );
    },
    stop: async (signal = 'SIGTERM') => {
      await stopProcess(child, signal);
      if (options.keepHome !== true) rmSync(home, { recursive: true, force: true });
    },
  };
}

async function ready(child: ChildProcess, file: string, output: () => string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!existsSync(file)) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`writ dev did not start:\n${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

export function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  input?: string,
): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      command,
      [...args],
      { env, maxBuffer: 256 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ code, stdout, stderr });
      },
    );
    // Who ends before it reads is no error of ours: its exit code says how it went.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input ?? '');
  });
}

interface Credential {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

type Writ = Company['writ'];

async function credential(writ: Writ, as: string, catalog: string, ...args: string[]): Promise<Credential> {
  const answer = await writ('credentials', catalog, '--as', as, '--json', ...args);
  if (answer.code !== 0) throw new Error(`no credential for ${as}: ${answer.stdout}${answer.stderr}`);
  return JSON.parse(answer.stdout) as Credential;
}

async function psql(
  { writ, endpoints, env }: { writ: Writ; endpoints: Endpoints; env: NodeJS.ProcessEnv },
  as: string,
  catalog: string,
  text: string,
  args: readonly string[],
): Promise<Ran> {
  const token = await writ('token', '--as', as);
  const { host, port, caFile } = endpoints.postgres;
  return run(
    'psql',
    ['-X', '-A', '-t', '-v', 'VERBOSITY=verbose', ...args],
    {
      ...env,
      PGHOST: host,
      PGPORT: String(port),
      PGDATABASE: catalog,
      PGUSER: as,
      PGPASSWORD: token.stdout.trim(),
      PGSSLMODE: 'verify-ca',
      PGSSLROOTCERT: caFile,
    },
    text,
  );
}

async function connect(
  writ: Writ,
  endpoints: Endpoints,
  as: string,
  catalog: string,
  config: pg.ClientConfig = {},
): Promise<pg.Client> {
  const made = await credential(writ, as, catalog);
  const ssl = { ca: readFileSync(endpoints.postgres.caFile, 'utf8'), servername: 'localhost' };
  return opened(
    new pg.Client({
      host: made.host,
      port: made.port,
      database: made.database,
      user: made.user,
      password: made.password,
      ssl,
      ...config,
    }),
  );
}

async function connectDirect(writ: Writ, as: string, catalog: string) {
  const made = await credential(writ, as, catalog, '--direct');
  const client = await opened(
    new pg.Client({
      host: made.host,
      port: made.port,
      database: made.database,
      user: made.user,
      password: made.password,
    }),
  );
  return Object.assign(client, { credential: made });
}

/** The SQLSTATE with which the server ends this client's session; call it before that happens. */
export function endOf(client: pg.Client): Promise<string | undefined> {
  return new Promise((resolve) => {
    client.once('error', (error: Error & { code?: string }) => resolve(error.code ?? error.message));
  });
}

async function opened(client: pg.Client): Promise<pg.Client> {
  client.on('error', () => undefined); // a session that the gateway ends is asserted through the statement that fails
  await client.connect();
  return client;
}
