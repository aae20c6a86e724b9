import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Measure, median, type Report } from './report.ts';

// A point query with pgbench: straight to Postgres, through Writ (policy and audit on), through PgBouncer where it is
// installed. Same rows: sam is exempt from every rule; ana's line shows what filter and mask cost on top.

const modes = ['simple', 'extended', 'prepared'] as const;
const clients = [1, 8, 32] as const;
const rounds = 3;
const seconds = 2;
const main = join(import.meta.dirname, '..', '..', 'dist', 'main.js');

interface Target {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
}

export async function benchGateway(): Promise<Report> {
  const home = mkdtempSync(join(tmpdir(), 'writ-bench-'));
  const instance = await startInstance(home);
  const script = join(home, 'point.sql');
  writeFileSync(script, '\\set id random(1, 5000)\nselect id, name, region from customers where id = :id;\n');
  const endpoints = JSON.parse(readFileSync(join(home, 'endpoints.json'), 'utf8')) as Endpoints;
  const roles = JSON.parse(readFileSync(join(home, 'cluster-roles.json'), 'utf8')) as Record<string, string>;
  const application = {
    PGUSER: 'shop_app',
    PGPASSWORD: roles['shop_app'] ?? '',
    PGDATABASE: 'shop',
    PGSSLMODE: 'disable',
  };
  const bouncer = await startPgBouncer(home, endpoints, application);
  try {
    const targets: Target[] = [
      { name: 'writ', env: gatewayEnv(home, endpoints, 'sam@acme.test') },
      { name: 'writ (ana)', env: gatewayEnv(home, endpoints, 'ana@acme.test') },
      {
        name: 'direct',
        env: { ...application, PGHOST: '127.0.0.1', PGPORT: String(endpoints.clusters.main.port) },
      },
      ...(bouncer === undefined
        ? []
        : [
            { name: 'pgbouncer', env: { ...application, PGHOST: '127.0.0.1', PGPORT: String(bouncer.port) } },
          ]),
    ];
    const measures = modes.flatMap((mode) => clients.map((n) => measure(mode, n, targets, script)));
    const notes = bouncer === undefined ? ['PgBouncer is not installed: no line for it.'] : [];
    return {
      bench: 'gateway',
      measures,
      notes: [
        ...notes,
        `medians of ${rounds} interleaved rounds of ${seconds} s; pgbench shares the machine`,
      ],
    };
  } finally {
    bouncer?.process.kill('SIGINT');
    instance.kill('SIGTERM');
    await new Promise((resolve) => instance.once('exit', resolve));
    rmSync(home, { recursive: true, force: true });
  }
}

interface Endpoints {
  readonly postgres: { readonly host: string; readonly port: number };
  readonly clusters: { readonly main: { readonly port: number } };
}

function measure(mode: string, n: number, targets: readonly Target[], script: string): Measure {
  const found = new Map<string, number[]>(targets.map((target) => [target.name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const target of targets) found.get(target.name)?.push(pgbench(mode, n, target, script));
  }
  const of = (name: string) => median(found.get(name) ?? []);
  const peers = Object.fromEntries(targets.slice(1).map((target) => [target.name, of(target.name)]));
  return { name: `${mode}, ${n} client${n === 1 ? '' : 's'}`, unit: 'tps', ours: of('writ'), peers };
}

function pgbench(mode: string, n: number, target: Target, script: string): number {
  const ran = spawnSync(
    'pgbench',
    ['-n', '-M', mode, '-c', String(n), '-j', '1', '-T', String(seconds), '-f', script],
    {
      env: { ...process.env, ...target.env },
      encoding: 'utf8',
    },
  );
  const tps = /tps = ([\d.]+)/.exec(ran.stdout)?.[1];
  if (tps === undefined) throw new Error(`pgbench on ${target.name} failed: ${ran.stderr}`);
  return Number(tps);
}

async function startInstance(home: string): Promise<ChildProcess> {
  const env = {
    ...process.env,
    WRIT_HOME: home,
    WRIT_HTTP_PORT: '0',
    WRIT_PG_PORT: '0',
    WRIT_CLUSTER_PORT: '0',
    WRIT_IDP_PORT: '0',
  };
  const child = spawn(process.execPath, [main, 'dev'], { env, stdio: 'ignore' });
  while (!existsSync(join(home, 'endpoints.json'))) {
    if (child.exitCode !== null) throw new Error('writ dev did not start');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return child;
}

function gatewayEnv(home: string, endpoints: Endpoints, as: string): Record<string, string> {
  const printed = execFileSync(process.execPath, [main, 'credentials', 'shop', '--as', as, '--json'], {
    env: { ...process.env, WRIT_HOME: home },
    encoding: 'utf8',
  });
  const credential = JSON.parse(printed) as { user: string; password: string };
  return {
    PGHOST: endpoints.postgres.host,
    PGPORT: String(endpoints.postgres.port),
    PGDATABASE: 'shop',
    PGUSER: credential.user,
    PGPASSWORD: credential.password,
    PGSSLMODE: 'disable',
  };
}

/** Session pooling, as an ordinary user where we are root (PgBouncer refuses root). */
async function startPgBouncer(
  _home: string,
  endpoints: Endpoints,
  application: Record<string, string>,
): Promise<{ process: ChildProcess; port: number } | undefined> {
  if (spawnSync('pgbouncer', ['--version']).error !== undefined) return undefined;
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'writ-bench-pgbouncer-'));
  writeFileSync(join(folder, 'users.txt'), `"shop_app" "${application['PGPASSWORD'] ?? ''}"\n`);
  writeFileSync(
    join(folder, 'pgbouncer.ini'),
    [
      '[databases]',
      `shop = host=127.0.0.1 port=${endpoints.clusters.main.port} dbname=shop`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = plain',
      `auth_file = ${join(folder, 'users.txt')}`,
      'pool_mode = session',
      'default_pool_size = 64',
      'max_client_conn = 500',
      'ignore_startup_parameters = extra_float_digits',
      '',
    ].join('\n'),
  );
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  if ('uid' in nobody)
    for (const file of ['', 'users.txt', 'pgbouncer.ini']) chownSync(join(folder, file), 65534, 65534);
  const child = spawn('pgbouncer', ['-q', join(folder, 'pgbouncer.ini')], { stdio: 'ignore', ...nobody });
  child.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  await new Promise((resolve) => setTimeout(resolve, 500));
  return child.exitCode === null ? { process: child, port } : undefined;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
