import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { WritError } from '../kernel/errors.ts';

// Two processes on one chain would break it. The lock is a file with the holder's process id and start time; one that
// a killed process left behind is taken over.

/** Takes the writer's folder for this process. @returns gives it back. @throws conflict when a live process holds it. */
export function lockWriter(folder: string): () => void {
  const path = join(folder, 'writer.lock');
  const self = `${process.pid} ${startTime(process.pid)}\n`;
  if (!tryCreate(path, self)) {
    const holder = readHolder(path);
    if (holder !== undefined && isAlive(holder)) {
      throw new WritError('conflict', {
        message: `the audit log is in use by process ${holder.pid}`,
        detail: path,
        hint: 'stop the other instance, or give this one an audit folder or writer name of its own',
      });
    }
    unlinkSync(path);
    if (!tryCreate(path, self))
      throw new WritError('conflict', { message: 'the audit log is in use', detail: path });
  }
  return () => {
    if (readFileSync(path, 'utf8') === self) unlinkSync(path);
  };
}

interface Holder {
  readonly pid: number;
  readonly started: string;
}

function tryCreate(path: string, content: string): boolean {
  try {
    const fd = openSync(path, 'wx', 0o600);
    writeSync(fd, content);
    closeSync(fd);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new WritError('record_not_writable', { detail: `cannot lock ${path}`, cause: error });
  }
}

function readHolder(path: string): Holder | undefined {
  const match = /^([0-9]+) (\S+)/.exec(readFileSync(path, 'utf8'));
  return match === null ? undefined : { pid: Number(match[1]), started: match[2] ?? '' };
}

function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' && startTime(holder.pid) === holder.started;
  }
  // A process id comes round again, after a reboot at the latest; the start time tells the two apart.
  const started = startTime(holder.pid);
  return started === 'unknown' ? holder.pid !== process.pid : started === holder.started;
}

/** Boot id and start tick where the system tells (Linux), else `unknown`. */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return `${boot}:${afterName[19] ?? '?'}`;
  } catch {
    return 'unknown';
  }
}
