import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// A log in a process of its own, to be killed or starved of disk. Node 20 runs no TypeScript, so the room is compiled
// into a temporary folder first.

const root = fileURLToPath(new URL('../..', import.meta.url));

/** @returns the folder with the compiled room; the caller removes it */
export function compileAuditRoom(): string {
  const out = mkdtempSync(join(tmpdir(), 'writ-audit-child-'));
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = ['--ignoreConfig', '--outDir', out, '--rootDir', 'src', '--module', 'nodenext'];
  const target = [
    '--target',
    'es2023',
    '--types',
    'node',
    '--skipLibCheck',
    '--rewriteRelativeImportExtensions',
  ];
  const made = spawnSync(process.execPath, [tsc, ...options, ...target, 'src/audit/log.ts'], { cwd: root });
  if (made.status !== 0) throw new Error(`tsc: ${made.stdout}${made.stderr}`);
  writeFileSync(join(out, 'package.json'), '{"type":"module"}');
  symlinkSync(join(root, 'test', 'audit', 'writing-child.mjs'), join(out, 'writing-child.mjs'));
  return out;
}

export interface WritingChild {
  readonly pid: number;
  /** Numbers of the statements whose record the child was told is written. */
  readonly released: number[];
  /** What the child said besides: `refused`, `again`. */
  readonly said: string[];
  /** Resolves when the child has said the word. */
  heard(word: string): Promise<void>;
  /** SIGKILL, and wait until it is gone. */
  kill(): Promise<void>;
}

/** Starts a child that appends without pause; `shell` is put before the command, as in `ulimit -f 64;`. */
export function startWriting(room: string, folder: string, shell = ''): WritingChild {
  const script = `${shell} exec "$0" --preserve-symlinks --preserve-symlinks-main "$1" "$2"`;
  const child = spawn('bash', ['-c', script, process.execPath, join(room, 'writing-child.mjs'), folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const released: number[] = [];
  const said: string[] = [];
  const listeners = new Set<() => void>();
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) /^[0-9]+$/.test(line) ? released.push(Number(line)) : said.push(line);
    for (const listener of listeners) listener();
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    pid: child.pid ?? 0,
    released,
    said,
    heard: (word) =>
      new Promise((resolve, reject) => {
        const check = () => said.includes(word) && resolve();
        listeners.add(check);
        check();
        void closed.then(() => reject(new Error(`the child ended before it said ${word}`)));
      }),
    kill: () => {
      child.kill('SIGKILL');
      return closed;
    },
  };
}
