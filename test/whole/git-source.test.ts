import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type TestRepository, testRepository } from './git-repository.ts';
import { freshHome, type Served, type Surroundings, serve, startSurroundings } from './served.ts';

// `writ serve` follows a git repository: signed commits come into force, everything else changes nothing and says so.

// Each look starts several processes; a busy machine takes its time.
vi.setConfig({ testTimeout: 180_000 });

let company: Surroundings;
let origin: TestRepository;
let home: string;
let served: Served;
let sample: string;
const folders: string[] = [];

const policyOf = (repository: string, trust: string, everySeconds = 3600) =>
  `policy: { source: { git: ${JSON.stringify(repository)}, everySeconds: ${everySeconds}, trust: ${trust} } }\n`;
const trust = () => `{
  allowedSigners: ${JSON.stringify(join(origin.keys, 'allowed'))},
  delegations: [{ paths: ["policies/shop/**"], signers: [shop@acme.test], on: [shop] }],
  approvals: [{ paths: ["policies/grants/**"], by: [ann@acme.test, sec@acme.test] }] }`;

beforeAll(async () => {
  company = await startSurroundings();
  origin = testRepository();
  sample = origin.read('policies/sample.yaml');
  const lines = ['ann', 'sec', 'shop'].map((name) => `${name}@acme.test ${origin.key(name)}`);
  writeFileSync(join(origin.keys, 'allowed'), `${lines.join('\n')}\n`);
  origin.key('eve');
  origin.commit({ as: 'ann', message: 'the sample' });
  home = fresh();
  served = await serve(company, home, policyOf(origin.url, trust()));
});
afterAll(async () => {
  await served?.stop();
  await company?.stop();
  origin?.remove();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function fresh(): string {
  const made = freshHome(company);
  folders.push(made);
  return made;
}

const regionsOf = async (who: string) =>
  (
    await served.writ(
      ...['psql', 'shop', '--as', who, '-A', '-t', '-c'],
      'select distinct region from customers order by 1',
    )
  ).stdout
    .trim()
    .split('\n');
const region = (value: string) =>
  origin.write(
    'policies/sample.yaml',
    sample.replace('ana@acme.test:  { region: [EMEA] }', `ana@acme.test:  { region: [${value}] }`),
  );
/** The arguments of the one command of docs/serve.md that begins so: what the page says is what is tested. */
const documented = (...beginning: string[]): readonly string[] => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'serve.md'), 'utf8');
  const line = page.split('\n').find((one) => one.startsWith(`npx writ ${beginning.join(' ')}`));
  const [command = ''] = line?.slice('npx writ '.length).split(/ +#/) ?? [];
  if (command === '') throw new Error(`docs/serve.md does not show writ ${beginning.join(' ')}`);
  return [...command.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word);
};
const fetchNow = () => served.writ(...documented('policy', 'fetch'));
const inForce = async () =>
  JSON.parse((await served.writ(...documented('policy', 'status'), '--json')).stdout).inForce
    .commit as string;
const events = (commit: string) =>
  served.audit(
    `select kind, decision, signers, approvers, author, message, reasons, principal, summary from system.access.audit where "commit" = '${commit}' order by event_time, seq`,
  );
/** Takes commits away that were refused: the ref is again where the policy is. */
const backTo = (commit: string) => {
  origin.git('reset', '--quiet', '--hard', commit);
  origin.push('--force');
};

describe('what is signed comes into force', () => {
  test('the first start verifies the history; its commit is on record', async () => {
    const commit = origin.git('rev-parse', 'HEAD');
    expect(await regionsOf('ana@acme.test')).toEqual(['EMEA']);
    expect(await inForce()).toBe(commit);
    const found = await events(commit);
    expect(found.map(({ kind, decision }) => [kind, decision])).toEqual([
      ['policy.source', 'allow'],
      ['policy.apply', 'allow'],
    ]);
    expect(found[0]).toMatchObject({ author: 'Ann <ann@acme.test>', signers: '{ann@acme.test}' });
  });

  test('a good commit: rows change, and its id is in the audit log', async () => {
    region('AMER');
    const commit = origin.commit({ as: 'ann' });
    const fetched = await fetchNow();
    expect(fetched).toMatchObject({ code: 0, stdout: expect.stringContaining(`in force: ${commit}`) });
    expect(await regionsOf('ana@acme.test')).toEqual(['AMER']);
    const [applied] = await served.audit(
      `select repository, ref, signers from system.access.audit where kind = 'policy.apply' and "commit" = '${commit}'`,
    );
    expect(applied).toEqual({ repository: origin.url, ref: 'refs/heads/main', signers: '{ann@acme.test}' });
  });

  test('nobody applies by hand; plan and lint stay', async () => {
    expect(await served.writ('policy', 'apply')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`the policy follows ${origin.url} refs/heads/main`),
    });
    expect((await served.writ('policy', 'plan')).code).toBe(0);
    expect((await served.writ('policy', 'lint')).code).toBe(0);
  });
});

