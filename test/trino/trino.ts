import { type ChildProcess, spawn } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// A real Trino in a process of its own, on a free loopback port, and its client protocol over fetch.

export interface Answer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly unknown[])[];
}

export interface Trino {
  readonly url: string;
  /** @throws Error with Trino's message when the statement fails */
  query(user: string, sql: string, session?: Readonly<Record<string, string>>): Promise<Answer>;
  /** The message with which a statement fails; undefined when it does not. */
  failure(user: string, sql: string, session?: Readonly<Record<string, string>>): Promise<string | undefined>;
  log(): string;
  stop(): Promise<void>;
}

export interface TrinoOptions {
  readonly home: string;
  readonly java: string;
  /** File → lines, below `etc/`. */
  readonly etc: Readonly<Record<string, readonly string[]>>;
}

const jvm = [
  '-Xmx1500M',
  '-XX:+ExitOnOutOfMemoryError',
  '-Djdk.attach.allowAttachSelf=true',
  '-Duser.timezone=UTC',
  '--add-modules=jdk.incubator.vector',
  '--enable-native-access=ALL-UNNAMED',
  '--sun-misc-unsafe-memory-access=allow',
];

/** Only what the tests use: fewer plugins start faster. */
const plugins = ['opa', 'postgresql', 'geospatial', 'hive', 'tpch'];

export async function startTrino({ home, java, etc }: TrinoOptions): Promise<Trino> {
  const folder = mkdtempSync(join(tmpdir(), 'writ-trino-'));
  const port = await freePort();
  mkdirSync(join(folder, 'plugin'));
  for (const name of readdirSync(join(home, 'plugin')).filter((plugin) => plugins.includes(plugin)))
    symlinkSync(join(home, 'plugin', name), join(folder, 'plugin', name));
  cpSync(join(home, 'secrets-plugin'), join(folder, 'secrets-plugin'), { recursive: true });
  const files = { ...ownFiles(folder, port), ...etc };
  for (const [name, lines] of Object.entries(files)) {
    mkdirSync(join(folder, 'etc', name, '..'), { recursive: true });
    writeFileSync(join(folder, 'etc', name), `${lines.join('\n')}\n`);
  }
  const main = ['-cp', join(home, 'lib', '*'), `-Dconfig=${join(folder, 'etc', 'config.properties')}`];
  const args = [...jvm, `-Dnode.id=writ`, ...main, 'io.trino.server.TrinoServer'];
  const child = spawn(java, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  const log = () => chunks.join('');
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  await ready(url, child, log).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const query: Trino['query'] = (user, sql, session) => ask(url, user, sql, session);
  return {
    url,
    query,
    failure: (user, sql, session) =>
      query(user, sql, session).then(
        () => undefined,
        (error: Error) => error.message,
      ),
    log,
    stop,
  };
}

function ownFiles(folder: string, port: number): Record<string, readonly string[]> {
  return {
    'config.properties': [
      'coordinator=true',
      'node-scheduler.include-coordinator=true',
      `http-server.http.port=${port}`,
      `discovery.uri=http://127.0.0.1:${port}`,
      'catalog.management=static',
      `plugin.dir=${join(folder, 'plugin')}`,
      'node.environment=test',
      'node.bind-ip=127.0.0.1',
      'node.internal-address=127.0.0.1',
      'query.max-memory-per-node=600MB',
      'query.max-length=10000000',
    ],
  };
}

async function ready(url: string, child: ChildProcess, log: () => string): Promise<void> {
  const deadline = Date.now() + 240_000;
  for (;;) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`Trino did not start:\n${startError(log())}`);
    const info = await fetch(`${url}/v1/info`).then(
      (answer) => answer.json() as Promise<{ starting: boolean }>,
      () => undefined,
    );
    if (info?.starting === false) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

interface Page {
  readonly nextUri?: string;
  readonly columns?: Answer['columns'];
  readonly data?: Answer['rows'];
  readonly error?: { readonly message: string };
}

export async function ask(
  url: string,
  user: string,
  sql: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const first = await fetch(`${url}/v1/statement`, {
    method: 'POST',
    body: sql,
    headers: { 'x-trino-user': user, 'x-trino-time-zone': 'UTC', ...headers },
  });
  if (!first.ok) throw new Error(await first.text());
  let page = (await first.json()) as Page;
  const rows: (readonly unknown[])[] = [];
  let columns: Answer['columns'] = [];
  for (;;) {
    if (page.error !== undefined) throw new Error(page.error.message);
    columns = page.columns ?? columns;
    rows.push(...(page.data ?? []));
    if (page.nextUri === undefined) return { columns, rows };
    page = (await (await fetch(page.nextUri, { headers: { 'x-trino-user': user } })).json()) as Page;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const impatient = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await gone;
  clearTimeout(impatient);
}

/** Of a role of the sample's cluster. */
export function readPassword(home: string, role: string): string {
  const passwords = JSON.parse(readFileSync(join(home, 'cluster-roles.json'), 'utf8')) as Record<
    string,
    string
  >;
  return passwords[role] ?? '';
}

/** The log's own error, without the hundreds of lines that follow it. */
function startError(log: string): string {
  const at = log.search(/^.*\tERROR\t/m);
  return log.slice(Math.max(at, 0)).slice(0, 3000);
}
