import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GovernedLakeEngine, openLakeEngine } from '../../src/lake/open-engine.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { people } from '../policy/fixture.ts';
import { lake, makeLake, rowsOf, sampleSnapshot } from './sample.ts';

let location: string;
let engine: GovernedLakeEngine;
let snapshot: Snapshot;

beforeAll(async () => {
  location = await makeLake();
  snapshot = await sampleSnapshot({ lake: location });
  engine = openLakeEngine({ limits: { spares: 1, memory: '200MB', temporarySize: '50MB', workers: 2 } });
}, 60_000);

afterAll(async () => {
  await engine?.close();
  rmSync(location, { recursive: true, force: true });
});

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function eventually(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(condition()).toBe(true);
}

describe('a worker', () => {
  it('ends when its parent is killed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'writ-test-parent-'));
    const worker = new URL('../../src/lake/worker/worker.mjs', import.meta.url).pathname;
    const script = `
      import { spawn } from 'node:child_process';
      const child = spawn(process.execPath, [${JSON.stringify(worker)}], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'], env: {} });
      child.stdio[3].once('data', () => console.log(child.pid));
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const pid = await new Promise<number>((resolve) =>
      parent.stdout.once('data', (text) => resolve(Number(text))),
    );
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await eventually(() => !isAlive(pid));
    rmSync(folder, { recursive: true });
  });

  it('is one per person, and never shared', async () => {
    const [ana, sam] = [await engine.open(lake, people.ana), await engine.open(lake, people.sam)];
    const before = engine.workerPids();
    await rowsOf(ana, snapshot, 'select 1');
    await rowsOf(sam, snapshot, 'select 1');
    const again = await engine.open(lake, people.ana);
    await rowsOf(again, snapshot, 'select 1');
    const bound = engine.workerPids();
    expect(new Set(bound).size).toBe(bound.length);
    expect(bound.length).toBeLessThanOrEqual(before.length + 2);
    for (const session of [ana, sam, again]) await session.close();
  });

  it('gives way when there are too many, the idle one first', async () => {
    const session = await engine.open(lake, people.omar);
    await rowsOf(session, snapshot, 'select 1');
    await eventually(() => engine.workerPids().length <= 3);
    await session.close();
  });

  it('says that memory is out, and goes on', async () => {
    const ana = await engine.open(lake, people.ana);
    const huge = 'select count(*) from (select distinct md5(i::varchar) from range(50000000) t(i))';
    await expect(rowsOf(ana, snapshot, huge)).rejects.toMatchObject({ sqlstate: '53200' });
    expect(await rowsOf(ana, snapshot, 'select 1')).toEqual([['1']]);
    await ana.close();
  });
});

describe('the engine', () => {
  it('leaves no process behind', async () => {
    const own = openLakeEngine({ limits: { spares: 2 } });
    const session = await own.open(lake, people.ana);
    await rowsOf(session, snapshot, 'select 1');
    const pids = own.workerPids();
    expect(pids.length).toBeGreaterThan(0);
    await own.close();
    await eventually(() => pids.every((pid) => !isAlive(pid)));
  });

  it('keeps the time limit', async () => {
    const own = openLakeEngine({ limits: { spares: 0 }, statementTimeoutMs: 300 });
    const session = await own.open(lake, people.ana);
    const slow = rowsOf(
      session,
      snapshot,
      "select count(*) from range(100000000000) t(i) where md5(i::varchar) = 'x'",
    );
    await expect(slow).rejects.toMatchObject({
      sqlstate: '57014',
      message: expect.stringContaining('timeout'),
    });
    await own.close();
  });
});
