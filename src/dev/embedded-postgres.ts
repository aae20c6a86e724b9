import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WritError } from '../kernel/errors.ts';
import { type Guarded, startGuarded } from './guardian.ts';
import { keptSecret, writePrivate } from './home.ts';
import { stopLeftover } from './leftover-postgres.ts';
import { usablePort } from './ports.ts';
import {
  postgresBinaries,
  postgresEnvironment,
  type UnprivilegedUser,
  unprivilegedUser,
} from './postgres-binaries.ts';

// A real Postgres whose data stand in `home`, on the loopback interface only, every connection by SCRAM. Whoever starts
// us as root gets it run by an unprivileged user who cannot even enter `home`: it works in the open folder that it
// inherits (/proc/self/cwd), so nothing above the data needs to be readable by it.

export interface EmbeddedPostgres {
  readonly host: string;
  readonly port: number;
  /** postgres://… of the superuser, on database `postgres`. */
  readonly adminUrl: string;
  readonly pid: number;
  /** Whether this start made the data. */
  readonly created: boolean;
  /** Settles when the server has ended, for whatever reason. */
  readonly exited: Promise<unknown>;
  /** Fast shutdown: open sessions end with 57P01. */
  stop(): Promise<void>;
}

interface Place {
  readonly home: string;
  readonly data: string;
  readonly binaries: string;
  readonly user: UnprivilegedUser | undefined;
}

const host = '127.0.0.1';
const superuser = 'postgres';
const hostBasedAuthentication = `# Written by Writ. No unix sockets, no trust.
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
`;

/**
 * Starts the cluster of `home` (an existing folder), making it on the first start. Port 0 picks a free one.
 * @throws invalid_config when the port is in use or Postgres cannot start (its last words are the detail)
 */
export async function startEmbeddedPostgres(options: {
  home: string;
  port: number;
}): Promise<EmbeddedPostgres> {
  const { home } = options;
  const user = unprivilegedUser();
  await stopLeftover(join(home, 'cluster'));
  const [binaries, port] = await Promise.all([
    postgresBinaries(user),
    usablePort(options.port, 'WRIT_CLUSTER_PORT'),
  ]);
  const place: Place = { home, data: join(home, 'cluster'), binaries, user };
  const created = !existsSync(place.data);
  const password = superuserPassword(home, created);
  if (created) await makeData(place, password);
  const server = await launch(place, port);
  await ready(place, server);
  return {
    host,
    port,
    adminUrl: `postgres://${superuser}:${password}@${host}:${port}/postgres`,
    pid: server.pid,
    created,
    exited: server.exited,
    stop: () => server.stop(),
  };
}

function superuserPassword(home: string, created: boolean): string {
  const path = join(home, 'cluster-admin');
  if (!created && !existsSync(path)) {
    throw new WritError('invalid_config', {
      message: `${path} is missing, so nobody can sign in to the cluster as its superuser`,
      hint: `put it back, or delete ${join(home, 'cluster')} to start with fresh data`,
    });
  }
  return keptSecret(path);
}

// Made aside and renamed: a folder named `cluster` is always whole.
async function makeData(place: Place, password: string): Promise<void> {
  for (const name of readdirSync(place.home)) {
    if (name.startsWith('cluster.new')) rmSync(join(place.home, name), { recursive: true, force: true });
  }
  const draft = join(place.home, `cluster.new-${process.pid}`);
  mkdirSync(draft, { mode: 0o700 });
  give(draft, place.user);
  await initialize(place, draft, password);
  writeFileSync(join(draft, 'pg_hba.conf'), hostBasedAuthentication);
  renameSync(draft, place.data);
}

async function initialize(place: Place, folder: string, password: string): Promise<void> {
  const args = [
    ...['-D', dataArgument(place, folder), '-U', superuser, '--auth=scram-sha-256', '--pwfile=/dev/stdin'],
    // The built-in provider orders text by code point, the same on every machine and in DuckDB.
    ...['-E', 'UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
    ...['-c', 'timezone=UTC', '-c', 'log_timezone=UTC', '--no-sync', '--no-instructions'],
  ];
  const passwordFile = openPassword(place, password);
  try {
    const child = spawn(join(place.binaries, 'initdb'), args, {
      ...place.user,
      cwd: folder,
      env: postgresEnvironment,
      stdio: [passwordFile, 'ignore', 'pipe'],
    });
    let problems = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      problems += chunk.toString();
    });
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(problems.trim() || `initdb ended with ${code}`);
  } catch (cause) {
    throw new WritError('invalid_config', {
      message: `the data of the embedded Postgres cannot be made in ${place.home}`,
      detail: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  } finally {
    closeSync(passwordFile);
  }
}

// initdb opens /dev/stdin anew, so it must be a file that its user owns; the name is gone before anybody could look.
function openPassword(place: Place, password: string): number {
  const path = join(place.home, `cluster.password-${process.pid}`);
  writePrivate(path, `${password}\n`);
  give(path, place.user);
  const file = openSync(path, 'r');
  rmSync(path);
  return file;
}

async function launch(place: Place, port: number): Promise<Guarded> {
  const settings = {
    listen_addresses: host,
    unix_socket_directories: '',
    max_connections: 200,
    max_prepared_transactions: 0,
    password_encryption: 'scram-sha-256',
    logging_collector: 'off',
    log_destination: 'stderr',
    log_line_prefix: '%m [%p] ',
  };
  const log = openSync(join(place.home, 'cluster.log'), 'a', 0o600);
  try {
    return await startGuarded(
      {
        command: join(place.binaries, 'postgres'),
        args: [
          ...['-D', dataArgument(place, place.data), '-p', String(port)],
          ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
        ],
        cwd: place.data,
        env: postgresEnvironment,
        ...place.user,
        patience: 10_000,
      },
      log,
    );
  } finally {
    closeSync(log);
  }
}

// The server writes "ready" into its pid file when it accepts connections.
async function ready(place: Place, server: Guarded): Promise<void> {
  let ended = false;
  void server.exited.then(() => {
    ended = true;
  });
  for (;;) {
    const lines = await readFile(join(place.data, 'postmaster.pid'), 'utf8').then(
      (text) => text.split('\n'),
      () => [],
    );
    if (lines[0] === String(server.pid) && lines[7]?.trim() === 'ready') return;
    if (ended) {
      throw new WritError('invalid_config', {
        message: 'the embedded Postgres ended while starting',
        detail: lastWords(join(place.home, 'cluster.log')),
        hint: `see ${join(place.home, 'cluster.log')}`,
      });
    }
    await sleep(5);
  }
}

function lastWords(path: string): string {
  return readFileSync(path, 'utf8').trim().split('\n').slice(-5).join('\n');
}

function dataArgument(place: Place, folder: string): string {
  return place.user !== undefined && process.platform === 'linux' ? '/proc/self/cwd' : folder;
}

function give(path: string, user: UnprivilegedUser | undefined): void {
  if (user !== undefined) chownSync(path, user.uid, user.gid);
}
