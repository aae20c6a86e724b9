import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { type DevEnvironment, startDevEnvironment } from '../../src/dev/environment.ts';
import { processStart } from '../../src/dev/home.ts';

const home = mkdtempSync(join(tmpdir(), 'writ-environment-'));
const lakeFile = join(home, 'lake/sales/orders_history/part-0.parquet');
afterAll(() => rmSync(home, { recursive: true, force: true }));

const start = (): Promise<DevEnvironment> => startDevEnvironment({ home, clusterPort: 0, idpPort: 0 });

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

describe('the development environment', () => {
  it('stands up, stops, and is found again with the same data and keys', async () => {
    const first = await start();
    await ask(first.roleUrls.shop_app, "update countries set name = 'Deutschland' where code = 'DE'");
    const roles = readFileSync(join(home, 'cluster-roles.json'), 'utf8');
    const lake = { digest: digest(lakeFile), made: statSync(lakeFile).mtimeMs };
    await first.stop();
    expect(processStart(first.cluster.pid)).toBeUndefined();

    const second = await start();
    expect(await ask(second.roleUrls.shop_app, "select name from countries where code = 'DE'")).toEqual([
      { name: 'Deutschland' },
    ]);
    expect(readFileSync(join(home, 'cluster-roles.json'), 'utf8')).toBe(roles);
    expect({ digest: digest(lakeFile), made: statSync(lakeFile).mtimeMs }).toEqual(lake);
    expect(second.certificate).toEqual(first.certificate);
    await second.stop();
    await second.stop();
  });

  it('makes a half-made database and a half-made lake again', async () => {
    const first = await start();
    await ask(first.cluster.adminUrl, 'alter database shop rename to shop_in_the_making');
    await first.stop();
    rmSync(lakeFile);
    writeFileSync(`${lakeFile}.new`, 'half');
    const second = await start();
    expect(await ask(second.roleUrls.shop_report, 'select count(*)::int as n from orders')).toEqual([
      { n: 20_000 },
    ]);
    expect(existsSync(lakeFile)).toBe(true);
    await second.stop();
  });

  it('sets new passwords where their file was lost', async () => {
    rmSync(join(home, 'cluster-roles.json'));
    const environment = await start();
    for (const url of Object.values(environment.roleUrls)) {
      expect(await ask(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    }
    await environment.stop();
  });

  it('refuses a home that another process works on, and leaves that one alone', async () => {
    const running = await start();
    await expect(start()).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(`process ${process.pid}`),
    });
    expect(await ask(running.cluster.adminUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
    await running.stop();
  });

  it('takes over the lock of a process that has ended', async () => {
    writeFileSync(join(home, 'dev.lock'), JSON.stringify({ pid: process.pid, started: 'long ago' }));
    await (await start()).stop();
  });

  it('stops what it had started when a part fails', async () => {
    const running = await start();
    const port = Number(new URL(running.identityProvider.issuer).port);
    const other = mkdtempSync(join(tmpdir(), 'writ-other-'));
    await expect(startDevEnvironment({ home: other, clusterPort: 0, idpPort: port })).rejects.toMatchObject({
      message: `port ${port} on 127.0.0.1 is in use`,
    });
    expect(existsSync(join(other, 'cluster/postmaster.pid'))).toBe(false);
    expect(existsSync(join(other, 'dev.lock'))).toBe(false);
    await running.stop();
    rmSync(other, { recursive: true });
  });

  it('closes a home that others could read, but only if it is ours', async () => {
    chmodSync(home, 0o755);
    await (await start()).stop();
    expect(statSync(home).mode & 0o777).toBe(0o700);

    const other = mkdtempSync(join(tmpdir(), 'writ-theirs-'));
    writeFileSync(join(other, 'theirs'), '');
    chmodSync(other, 0o755);
    await expect(startDevEnvironment({ home: other, clusterPort: 0, idpPort: 0 })).rejects.toMatchObject({
      code: 'invalid_config',
      hint: expect.stringContaining('WRIT_HOME'),
    });
    rmSync(other, { recursive: true });
  });
});
