import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { PolicyInForce } from '../../src/catalog/store.ts';
import { operatorName } from '../../src/kernel/principal.ts';
import { openRepository } from '../../src/policy/source/git.ts';
import { openFollower, rolledBack } from '../../src/rolesync/follow.ts';
import { pat, rule } from './in-force-fixture.ts';

const policy = (commit: string): PolicyInForce => ({
  snapshot: commit,
  appliedAt: 0,
  appliedBy: operatorName,
  files: [],
  ...(commit === '-' ? {} : { source: { repository: 'r', ref: 'main', commit, signers: [] } }),
});

test.each([
  ['', ''],
  ['-', ''],
  ['a b c', ''],
  ['a b a', 'b'],
  ['a b c a', 'b c'],
  ['a b c b', 'c'],
  ['a b a b', 'a'],
  ['a b a c', ''],
  ['a a', ''],
  ['- a b - a', 'b'],
])('in force one after the other: %j; not followed again: %j', (sequence, held) => {
  const policies = sequence.split(' ').filter(Boolean).map(policy);
  expect([...rolledBack(policies)].join(' ')).toBe(held);
});

test('an operator goes back at once, however long a look takes', async () => {
  const text = (may: string) =>
    `kind: grants\ngrants: [{ on: lake, to: ana@acme.test, privileges: [${may}] }]\n`;
  const principals = 'kind: principals\ngroups: { all: { members: [ana@acme.test] } }\n---\n';
  const ruled = await rule(principals + text('BROWSE'));
  const bring = (commit: string, may: string) => {
    const source = { repository: 'r', ref: 'main', commit: commit.repeat(40), signers: [] };
    return ruled.inForce.apply(pat, { files: ruled.files(principals + text(may)), source });
  };
  await bring('a', 'USE CATALOG');
  await bring('b', 'SELECT');
  const bin = join(ruled.folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'ssh'), '#!/bin/sh\nexec sleep 300\n', { mode: 0o755 });
  const repository = openRepository({
    address: { shown: 'git@git.example.test:policies.git', header: undefined },
    ...{ ref: 'refs/heads/main', folder: 'policies', mirror: join(ruled.folder, 'mirror'), keys: {} },
    env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` },
    timeoutMs: 300_000,
  });
  const { store, audit, clock } = ruled;
  const follower = openFollower({
    ...{ repository, store, audit, clock, trust: undefined, everySeconds: 3600 },
    log: () => undefined,
  });
  onTestFinished(() => follower.close());
  follower.start(ruled.inForce);
  const status = await follower.rollback(pat, {});
  expect(status.inForce?.commit).toBe('a'.repeat(40));
});