describe('what is refused changes nothing and says so', () => {
  const refused = async (commit: string, why: RegExp) => {
    const before = await inForce();
    const fetched = await fetchNow();
    expect(fetched.code).toBe(1);
    expect(fetched.stdout).toMatch(why);
    await fetchNow();
    expect(await inForce()).toBe(before);
    expect(await regionsOf('ana@acme.test')).toEqual(['AMER']);
    const found = await events(commit);
    expect(found).toMatchObject([{ kind: 'policy.source', decision: 'deny' }]);
    expect(String(found[0]?.['reasons'])).toMatch(why);
    expect((await served.writ('policy', 'status')).code).toBe(1);
    backTo(before);
    expect((await fetchNow()).code).toBe(0);
  };

  test('an unsigned commit', async () => {
    region('APAC');
    await refused(origin.commit(), /it is not signed/);
  });

  test('an unsigned commit below a signed one', async () => {
    region('APAC');
    const hidden = origin.commit();
    await refused(origin.commit({ as: 'ann' }), new RegExp(`${hidden.slice(0, 12)}: it is not signed`));
  });

  test("a stranger's signature", async () => {
    region('APAC');
    await refused(origin.commit({ as: 'eve' }), /which is nobody's/);
  });

  test('a delegated signer outside the delegation', async () => {
    region('APAC');
    await refused(
      origin.commit({ as: 'shop' }),
      /shop@acme\.test may not change policies\/sample\.yaml: it belongs to the signers without a delegation/,
    );
  });

  test('a grant on another catalog from inside a delegation', async () => {
    origin.write(
      'policies/shop/lake.yaml',
      'kind: grants\ngrants: [{ on: lake, to: loaders, privileges: [SELECT] }]\n',
    );
    await refused(
      origin.commit({ as: 'shop' }),
      /policies\/shop\/lake\.yaml:2:\d+: lake is outside; this folder is delegated for shop/,
    );
  });

  test('somebody else inside a delegation', async () => {
    origin.write('policies/shop/tests.yaml', 'kind: tests\ntests: []\n');
    await refused(
      origin.commit({ as: 'ann' }),
      /policies\/shop\/tests\.yaml: it is delegated to shop@acme\.test/,
    );
  });

  test('a merge that quietly keeps the older version', async () => {
    const base = origin.git('rev-parse', 'HEAD~1');
    origin.git('checkout', '-q', '-b', 'old', base);
    origin.git(...origin.signing('shop'), 'commit', '-q', '--allow-empty', '-m', 'nothing');
    origin.git('checkout', '-q', 'main');
    origin.git(...origin.signing('shop'), 'merge', '-q', '--no-ff', '--no-commit', 'old');
    region('EMEA');
    await refused(origin.commit({ as: 'shop' }), /shop@acme\.test may not change policies\/sample\.yaml/);
  });

  test('files that do not compile against the catalog, with the place', async () => {
    origin.write(
      'policies/broken.yaml',
      'kind: grants\ngrants: [{ on: nowhere, to: x, privileges: [SELECT] }]\n',
    );
    await refused(origin.commit({ as: 'ann' }), /broken\.yaml:2:\d+ /);
  });

  test('a file that is no YAML, with the place', async () => {
    origin.write('policies/broken.yaml', 'kind: [');
    await refused(origin.commit({ as: 'ann' }), /broken\.yaml:1:\d+ /);
  });

  test('a rewritten history', async () => {
    const before = origin.git('rev-parse', 'HEAD');
    origin.git('reset', '-q', '--hard', 'HEAD~1');
    region('APAC');
    origin.git('add', '--all');
    origin.git(...origin.signing('ann'), 'commit', '-q', '-m', 'another past');
    origin.push('--force');
    await refused(origin.git('rev-parse', 'HEAD'), /history was rewritten/);
    expect(origin.git('rev-parse', 'HEAD')).toBe(before);
  });
});

describe('delegation and approval', () => {
  test('the delegated signer changes the delegated folder', async () => {
    origin.write('policies/shop/tests.yaml', 'kind: tests\ntests: []\n');
    const commit = origin.commit({ as: 'shop' });
    expect((await fetchNow()).code).toBe(0);
    expect(await inForce()).toBe(commit);
  });

  test('what needs a second signer waits for one; the first does not count twice', async () => {
    origin.write(
      'policies/grants/nina.yaml',
      'kind: principals\ngroups: { visitors: { members: [nina@acme.test] } }\n',
    );
    const change = origin.commit({ as: 'ann' });
    expect((await fetchNow()).stdout).toContain(
      `policies/grants/nina.yaml needs 1 more approval of ann@acme.test, sec@acme.test: a signed commit that says "Approves: ${change}"`,
    );
    origin.commit({ as: 'ann', message: `me too\n\nApproves: ${change}` });
    expect((await fetchNow()).code).toBe(1);
    origin.commit({ as: 'shop', message: `I am not asked\n\nApproves: ${change}` });
    expect((await fetchNow()).code).toBe(1);
    const approval = origin.commit({ as: 'sec', message: `fine\n\nApproves: ${change}` });
    expect((await fetchNow()).code).toBe(0);
    expect(await inForce()).toBe(approval);
    expect(await events(approval)).toMatchObject([
      { kind: 'policy.apply' },
      { kind: 'policy.source', approvers: '{sec@acme.test}' },
    ]);
  });
});

describe('going back', () => {
  test('by moving the ref: refused, with what to do', async () => {
    const before = await inForce();
    origin.git('reset', '-q', '--hard', 'HEAD~2');
    origin.push('--force');
    const fetched = await fetchNow();
    expect(fetched.code).toBe(1);
    expect(fetched.stdout).toMatch(/went back to [0-9a-f]{12}, which is older than the commit in force/);
    expect(fetched.stdout).toContain('writ policy rollback');
    expect(await inForce()).toBe(before);
    backTo(before);
    expect((await fetchNow()).code).toBe(0);
  });

  test('rollback: one step, recorded with who did it; the ref still names what was rolled back, and is not followed', async () => {
    const before = await inForce();
    region('APAC');
    const bad = origin.commit({ as: 'ann' });
    await fetchNow();
    expect(await regionsOf('ana@acme.test')).toEqual(['APAC']);
    const rolled = await served.writ(...documented('policy', 'rollback'));
    expect(rolled.stderr).toBe('');
    expect(rolled.stdout).toContain('rolled back by an operator');
    expect(await inForce()).toBe(before);
    expect(await regionsOf('ana@acme.test')).toEqual(['AMER']);
    expect((await events(before)).at(-1)).toMatchObject({
      kind: 'policy.source',
      principal: 'operator',
      summary: `rolled back from ${bad.slice(0, 12)} to ${before.slice(0, 12)}: wrong rows`,
    });
    await fetchNow();
    expect(await inForce()).toBe(before);
  });

  test('a rollback outlasts a restart, and ends when the ref moves on', async () => {
    const before = await inForce();
    const bad = origin.git('rev-parse', 'HEAD');
    expect(bad).not.toBe(before);
    await served.stop();
    served = await serve(company, home, policyOf(origin.url, trust()));
    await fetchNow();
    expect(await inForce()).toBe(before);
    origin.git(...origin.signing('ann'), 'revert', '--no-edit', bad);
    const reverted = origin.commit({ as: 'ann', message: 'on it goes' });
    expect((await fetchNow()).code).toBe(0);
    expect(await inForce()).toBe(reverted);
    expect(await regionsOf('ana@acme.test')).toEqual(['AMER']);
  });

  test('only to what was in force, and only by who manages the metastore', async () => {
    expect(await served.writ('policy', 'rollback', 'abcdef0')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('was never in force here'),
    });
    expect((await served.writ('policy', 'rollback', '--as', 'ana@acme.test')).code).toBe(1);
  });
});

