import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Repository } from '../../../src/policy/source/git.ts';
import { filesOfTree, treeEntries } from '../../../src/policy/source/git-tree.ts';
import { type TestRepository, testRepository } from '../../whole/git-repository.ts';
import { allowedSigners, mirrorOf } from './fixture.ts';

let origin: TestRepository;
let ann: string;
let cleanup: (() => void)[] = [];

beforeEach(() => {
  origin = testRepository();
  ann = origin.key('ann');
  cleanup = [() => origin.remove()];
});
afterEach(() => {
  for (const each of cleanup.reverse()) each();
});

function mirror(...rest: Parameters<typeof mirrorOf> extends [unknown, ...infer R] ? R : never): Repository {
  const opened = mirrorOf(origin, ...rest);
  cleanup.push(() => opened.remove());
  return opened;
}

const trusting = (...lines: string[]) => mirror({ allowedSigners: allowedSigners(origin, lines) });

async function signatures(repository: Repository) {
  const commits = await repository.commitsSince([], await repository.fetch());
  return commits.map(({ signature }) =>
    signature.kind === 'good' ? signature.signer : `refused: ${signature.why}`,
  );
}

describe('signatures, by git itself', () => {
  test('signed by an allowed signer; unsigned; signed by a stranger', async () => {
    origin.key('eve');
    origin.commit({ as: 'ann' });
    origin.commit();
    origin.commit({ as: 'eve' });
    expect(await signatures(trusting(`ann@acme.test ${ann}`))).toEqual([
      'ann@acme.test',
      'refused: it is not signed',
      expect.stringMatching(/^refused: it is signed with SHA256:.* which is nobody's/),
    ]);
  });

  test('a key counts at the time of the commit: before it expired, not after', async () => {
    origin.commit({ as: 'ann', at: Date.UTC(2024, 0, 1) / 1000 });
    origin.commit({ as: 'ann', at: Date.UTC(2025, 0, 1) / 1000 });
    expect(await signatures(trusting(`ann@acme.test valid-before="20240601" ${ann}`))).toEqual([
      'ann@acme.test',
      expect.stringMatching(/^refused: it is signed with SHA256:/),
    ]);
  });

  test('a revoked key never counts, whenever it signed', async () => {
    origin.commit({ as: 'ann' });
    const revokedSigners = join(origin.keys, 'ann.pub');
    const allowed = allowedSigners(origin, [`ann@acme.test ${ann}`]);
    expect(await signatures(mirror({ allowedSigners: allowed, revokedSigners }))).toEqual([
      expect.stringMatching(/^refused: its signature is not good/),
    ]);
  });

  test('a signature for another purpose is none', async () => {
    origin.commit({ as: 'ann' });
    expect(await signatures(trusting(`ann@acme.test namespaces="file" ${ann}`))).toEqual([
      expect.stringMatching(/^refused/),
    ]);
  });

  test('a signature moved onto another commit is not good', async () => {
    origin.commit({ as: 'ann' });
    const raw = origin.git('cat-file', 'commit', 'HEAD');
    const forged = execFileSync('git', ['hash-object', '-t', 'commit', '-w', '--stdin'], {
      cwd: origin.url,
      input: `${raw.replace('\n\nchange', '\n\nanother')}\n`,
      encoding: 'utf8',
    }).trim();
    execFileSync('git', ['update-ref', 'refs/heads/main', forged], { cwd: origin.url });
    expect(await signatures(trusting(`ann@acme.test ${ann}`))).toEqual([
      expect.stringMatching(/^refused: its signature is not good/),
    ]);
  });

  const gpg = spawnSync('gpg', ['--version']).status === 0;
  test.skipIf(!gpg)(`OpenPGP: the keyring says who${gpg ? '' : ' (no gpg on this machine)'}`, async () => {
    const [inside, outside] = [gpgKey('ann'), gpgKey('eve')];
    const sign = (home: string, id: string) =>
      execFileSync(
        'git',
        ['-c', `user.signingKey=${id}`, 'commit', '--quiet', '--allow-empty', '-S', '-m', 'signed'],
        {
          cwd: origin.git('rev-parse', '--show-toplevel'),
          env: { ...process.env, GNUPGHOME: home, ...person, GIT_CONFIG_GLOBAL: '/dev/null' },
        },
      );
    sign(inside.home, inside.id);
    sign(outside.home, outside.id);
    origin.push();
    expect(await signatures(mirror({ gpgHome: inside.home }))).toEqual([
      inside.id,
      expect.stringMatching(/^refused/),
    ]);
    // Nobody's own keyring is asked where only SSH keys are trusted.
    expect(await signatures(trusting(`ann@acme.test ${ann}`))).toEqual([
      expect.stringMatching(/^refused/),
      expect.stringMatching(/^refused/),
    ]);
  });
});

const person = {
  GIT_AUTHOR_NAME: 'Ann',
  GIT_AUTHOR_EMAIL: 'ann@acme.test',
  GIT_COMMITTER_NAME: 'Ann',
  GIT_COMMITTER_EMAIL: 'ann@acme.test',
};

function gpgKey(name: string): { home: string; id: string } {
  const home = mkdtempSync(join(tmpdir(), 'writ-gpg-'));
  chmodSync(home, 0o700);
  const env = { ...process.env, GNUPGHOME: home };
  const run = (...args: string[]) => execFileSync('gpg', args, { env, encoding: 'utf8', stdio: 'pipe' });
  run('--batch', '--passphrase', '', '--quick-generate-key', `${name}@acme.test`, 'ed25519', 'sign', 'never');
  cleanup.push(() => {
    spawnSync('gpgconf', ['--kill', 'all'], { env });
    rmSync(home, { recursive: true, force: true });
  });
  const id = /^fpr:+([0-9A-F]{40}):/m.exec(run('--list-keys', '--with-colons'))?.[1] ?? '';
  return { home, id };
}

describe('what a commit itself changes', () => {
  const signAll = () => {
    origin.git('config', 'gpg.format', 'ssh');
    origin.git('config', 'user.signingKey', join(origin.keys, 'ann'));
    origin.git('config', 'commit.gpgSign', 'true');
  };
  const changes = async (repository: Repository) =>
    Object.fromEntries(
      (await repository.commitsSince([], await repository.fetch())).map(({ id, changes }) => [id, changes]),
    );

  test('a clean merge changes nothing itself; one that keeps the older version does', async () => {
    const repository = trusting(`ann@acme.test ${ann}`);
    signAll();
    origin.write('policies/a.yaml', 'kind: grants\n');
    origin.write('policies/b.yaml', 'kind: grants\n');
    origin.write('README.md', 'not a policy');
    const first = origin.commit({ as: 'ann' });
    origin.git('checkout', '-q', '-b', 'side');
    origin.write('policies/b.yaml', 'kind: grants\ngrants: []\n');
    origin.git('commit', '-qam', 'side');
    origin.git('checkout', '-q', 'main');
    origin.write('policies/a.yaml', 'kind: grants\nowners: []\n');
    const narrowed = origin.commit({ as: 'ann' });
    origin.git('merge', '-q', '--no-ff', '-m', 'clean', 'side');
    const clean = origin.git('rev-parse', 'HEAD');
    origin.git('reset', '-q', '--hard', narrowed);
    origin.git('merge', '-q', '--no-ff', '--no-commit', 'side');
    origin.git('checkout', '-q', 'side', '--', 'policies/a.yaml');
    origin.git('commit', '-q', '-m', 'quietly older');
    const tampered = origin.git('rev-parse', 'HEAD');
    origin.push('--force');
    const seen = await changes(repository);
    expect(seen[first]).toEqual([
      'policies/a.yaml',
      'policies/b.yaml',
      'policies/sample.yaml',
      'policies/tests.yaml',
    ]);
    expect(seen[narrowed]).toEqual(['policies/a.yaml']);
    expect(seen[tampered]).toEqual(['policies/a.yaml']);
    origin.git('reset', '-q', '--hard', clean);
    origin.push('--force');
    expect((await changes(repository))[clean]).toEqual([]);
  });

  test('an octopus does not bring back what was taken away, however old its third parent is', async () => {
    const repository = trusting(`ann@acme.test ${ann}`);
    signAll();
    const before = origin.commit({ as: 'ann' });
    origin.write('policies/wide.yaml', 'kind: grants\n');
    const wide = origin.commit({ as: 'ann' });
    const tree = origin.git('rev-parse', `${wide}^{tree}`);
    origin.git('rm', '-q', 'policies/wide.yaml');
    const narrow = origin.commit({ as: 'ann' });
    const parents = [narrow, wide, before].flatMap((parent) => ['-p', parent]);
    const octopus = origin.git('commit-tree', '-S', tree, ...parents, '-m', 'merge');
    origin.git('reset', '-q', '--hard', octopus);
    origin.push();
    expect((await changes(repository))[octopus]).toEqual(['policies/wide.yaml']);
  });

  test('where one commit is refused, nobody looks at what they hold', async () => {
    const repository = trusting(`ann@acme.test ${ann}`);
    origin.commit({ as: 'ann' });
    origin.write('policies/big.yaml', 'kind: grants\n');
    origin.commit();
    expect(Object.values(await changes(repository))).toEqual([[], []]);
  });
});

describe('a hostile repository', () => {
  test('symbolic links, submodules, huge files and broken text are refused; nothing is checked out', async () => {
    const work = origin.git('rev-parse', '--show-toplevel');
    const refused = async () => {
      const repository = mirror();
      return repository.files(await repository.fetch());
    };
    symlinkSync('/etc/passwd', join(work, 'policies', 'people.yaml'));
    origin.commit();
    await expect(refused()).rejects.toThrow('policies/people.yaml is a symbolic link');
    rmSync(join(work, 'policies', 'people.yaml'));
    const commit = origin.commit();
    origin.git('update-index', '--add', '--cacheinfo', `160000,${commit},policies/sub`);
    origin.git('commit', '-q', '-m', 'sub');
    origin.push();
    await expect(refused()).rejects.toThrow('policies/sub is a submodule');
    origin.git('reset', '-q', '--hard', commit);
    writeFileSync(join(work, 'policies', 'big.yaml'), Buffer.alloc(8 * 1024 * 1024 + 1, '#'));
    origin.git('add', '.');
    origin.git('commit', '-q', '-m', 'big');
    origin.push('--force');
    await expect(refused()).rejects.toThrow('the policy file policies/big.yaml is over 8388608 bytes');
    origin.git('reset', '-q', '--hard', commit);
    writeFileSync(join(work, 'policies', 'odd.yaml'), Buffer.from([0xff, 0xfe]));
    origin.git('add', '.');
    origin.git('commit', '-q', '-m', 'odd');
    origin.push('--force');
    await expect(refused()).rejects.toThrow('policies/odd.yaml is no valid UTF-8');
  });

  test("no hook, attribute, filter or setting of theirs runs, nor of the user's own", async () => {
    const ran = join(origin.keys, 'ran');
    const touch = `touch ${ran}`;
    const work = origin.git('rev-parse', '--show-toplevel');
    for (const hook of ['pre-receive', 'post-update', 'reference-transaction', 'post-checkout']) {
      const file = join(origin.url, 'hooks', hook);
      writeFileSync(file, `#!/bin/sh\n${touch}-hook\n`);
    }
    writeFileSync(join(work, '.gitattributes'), '* filter=evil diff=evil\n');
    writeFileSync(join(work, '.gitmodules'), `[submodule "x"]\n\tpath = x\n\turl = ext::sh -c ${touch}\n`);
    origin.commit();
    for (const hook of ['pre-receive', 'post-update', 'reference-transaction', 'post-checkout'])
      chmodSync(join(origin.url, 'hooks', hook), 0o755);
    const set = (key: string, value: string) =>
      execFileSync('git', ['config', key, value], { cwd: origin.url, stdio: 'pipe' });
    set('core.fsmonitor', touch);
    set('core.sshCommand', touch);
    set('filter.evil.smudge', touch);
    set('uploadpack.packObjectsHook', touch);
    set('core.hooksPath', join(origin.url, 'hooks'));
    const home = join(origin.keys, 'home');
    execFileSync('mkdir', [home]);
    writeFileSync(
      join(home, '.gitconfig'),
      `[uploadpack]\n\tpackObjectsHook = ${touch}\n[core]\n\tfsmonitor = ${touch}\n`,
    );
    const repository = mirror({}, { env: { ...process.env, HOME: home, GIT_DIR: '/nowhere' } });
    const head = await repository.fetch();
    expect((await repository.files(head)).map(({ path }) => path)).toEqual(['sample.yaml', 'tests.yaml']);
    await repository.commitsSince([], head);
    expect(existsSync(ran) || existsSync(`${ran}-hook`)).toBe(false);
  });

  test('a repository that is away, or a ref that is not there, says so', async () => {
    await expect(mirror().fetch()).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('cannot be read (refs/heads/main)'),
    });
    const away = mirror({}, { address: { shown: join(origin.keys, 'nowhere.git'), header: undefined } });
    await expect(away.fetch()).rejects.toMatchObject({ code: 'unreachable' });
  });

  test('what a killed git left behind stops nothing and does not pile up', async () => {
    const home = join(origin.keys, 'mirror');
    const repository = mirror({}, { mirror: home });
    origin.commit();
    await repository.fetch();
    mkdirSync(join(home, 'objects', 'pack'), { recursive: true });
    const left = ['refs/writ/followed.lock', 'packed-refs.lock', 'objects/pack/tmp_pack_x1'].map((name) =>
      join(home, name),
    );
    for (const file of left) writeFileSync(file, 'x');
    const next = origin.commit();
    expect(await repository.fetch()).toBe(next);
    expect(left.filter((file) => existsSync(file))).toEqual([]);
  });

  test('a path that would write to a terminal or forge a line is refused', () => {
    const line = (path: string) => Buffer.from(`100644 blob ${'a'.repeat(40)}       1\t${path}\0`);
    expect(treeEntries(line('policies/ä b.yaml'))).toMatchObject([{ path: 'policies/ä b.yaml', size: 1 }]);
    for (const path of ['a\nb.yaml', '\u001b[2Ja.yaml', 'a\u009bb.yaml'])
      expect(() => treeEntries(line(path))).toThrow(/^the path ".*" holds control characters$/);
  });

  test('a tree that names one path twice is refused', () => {
    const entry = { path: 'policies/a.yaml', mode: '100644', object: 'a'.repeat(40), size: 1 };
    const read = () => Promise.resolve(Buffer.alloc(0));
    return expect(
      filesOfTree([entry, { ...entry, object: 'b'.repeat(40) }], 'policies', read),
    ).rejects.toThrow('a path stands twice');
  });

  test('a fetch that hangs is given up', async () => {
    const bin = join(origin.keys, 'bin');
    execFileSync('mkdir', [bin]);
    writeFileSync(join(bin, 'ssh'), '#!/bin/sh\nexec sleep 60\n', { mode: 0o755 });
    const repository = mirror(
      {},
      {
        address: { shown: 'git@git.example.test:policies.git', header: undefined },
        env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` },
        timeoutMs: 500,
      },
    );
    await expect(repository.fetch()).rejects.toMatchObject({
      code: 'unreachable',
      detail: 'it took longer than 0.5 s',
    });
  });
});
