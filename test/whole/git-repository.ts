import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

// A real repository with real SSH keys: what a company's reviewers would push to.

export interface CommitOptions {
  /** A key made by `key`; absent: unsigned. */
  readonly as?: string;
  readonly message?: string;
  /** Seconds since the epoch. */
  readonly at?: number;
}

export interface TestRepository {
  /** The bare repository that is followed. */
  readonly url: string;
  /** Holds keys and allowed_signers. */
  readonly keys: string;
  git(...args: string[]): string;
  /** Makes a key pair; @returns the public key as allowed_signers wants it */
  key(name: string): string;
  write(path: string, text: string): void;
  read(path: string): string;
  /** Commits everything that changed and pushes main; @returns the commit */
  commit(options?: CommitOptions): string;
  /** The configuration that signs a commit made with `git`. */
  signing(name: string | undefined): string[];
  push(...args: string[]): void;
  remove(): void;
}

const policies = join(import.meta.dirname, '..', '..', 'policies');

/** With the sample policy under policies/, nothing committed yet. */
export function testRepository(): TestRepository {
  const root = mkdtempSync(join(tmpdir(), 'writ-git-'));
  const work = join(root, 'work');
  const url = join(root, 'origin.git');
  const keys = join(root, 'keys');
  mkdirSync(keys);
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: root,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'Ann',
    GIT_AUTHOR_EMAIL: 'ann@acme.test',
    GIT_COMMITTER_NAME: 'Ann',
    GIT_COMMITTER_EMAIL: 'ann@acme.test',
  };
  const run = (cwd: string, args: readonly string[], more: Record<string, string> = {}) =>
    execFileSync('git', args, { cwd, env: { ...env, ...more }, encoding: 'utf8', stdio: 'pipe' }).trim();
  execFileSync('git', ['init', '--quiet', '--bare', '-b', 'main', url], { env });
  execFileSync('git', ['init', '--quiet', '-b', 'main', work], { env });
  cpSync(policies, join(work, 'policies'), { recursive: true });
  const signing = (name: string | undefined) =>
    name === undefined
      ? ['-c', 'commit.gpgSign=false']
      : ['-c', 'gpg.format=ssh', '-c', `user.signingKey=${join(keys, name)}`, '-c', 'commit.gpgSign=true'];
  const repository: TestRepository = {
    url,
    keys,
    signing,
    git: (...args) => run(work, args),
    key: (name) => {
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(keys, name)]);
      return readFileSync(join(keys, `${name}.pub`), 'utf8').trim();
    },
    write: (path, text) => {
      mkdirSync(dirname(join(work, path)), { recursive: true });
      writeFileSync(join(work, path), text);
    },
    read: (path) => readFileSync(join(work, path), 'utf8'),
    commit: ({ as, message = 'change', at } = {}) => {
      run(work, ['add', '--all']);
      const date: Record<string, string> = at === undefined ? {} : { GIT_COMMITTER_DATE: `${at} +0000` };
      run(work, [...signing(as), 'commit', '--quiet', '--allow-empty', '-m', message], date);
      repository.push();
      return run(work, ['rev-parse', 'HEAD']);
    },
    push: (...args) => void run(work, ['push', '--quiet', ...args, url, 'main']),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
  return repository;
}
