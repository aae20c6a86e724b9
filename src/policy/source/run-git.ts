import { spawn } from 'node:child_process';
import { WritError } from '../../kernel/errors.ts';

// One run of the machine's git: bounded in time and output, without prompts, and without anybody's settings but ours.

export interface GitRun {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly input?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly maximumBytes?: number | undefined;
  /** Exit codes that are answers, not failures. */
  readonly answers?: readonly number[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface GitOutput {
  readonly code: number;
  readonly stdout: Buffer;
}

const defaultTimeoutMs = 60_000;
const defaultMaximumBytes = 64 * 1024 * 1024;
const shownCharacters = 500;

/** @throws unreachable with git's last words when it cannot run, fails, takes too long or says too much */
export function runGit(run: GitRun): Promise<GitOutput> {
  const { args, env, input, timeoutMs = defaultTimeoutMs, maximumBytes = defaultMaximumBytes } = run;
  return new Promise((resolve, reject) => {
    // A group of its own: what git starts (ssh, a helper) ends with it.
    const child = spawn('git', args, { env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    const output: Buffer[] = [];
    let size = 0;
    let words = '';
    let stopped: string | undefined;
    const stop = (why: string) => {
      stopped ??= why;
      killGroup(child.pid);
    };
    const abort = () => stop('it was stopped');
    const timer = setTimeout(() => stop(`it took longer than ${timeoutMs / 1000} s`), timeoutMs);
    run.signal?.addEventListener('abort', abort);
    if (run.signal?.aborted === true) abort();
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maximumBytes) stop(`it said more than ${maximumBytes} bytes`);
      else output.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      words = `${words}${chunk.toString('utf8')}`.slice(-4 * shownCharacters);
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
    const done = (code: number | null, cause?: Error) => {
      clearTimeout(timer);
      run.signal?.removeEventListener('abort', abort);
      const fine = code === 0 || (code !== null && run.answers?.includes(code) === true);
      if (stopped === undefined && cause === undefined && fine && code !== null)
        resolve({ code, stdout: Buffer.concat(output) });
      else reject(failed(args, stopped ?? cause?.message ?? lastWords(words), cause));
    };
    child.once('error', (error) => done(null, error));
    child.once('close', (code) => done(code));
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

function lastWords(text: string): string {
  const lines = text.replaceAll(/[^\P{Cc}\n]/gu, '\ufffd').trim();
  return lines === '' ? 'it gave no reason' : lines.slice(-shownCharacters);
}

function failed(args: readonly string[], detail: string, cause: unknown): WritError {
  const command = args.find((arg) => /^[a-z][a-z-]+$/.test(arg)) ?? '';
  const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  return new WritError('unreachable', {
    message: `git ${command} failed`,
    detail: missing ? 'there is no git on this machine' : detail,
    cause,
  });
}
