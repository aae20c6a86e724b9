import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { freemem, homedir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';

// Trino itself, from Maven Central, kept in a cache folder; and a Java that can run it. What is missing is said in words.

export const trinoVersion = '476';
const oldestJava = 24;
const leastMemory = 3 * 2 ** 30;
const archive = `trino-server-${trinoVersion}.tar.gz`;
const central = `https://repo1.maven.org/maven2/io/trino/trino-server/${trinoVersion}/${archive}`;

export class CannotRun extends Error {
  constructor(reason: string) {
    super(`test:trino cannot run here: ${reason}`);
  }
}

/** @returns the folder of an unpacked Trino. @throws CannotRun */
export async function installTrino(): Promise<string> {
  if (freemem() < leastMemory)
    throw new CannotRun(`${Math.round(freemem() / 2 ** 20)} MB of memory are free, Trino needs 3072`);
  const cache =
    process.env['WRIT_TEST_CACHE'] ??
    join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'writ');
  const home = join(cache, `trino-server-${trinoVersion}`);
  if (existsSync(join(home, 'unpacked'))) return home;
  mkdirSync(cache, { recursive: true });
  const file = join(cache, archive);
  const expected = await download(file);
  if (expected !== undefined && (await sha1(file)) !== expected) {
    rmSync(file);
    throw new CannotRun(`${archive} does not have the checksum that Maven Central names; it was removed`);
  }
  rmSync(home, { recursive: true, force: true });
  execFileSync('tar', ['xzf', file, '-C', cache]);
  writeFileSync(join(home, 'unpacked'), '');
  return home;
}

/** @returns the SHA-1 beside the file; undefined where Maven fetched it, which checks by itself. */
async function download(file: string): Promise<string | undefined> {
  try {
    const checksum = await fetch(`${central}.sha1`);
    if (!checksum.ok) throw new Error(`${checksum.status} for the checksum`);
    const expected = (await checksum.text()).trim().slice(0, 40);
    if (existsSync(file) && (await sha1(file)) === expected) return expected;
    const answer = await fetch(central);
    if (!answer.ok || answer.body === null) throw new Error(`${answer.status} for ${central}`);
    await pipeline(Readable.fromWeb(answer.body as ReadableStream), createWriteStream(`${file}.part`));
    renameSync(`${file}.part`, file);
    return expected;
  } catch (unreachable) {
    return byMaven(file, unreachable);
  }
}

function byMaven(file: string, unreachable: unknown): undefined {
  const artifact = `io.trino:trino-server:${trinoVersion}:tar.gz`;
  const folder = join(file, '..');
  try {
    execFileSync('mvn', ['-q', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`]);
  } catch (failed) {
    throw new CannotRun(`Trino cannot be had: ${String(unreachable)}; by Maven: ${String(failed)}`);
  }
}

async function sha1(file: string): Promise<string> {
  const hash = createHash('sha1');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** @returns a `java` of version 24 or later: JAVA_HOME's, the PATH's, or one that is installed. @throws CannotRun */
export function findJava(): string {
  const installed = ['/usr/lib/jvm', '/Library/Java/JavaVirtualMachines']
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .flatMap((home) => [join(home, 'bin', 'java'), join(home, 'Contents', 'Home', 'bin', 'java')])
    .filter((java) => existsSync(java));
  const home = process.env['JAVA_HOME'];
  const candidates = [...(home === undefined ? [] : [join(home, 'bin', 'java')]), 'java', ...installed];
  const found = candidates.map((java) => ({ java, version: versionOf(java) }));
  const usable = found.find(({ version }) => version >= oldestJava);
  if (usable !== undefined) return usable.java;
  const seen = found.filter(({ version }) => version > 0).map(({ java, version }) => `${java} is ${version}`);
  throw new CannotRun(
    `Trino ${trinoVersion} needs Java ${oldestJava} or later; ${seen.length === 0 ? 'none was found' : seen.join(', ')}`,
  );
}

function versionOf(java: string): number {
  try {
    const text = execFileSync(java, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return Number(/^\S+ (\d+)/.exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
