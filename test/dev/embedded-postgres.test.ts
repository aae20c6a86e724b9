import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts';
import { processStart } from '../../src/dev/home.ts';

// As root this also proves that an unprivileged Postgres can work below two folders of mode 0700.
const above = mkdtempSync(join(tmpdir(), 'writ-private-'));
const home = join(above, 'home');

beforeAll(() => {
  chmodSync(above, 0o700);
  mkdirSync(home, { mode: 0o700 });
});
afterAll(() => rmSync(above, { recursive: true, force: true }));

async function ask(server: { adminUrl: string }, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: server.adminUrl });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function gone(pid: number): Promise<boolean> {
  const started = processStart(pid);
  for (let i = 0; i < 400 && started !== undefined && processStart(pid) === started; i++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return started === undefined || processStart(pid) !== started;
}

describe('embedded Postgres', () => {
  it('makes its data on the first start and finds them on the second', async () => {
    const first = await startEmbeddedPostgres({ home, port: 0 });
    expect(first.created).toBe(true);
    await ask(first, 'create table kept as select 42 as answer');
    await first.stop();
    expect(await gone(first.pid)).toBe(true);

    const second = await startEmbeddedPostgres({ home, port: 0 });
    expect(second.created).toBe(false);
    expect(await ask(second, 'select answer from kept')).toEqual([{ answer: 42 }]);
    await second.stop();
  });

  it('keeps data and secrets under the home, private, and asks everybody for a password', async () => {
    const server = await startEmbeddedPostgres({ home, port: 0 });
    try {
      expect(statSync(join(home, 'cluster')).mode & 0o777).toBe(0o700);
      expect(statSync(join(home, 'cluster-admin')).mode & 0o777).toBe(0o600);
      expect(statSync(join(home, 'cluster.log')).mode & 0o777).toBe(0o600);
      const methods = await ask(server, 'select distinct type, auth_method from pg_hba_file_rules');
      expect(methods).toEqual([{ type: 'host', auth_method: 'scram-sha-256' }]);
      const wrong = { adminUrl: server.adminUrl.replace(/:[^:@]+@/, ':wrong@') };
      await expect(ask(wrong, 'select 1')).rejects.toMatchObject({ code: '28P01' });
      const settings = await ask(
        server,
        `select current_setting('listen_addresses') l, current_setting('unix_socket_directories') s,
                current_setting('fsync') f, current_setting('max_prepared_transactions') p`,
      );
      expect(settings).toEqual([{ l: '127.0.0.1', s: '', f: 'on', p: '0' }]);
    } finally {
      await server.stop();
    }
  });

  it('names the setting to change when the port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await expect(startEmbeddedPostgres({ home, port })).rejects.toMatchObject({
      code: 'invalid_config',
      message: `port ${port} on 127.0.0.1 is in use`,
      hint: expect.stringContaining('WRIT_CLUSTER_PORT'),
    });
    other.close();
  });

  it('says what Postgres said when it cannot start', async () => {
    const broken = mkdtempSync(join(above, 'broken-'));
    mkdirSync(join(broken, 'cluster'));
    await expect(startEmbeddedPostgres({ home: broken, port: 0 })).rejects.toMatchObject({
      message: expect.stringContaining('cluster-admin is missing'),
    });
  });
});

describe('no orphan', () => {
  const script = fileURLToPath(new URL('./start-postgres.child.mjs', import.meta.url));

  async function startChild(): Promise<{ parent: ChildProcess; server: EmbeddedPostgres }> {
    const parent = spawn(process.execPath, [script, home], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await Promise.race([
      once(parent.stdout as NonNullable<ChildProcess['stdout']>, 'data'),
      once(parent, 'exit').then(() => Promise.reject(new Error('the child ended'))),
    ])) as [Buffer];
    return { parent, server: JSON.parse(line.toString()) as EmbeddedPostgres };
  }

  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('after %s of the parent', async (signal) => {
    const { parent, server } = await startChild();
    expect(await ask(server, 'select 1 as one')).toEqual([{ one: 1 }]);
    parent.kill(signal);
    await once(parent, 'exit');
    expect(await gone(server.pid)).toBe(true);
  });

  it('and one whose guardian was killed too is stopped by the next start', async () => {
    const { parent, server } = await startChild();
    const guardian = Number(readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(' ')[3]);
    process.kill(guardian, 'SIGKILL');
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    expect(processStart(server.pid)).toBeDefined();
    const next = await startEmbeddedPostgres({ home, port: 0 });
    expect(processStart(server.pid)).toBeUndefined();
    expect(await ask(next, 'select answer from kept')).toEqual([{ answer: 42 }]);
    await next.stop();
    expect(existsSync(join(home, 'cluster', 'postmaster.pid'))).toBe(false);
  });
});