describe('a cluster away', () => {
  test('the policy comes into force at the doors, and there when it answers again', async () => {
    const { adminUrl } = company.environment.cluster;
    const admin = new pg.Client({ connectionString: adminUrl });
    await admin.connect();
    const closed = async (to: boolean) => {
      await admin.query(`alter database shop with allow_connections ${to ? 'false' : 'true'}`);
      await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'shop'");
    };
    const count = () =>
      served.audit(
        `select count(*) as n from system.access.audit where kind = 'policy.apply' and "commit" = '${origin.git('rev-parse', 'HEAD')}'`,
      );
    try {
      await closed(true);
      region('EMEA');
      const commit = origin.commit({ as: 'ann' });
      expect((await fetchNow()).stdout).toContain('not yet everywhere: shop');
      expect(await inForce()).toBe(commit);
      await fetchNow();
      expect(await count()).toMatchObject([{ n: 1 }]);
      await closed(false);
      expect((await fetchNow()).stdout).not.toContain('not yet everywhere');
      expect(await count()).toMatchObject([{ n: 2 }]);
      expect(await regionsOf('ana@acme.test')).toEqual(['EMEA']);
      await fetchNow();
      expect(await count()).toMatchObject([{ n: 2 }]);
      region('AMER');
      origin.commit({ as: 'ann' });
      await fetchNow();
    } finally {
      await closed(false);
      await admin.end();
    }
  });
});

