import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

// Postgres must not outlive us, however we end: kill -9 gives nobody a chance to clean up. So it is the child of a small
// process in a group of its own (Ctrl-C on the terminal reaches us, not it), which holds a pipe from us and stops
// Postgres when the pipe closes. The guardian is a text given to `node -e`: it runs the same from dist/ and from src/.

export interface GuardedCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Set for both or neither. */
  readonly uid?: number;
  readonly gid?: number;
  /** Milliseconds from the polite signal to the rude one. */
  readonly patience: number;
}

export interface Guarded {
  readonly pid: number;
  /** Settles when the command has ended: its exit code, or the name of the signal. */
  readonly exited: Promise<number | string>;
  /** Closes the pipe and waits for the end. */
  stop(): Promise<void>;
}

const program = `
const spec = JSON.parse(process.argv[1]);
const say = (message) => process.stdout.write(JSON.stringify(message) + '\\n');
process.stdout.on('error', () => {});
const user = spec.uid === undefined ? {} : { uid: spec.uid, gid: spec.gid };
const child = require('node:child_process').spawn(spec.command, spec.args, {
  cwd: spec.cwd, env: spec.env, stdio: ['ignore', 2, 2], ...user,
});
child.on('spawn', () => say({ pid: child.pid }));
child.on('error', (error) => { say({ failed: error.message }); process.exit(1); });
child.on('exit', (code, signal) => { say({ exit: code ?? signal }); process.exit(0); });
let stopping = false;
function stop() {
  if (stopping) return;
  stopping = true;
  child.kill('SIGINT');
  setTimeout(() => child.kill('SIGQUIT'), spec.patience);
  setTimeout(() => child.kill('SIGKILL'), spec.patience + 5000);
}
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, stop);
process.stdin.on('end', stop).on('error', stop).resume();
`;

/**
 * Starts a command under a guardian; both write to the open file `log`. SIGINT stops it politely, SIGQUIT after
 * `patience`, SIGKILL five seconds later.
 * @throws Error when the command cannot be started
 */
export async function startGuarded(command: GuardedCommand, log: number): Promise<Guarded> {
  const guardian = spawn(
    process.execPath,
    ['--input-type=commonjs', '-e', program, '--', JSON.stringify(command)],
    { cwd: '/', env: {}, stdio: ['pipe', 'pipe', log], detached: true },
  );
  const messages = readMessages(guardian);
  const pid = await messages.pid;
  const end = (): void => {
    guardian.stdin?.end();
  };
  return {
    pid,
    exited: messages.exit,
    async stop() {
      end();
      await messages.exit;
    },
  };
}

interface Message {
  readonly pid?: number;
  readonly exit?: number | string;
  readonly failed?: string;
}

function readMessages(guardian: ChildProcess): { pid: Promise<number>; exit: Promise<number | string> } {
  // The pipe may break under a write of ours or theirs; the exit below tells.
  guardian.stdin?.on('error', () => {});
  const lines = guardian.stdout === null ? undefined : createInterface({ input: guardian.stdout });
  const listen = (hear: (message: Message) => void): void => {
    lines?.on('line', (line) => hear(JSON.parse(line) as Message));
  };
  const pid = new Promise<number>((resolve, reject) => {
    listen((message) => {
      if (message.pid !== undefined) resolve(message.pid);
      if (message.failed !== undefined) reject(new Error(message.failed));
    });
    guardian.on('error', reject);
    guardian.on('close', () => reject(new Error('the guardian ended before the command started')));
  });
  const exit = new Promise<number | string>((resolve) => {
    listen((message) => {
      if (message.exit !== undefined) resolve(message.exit);
    });
    guardian.on('close', (code, signal) => resolve(signal ?? code ?? 'unknown'));
  });
  return { pid, exit };
}
