import { renameSync, writeFileSync } from 'node:fs';
import { type Endpoints, endpointsFile } from '../client/endpoints.ts';

// What every command that runs an instance does: wait for the signal to stop, say where it can be found.

const parentEveryMs = 500;
/** After the last word, how long a handle may keep the process. */
const lingerMs = 1_000;

/** Settles at the first signal to stop. The terminal may be gone by then: what cannot be printed is not missed. */
export function stopSignal(launchedByNpm: boolean): Promise<void> {
  return new Promise<void>((resolve) => {
    const stop = () => {
      process.stdout.write('stopping\n');
      resolve();
    };
    process.stdout.on('error', () => undefined);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, stop);
    if (launchedByNpm) watchParent(stop);
  });
}

/** `npm start` that is killed cannot pass its signal on: nobody would be left to stop us. */
function watchParent(stop: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop();
  }, parentEveryMs);
  timer.unref();
}

/** Whatever still holds the event loop holds nothing that matters any more. */
export function lastWord(): void {
  process.stdout.write('stopped\n');
  setTimeout(() => process.exit(), lingerMs).unref();
}

/** Written last and at once: whoever finds it finds a running instance. */
export function writeEndpoints(home: string, endpoints: Endpoints): void {
  const file = endpointsFile(home);
  writeFileSync(`${file}.new`, `${JSON.stringify(endpoints, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
