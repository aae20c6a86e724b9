import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WritError } from '../kernel/errors.ts';
import { processStart } from './home.ts';

// Where even the guardian was killed, Postgres may still run on our data. It is stopped by its pid, but only after the
// process has been seen to be a Postgres that works in that very folder: pids are reused.

/**
 * Stops a server that still runs on a data folder, and removes a pid file whose process is somebody else's.
 * @throws conflict when it does not end
 */
export async function stopLeftover(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid');
  const pid = readPid(file);
  if (pid === undefined) return;
  if (!isPostgresOf(pid, data)) {
    // Postgres would take any living process of that pid for a server and refuse to start.
    rmSync(file, { force: true });
    return;
  }
  const started = processStart(pid);
  const gone = (): boolean => processStart(pid) !== started;
  for (const [signal, patience] of [
    ['SIGINT', 10_000],
    ['SIGQUIT', 5_000],
  ] as const) {
    signalProcess(pid, signal);
    for (let waited = 0; waited < patience && !gone(); waited += 20) await sleep(20);
    if (gone()) return;
  }
  throw new WritError('conflict', {
    message: `an earlier Postgres (process ${pid}) on ${data} does not end`,
  });
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
    return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isPostgresOf(pid: number, data: string): boolean {
  try {
    if (process.platform === 'linux') {
      const program = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
      return program.endsWith('/postgres') && readlinkSync(`/proc/${pid}/cwd`) === realpathSync(data);
    }
    const command = execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
    return command.includes('postgres') && command.includes(data);
  } catch {
    return false;
  }
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}
