import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryAddress } from '../../../src/policy/source/address.ts';
import { openRepository, type Repository, type RepositorySettings } from '../../../src/policy/source/git.ts';
import type { TestRepository } from '../../whole/git-repository.ts';

/** Our side of a test repository: a mirror of its own, and who may sign. */
export function mirrorOf(
  origin: TestRepository,
  keys: RepositorySettings['keys'] = {},
  settings: Partial<RepositorySettings> = {},
): Repository & { remove(): void } {
  const home = mkdtempSync(join(tmpdir(), 'writ-mirror-'));
  const repository = openRepository({
    address: repositoryAddress(origin.url, '/'),
    ref: 'refs/heads/main',
    folder: 'policies',
    mirror: join(home, 'mirror'),
    keys,
    env: process.env,
    ...settings,
  });
  return Object.assign(repository, { remove: () => rmSync(home, { recursive: true, force: true }) });
}

/** Lines of an allowed_signers file; @returns its path */
export function allowedSigners(origin: TestRepository, lines: readonly string[], name = 'allowed'): string {
  const file = join(origin.keys, name);
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}
