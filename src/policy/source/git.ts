import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { devNull } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../../config/settings.ts';
import { WritError } from '../../kernel/errors.ts';
import type { PolicyFile } from '../model.ts';
import type { RepositoryAddress } from './address.ts';
import { changedPaths, type Tree } from './changes.ts';
import { logFormat, parseLog } from './git-log.ts';
import { filesOfTree, type TreeEntry, treeEntries } from './git-tree.ts';
import { type GitOutput, type GitRun, runGit } from './run-git.ts';
import type { SeenCommit } from './trust.ts';

// A repository as its objects: fetched into a bare mirror of our own and read there. Nothing is ever checked out, so
// nothing that a repository brings along (hooks, filters, attributes, links, submodules) is run or followed.

export interface RepositorySettings {
  readonly address: RepositoryAddress;
  /** Full name: refs/heads/main. */
  readonly ref: string;
  /** Of the policy files, from the top; `.` for all of it. */
  readonly folder: string;
  /** Folder of the mirror; made on first use. */
  readonly mirror: string;
  /** Absolute paths of what signatures are verified with. */
  readonly keys: {
    readonly allowedSigners?: string | undefined;
    readonly revokedSigners?: string | undefined;
    readonly gpgHome?: string | undefined;
  };
  readonly env: Environment;
  readonly timeoutMs?: number;
}

export interface Repository {
  readonly settings: RepositorySettings;
  /** @returns the commit that the ref names now @throws unreachable */
  fetch(): Promise<string>;
  has(commit: string): Promise<boolean>;
  /** False too where one of them is not known. */
  isAncestor(earlier: string, later: string): Promise<boolean>;
  /**
   * What `head` brings beyond the known commits, oldest first, with git's word on each signature. Where one is refused
   * nobody is told what they change.
   */
  commitsSince(known: readonly string[], head: string): Promise<readonly SeenCommit[]>;
  /** The policy files of a commit. @throws invalid_policy for links, submodules, too much, no UTF-8, no file at all */
  files(commit: string): Promise<readonly PolicyFile[]>;
  /** Ends what runs. */
  close(): void;
}

const maximumCommits = 5_000;
const maximumParents = 8;
/** Entries of trees that are kept while commits are compared; more are read again. */
const keptEntries = 200_000;
const verifyTimeoutMs = 600_000;
/** As many are all verified, so that everything that is wrong is said at once. */
const fewCommits = 50;
const followed = 'refs/writ/followed';

export function openRepository(settings: RepositorySettings): Repository {
  const stopping = new AbortController();
  const mirror = new Mirror(settings, stopping.signal);
  return {
    settings,
    fetch: () => mirror.fetch(),
    has: (commit) => mirror.has(commit),
    isAncestor: (earlier, later) => mirror.isAncestor(earlier, later),
    commitsSince: (known, head) => mirror.commitsSince(known, head),
    files: (commit) => mirror.files(commit),
    close: () => stopping.abort(),
  };
}

class Mirror {
  private readonly settings: RepositorySettings;
  private readonly signal: AbortSignal;
  private readonly trees = new Map<string, readonly TreeEntry[]>();
  private kept = 0;

  constructor(settings: RepositorySettings, signal: AbortSignal) {
    this.settings = settings;
    this.signal = signal;
  }

