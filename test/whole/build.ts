import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Vitest global set-up: tests that start processes start the program as it is built from the sources at hand. */
export default function setup(): void {
  execFileSync(process.execPath, [join(import.meta.dirname, '..', '..', 'scripts', 'build.mjs')], { stdio: 'inherit' });
}
