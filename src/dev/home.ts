import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { WritError } from '../kernel/errors.ts';

// The home folder: private to whoever owns it (they are the local operator), and used by one `writ dev` at a time.

const marker = 'writ-home';
const lockName = 'dev.lock';

/**
 * Makes the home folder, or takes an existing one that is ours; afterwards it has mode 0700.
 * @throws invalid_config for a folder of somebody else's files, whose mode we will not change.
 */
export function prepareHome(home: string): void {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const open = (statSync(home).mode & 0o077) !== 0;
  const ours = existsSync(join(home, marker));
  if (open && !ours && readdirSync(home).length > 0) {
    throw new WritError('invalid_config', {
      message: `${home} can be read by others and holds files that are not Writ's`,
      hint: `set WRIT_HOME to another folder, or run: chmod 700 ${home}`,
    });
  }
  if (open) chmodSync(home, 0o700);
  if (!ours)
    writeFileSync(join(home, marker), 'State of a Writ instance. May be deleted while it is stopped.\n');
}

/**
 * Takes the home folder for this process; the answer gives it back. A lock whose process has ended is taken over.
 * @throws conflict when another process works on the folder, with its pid.
 */
export function lockHome(home: string): () => void {
  const path = join(home, lockName);
  for (let attempt = 0; attempt < 5; attempt++) {
    if (createLock(path)) return () => rmSync(path, { force: true });
    const holder = readLock(path);
    if (holder !== undefined && processStart(holder.pid) === holder.started) {
      throw new WritError('conflict', {
        message: `another writ dev (process ${holder.pid}) works on ${home}`,
        hint: 'stop it, or set WRIT_HOME to another folder',
      });
    }
    rmSync(path, { force: true });
  }
  throw new WritError('conflict', { message: `${path} cannot be taken` });
}

/** When a process started, as an opaque text; undefined when there is no such process. Tells a reused pid apart. */
export function processStart(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux') {
      return (
        execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined
      );
    }
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name may hold spaces and parentheses; what follows the last one does not. A zombie has ended.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** A secret kept in a file of mode 0600: made on first use, the same afterwards. `bytes` of randomness, base64url. */
export function keptSecret(path: string, bytes = 24): string {
  if (!existsSync(path)) writePrivate(path, `${randomBytes(bytes).toString('base64url')}\n`);
  return readFileSync(path, 'utf8').trim();
}

/** Writes a file of mode 0600 whole or not at all. */
export function writePrivate(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.new`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
  renameSync(temporary, path);
}

// Linked into place whole: a lock without its holder's name would look abandoned.
function createLock(path: string): boolean {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const holder = { pid: process.pid, started: processStart(process.pid) };
  writeFileSync(draft, JSON.stringify(holder), { mode: 0o600, flag: 'wx' });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function readLock(path: string): { pid: number; started: string } | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('started' in value))
      return undefined;
    return { pid: Number(value.pid), started: String(value.started) };
  } catch {
    return undefined;
  }
}