  async fetch(): Promise<string> {
    await this.prepare();
    const { ref, timeoutMs, address } = this.settings;
    const quiet = ['--quiet', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules'];
    const whole = ['--no-auto-maintenance', '--no-show-forced-updates', '--force', '--refmap='];
    try {
      await this.git({
        args: ['fetch', ...quiet, ...whole, 'source', `+${ref}:${followed}`],
        timeoutMs: timeoutMs ?? 60_000,
      });
    } catch (thrown) {
      this.sweep();
      if (!(thrown instanceof WritError)) throw thrown;
      throw new WritError('unreachable', {
        message: `the policy repository ${address.shown} cannot be read (${ref})`,
        detail: thrown.detail ?? thrown.message,
        hint: 'the policy in force stays; it is tried again',
        cause: thrown,
      });
    }
    const { stdout } = await this.git({ args: ['rev-parse', '--verify', '--quiet', `${followed}^{commit}`] });
    this.trees.clear();
    this.kept = 0;
    return stdout.toString('ascii').trim();
  }

  async has(commit: string): Promise<boolean> {
    const { code } = await this.git({ args: ['cat-file', '-e', `${commit}^{commit}`], answers: [1, 128] });
    return code === 0;
  }

  async isAncestor(earlier: string, later: string): Promise<boolean> {
    const args = ['merge-base', '--is-ancestor', earlier, later];
    return (await this.git({ args, answers: [1, 128] })).code === 0;
  }

  async commitsSince(known: readonly string[], head: string): Promise<readonly SeenCommit[]> {
    const there: string[] = [];
    for (const commit of new Set(known)) if (await this.has(commit)) there.push(commit);
    const input = [head, ...there.map((commit) => `^${commit}`)].map((line) => `${line}\n`).join('');
    const { stdout: count } = await this.git({ args: ['rev-list', '--count', '--stdin'], input });
    if (Number(count.toString('ascii')) > maximumCommits)
      throw new WritError('too_large', {
        message: `there are over ${maximumCommits} commits to verify`,
        hint: 'name in `trust.initial` a commit that you looked at: what comes after it is verified',
      });
    // Whoever can push but not sign must make us neither verify thousands of commits nor read what they pushed.
    const [newest] = Number(count.toString('ascii')) > fewCommits ? await this.log(['-1'], `${head}\n`) : [];
    if (newest?.signature.kind === 'refused') return [{ ...newest, changes: [] }];
    const seen = await this.log(['--topo-order', '--reverse'], input);
    const refused = seen.some(({ signature }) => signature.kind === 'refused');
    const commits: SeenCommit[] = [];
    for (const { parents, ...commit } of seen)
      commits.push({ ...commit, changes: refused ? [] : await this.changes(commit.id, parents) });
    return commits;
  }

  private async log(which: readonly string[], input: string): Promise<ReturnType<typeof parseLog>> {
    const { stdout } = await this.git({
      args: ['log', ...which, '-z', `--format=${logFormat}`, '--stdin'],
      input,
      timeoutMs: verifyTimeoutMs,
    });
    return parseLog(stdout);
  }

  async files(commit: string): Promise<readonly PolicyFile[]> {
    const entries = await this.entries(commit);
    return filesOfTree(entries, this.settings.folder, (objects) => this.blobs(objects));
  }

  private async changes(commit: string, parents: readonly string[]): Promise<readonly string[]> {
    if (parents.length > maximumParents)
      throw new WritError('too_large', {
        message: `commit ${commit.slice(0, 12)} merges ${parents.length} parents; at most ${maximumParents} are looked at`,
      });
    const result = await this.tree(commit);
    const sides = await Promise.all(parents.map((parent) => this.tree(parent)));
    const bases = parents.length > 1 ? await this.mergeBases(parents) : [];
    return changedPaths(result, sides, await Promise.all(bases.map((base) => this.tree(base))));
  }

  /** Of every two parents: what all of an octopus have in common may be so old that what was taken back looks new. */
  private async mergeBases(parents: readonly string[]): Promise<readonly string[]> {
    const bases = new Set<string>();
    for (const [i, one] of parents.entries())
      for (const other of parents.slice(i + 1)) {
        const { stdout } = await this.git({ args: ['merge-base', '--all', one, other], answers: [1] });
        for (const base of stdout.toString('ascii').split('\n').filter(Boolean)) bases.add(base);
      }
    return [...bases];
  }

  private async tree(commit: string): Promise<Tree> {
    return new Map((await this.entries(commit)).map(({ path, mode, object }) => [path, `${mode} ${object}`]));
  }

  private async entries(commit: string): Promise<readonly TreeEntry[]> {
    const known = this.trees.get(commit);
    if (known !== undefined) return known;
    const { folder } = this.settings;
    const below = folder === '.' ? [] : ['--', `${folder}/`];
    const { stdout } = await this.git({
      args: ['ls-tree', '-r', '-z', '-l', '--full-tree', commit, ...below],
      maximumBytes: 16 * 1024 * 1024,
    });
    const entries = treeEntries(stdout);
    this.kept += entries.length;
    if (this.kept > keptEntries) {
      this.trees.clear();
      this.kept = entries.length;
    }
    this.trees.set(commit, entries);
    return entries;
  }

  private async blobs(objects: readonly string[]): Promise<Buffer> {
    const input = objects.map((object) => `${object}\n`).join('');
    return (await this.git({ args: ['cat-file', '--batch'], input, maximumBytes: 128 * 1024 * 1024 })).stdout;
  }

  private async prepare(): Promise<void> {
    const { mirror, address } = this.settings;
    mkdirSync(mirror, { recursive: true, mode: 0o700 });
    // git refuses a repository on this machine that another user owns unless it is named; what it holds is not run.
    const path = address.shown.replace(/^file:\/\//, '');
    const quoted = JSON.stringify(path);
    const safe = path.startsWith('/')
      ? `[safe]\n\tdirectory = ${quoted}\n\tdirectory = ${JSON.stringify(`${path}/.git`)}\n`
      : '';
    writeFileSync(this.globalConfig(), safe, { mode: 0o600 });
    this.sweep();
    if (existsSync(join(mirror, 'HEAD'))) return;
    await this.git({ args: ['init', '--quiet', '--bare', '--template=', mirror], answers: [] });
  }

  /** What a git that was killed left behind: locks that would stop every fetch to come, packs that would fill the disk. */
  private sweep(): void {
    const { mirror } = this.settings;
    for (const lock of ['packed-refs.lock', 'shallow.lock', 'config.lock', 'HEAD.lock', `${followed}.lock`])
      rmSync(join(mirror, lock), { force: true });
    for (const folder of ['objects', 'objects/pack']) {
      const inside = join(mirror, folder);
      const names = existsSync(inside) ? readdirSync(inside) : [];
      for (const name of names.filter((each) => /^\.?tmp[_-]|^incoming-/.test(each)))
        rmSync(join(inside, name), { recursive: true, force: true });
    }
  }

  private globalConfig(): string {
    return join(this.settings.mirror, 'writ-gitconfig');
  }

  private git(run: Omit<GitRun, 'env' | 'signal'>): Promise<GitOutput> {
    const inMirror = run.args[0] === 'init' ? run.args : [`--git-dir=${this.settings.mirror}`, ...run.args];
    return runGit({ ...run, args: inMirror, env: this.environment(), signal: this.signal });
  }

  /** Nothing of the surroundings but how to reach hosts and the agent; settings come from us alone. */
  private environment(): Record<string, string> {
    const { env, keys } = this.settings;
    const names = ['PATH', 'HOME', 'SSH_AUTH_SOCK', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'GIT_SSL_CAINFO'];
    const proxies = ['https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY', 'all_proxy', 'ALL_PROXY'];
    const kept = [...names, ...proxies].flatMap((name) =>
      env[name] === undefined ? [] : [[name, env[name]] as [string, string]],
    );
    const config = this.config();
    return {
      ...Object.fromEntries(kept),
      LC_ALL: 'C',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: this.globalConfig(),
      GIT_ATTR_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_ASKPASS: 'false',
      SSH_ASKPASS: 'false',
      GIT_SSH_COMMAND: 'ssh -oBatchMode=yes -oConnectTimeout=10',
      GIT_ALLOW_PROTOCOL: 'file:https:ssh',
      GIT_NO_REPLACE_OBJECTS: '1',
      GIT_LITERAL_PATHSPECS: '1',
      GIT_OPTIONAL_LOCKS: '0',
      ...(keys.gpgHome === undefined ? {} : { GNUPGHOME: keys.gpgHome }),
      GIT_CONFIG_COUNT: String(config.length),
      ...Object.fromEntries(
        config.flatMap(([key, value], i) => [
          [`GIT_CONFIG_KEY_${i}`, key],
          [`GIT_CONFIG_VALUE_${i}`, value],
        ]),
      ),
    };
  }

  private config(): readonly (readonly [string, string])[] {
    const { address, keys } = this.settings;
    // A commit says itself how it is signed: what is not trusted here must not be asked about elsewhere.
    const programs = [
      ['gpg.ssh.allowedSignersFile', keys.allowedSigners ?? devNull],
      ['gpg.ssh.program', keys.allowedSigners === undefined ? 'false' : 'ssh-keygen'],
      ['gpg.openpgp.program', keys.gpgHome === undefined ? 'false' : 'gpg'],
      ['gpg.x509.program', 'false'],
    ] as const;
    const revoked =
      keys.revokedSigners === undefined ? [] : ([['gpg.ssh.revocationFile', keys.revokedSigners]] as const);
    const header = address.header === undefined ? [] : ([['http.extraHeader', address.header]] as const);
    return [
      ['remote.source.url', address.shown],
      ['core.hooksPath', devNull],
      ['core.fsmonitor', 'false'],
      ['core.attributesFile', devNull],
      ['fetch.fsckObjects', 'true'],
      ['http.followRedirects', 'false'],
      ['http.lowSpeedLimit', '1000'],
      ['http.lowSpeedTime', '30'],
      ['gc.auto', '0'],
      ['log.showSignature', 'false'],
      ['i18n.logOutputEncoding', 'UTF-8'],
      ...programs,
      ...revoked,
      ...header,
    ];
  }
}
