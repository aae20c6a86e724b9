import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of the program as built for this run. */
    dist: string;
  }
}

/**
 * Vitest global set-up: tests that start processes start the program as it is built from the sources at hand, in a
 * folder of this run's own: another run, or a running instance, keeps its files.
 */
export default function setup(project: TestProject): () => void {
  const root = join(import.meta.dirname, '..', '..');
  const folder = `dist-test-${process.pid}-${project.name}`;
  execFileSync(process.execPath, [join(root, 'scripts', 'build.mjs'), folder], { stdio: 'inherit' });
  project.provide('dist', join(root, folder));
  return () => rmSync(join(root, folder), { recursive: true, force: true });
}