describe('the repository away', () => {
  test('the policy stays, the status says so, and it goes on afterwards', async () => {
    const before = await inForce();
    renameSync(origin.url, `${origin.url}.away`);
    const fetched = await fetchNow();
    expect(fetched.code).toBe(1);
    expect(fetched.stdout).toContain(`the policy repository ${origin.url} cannot be read`);
    expect(await regionsOf('ana@acme.test')).toEqual(['AMER']);
    renameSync(`${origin.url}.away`, origin.url);
    expect((await fetchNow()).code).toBe(0);
    expect(await inForce()).toBe(before);
  });
});

describe('starting', () => {
  test('a first start whose history is not signed does not start, and says which commit', async () => {
    const unsigned = testRepository();
    try {
      const commit = unsigned.commit();
      await expect(serve(company, fresh(), policyOf(unsigned.url, trust()))).rejects.toThrow(
        new RegExp(`commit ${commit.slice(0, 12)} is not trusted[\\s\\S]*it is not signed`),
      );
      const initial = trust().replace('{', `{ initial: "${commit}", `);
      const begun = await serve(company, fresh(), policyOf(unsigned.url, initial));
      await begun.stop();
    } finally {
      unsigned.remove();
    }
  });

  test('`trust: none` follows whatever is pushed, by itself', async () => {
    const unsigned = testRepository();
    unsigned.commit();
    const other = await serve(company, fresh(), policyOf(unsigned.url, 'none', 1));
    try {
      unsigned.write('policies/more.yaml', 'kind: tests\ntests: []\n');
      const commit = unsigned.commit();
      await expect
        .poll(async () => (await other.writ('policy', 'status')).stdout, { timeout: 20_000, interval: 300 })
        .toContain(`in force: ${commit}`);
    } finally {
      await other.stop();
      unsigned.remove();
    }
  });

  test('a token in the URL is in no output, log, record or file of the home', async () => {
    const secretHome = fresh();
    const token = 's3cret-t0ken';
    const started = serve(
      company,
      secretHome,
      policyOf('', 'none').replace('""', '{ env: POLICY_REPOSITORY }'),
      {
        POLICY_REPOSITORY: `https://bot:${token}@127.0.0.1:1/policies.git`,
      },
    );
    await expect(started).rejects.toThrow('https://127.0.0.1:1/policies.git cannot be read');
    await expect(started).rejects.not.toThrow(token);
    const texts = readdirSync(secretHome, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
    expect(texts.some((text) => text.includes('cannot be read'))).toBe(true);
    const encoded = Buffer.from(`bot:${token}`).toString('base64');
    expect(texts.filter((text) => text.includes(token) || text.includes(encoded))).toEqual([]);
  });
});
