import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type Company, run, startCompany } from './company.ts';

// `writ policy test` as a pipeline runs it: with an instance, with a catalog's file, against a policy that is weakened.

const sample = join(import.meta.dirname, '..', '..', 'policies');
const folder = mkdtempSync(join(tmpdir(), 'writ-policy-test-'));
const scratch = join(folder, 'tmp');
const catalog = join(folder, 'catalog.json');
let company: Company;
beforeAll(async () => {
  mkdirSync(scratch);
  company = await startCompany();
  expect((await company.writ('catalog', 'export', '--out', catalog)).code).toBe(0);
});
afterAll(async () => {
  await company.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** No instance; whatever is made for the tests is made in `scratch`. */
const env = { ...process.env, WRIT_HOME: join(folder, 'none'), TMPDIR: scratch };
const alone = (...args: string[]) =>
  run(process.execPath, [join(inject('dist'), 'main.js'), 'policy', 'test', ...args], env);

/** A copy of the sample, changed. */
function copy(name: string, ...edits: [string, string][]): string {
  const to = join(folder, name);
  cpSync(sample, to, { recursive: true });
  const text = edits.reduce(
    (before, [from, put]) => {
      expect(before).toContain(from);
      return before.replace(from, put);
    },
    readFileSync(join(to, 'sample.yaml'), 'utf8'),
  );
  writeFileSync(join(to, 'sample.yaml'), text);
  return to;
}

test('beside a running instance: its catalog, its own files, nothing of it is touched', async () => {
  const before = await company.writ('policy', 'plan', '--json');
  const ran = await company.writ('policy', 'test');
  expect(ran.stderr).toBe('');
  expect(ran.stdout).toMatch(
    /^ok {4}sample\.yaml:41 ana@acme\.test: select id, email from shop\.public\.customers \[Postgres, gateway; Postgres, direct\]$/m,
  );
  expect(ran.stdout).toMatch(/\[DuckDB, gateway\]$/m);
  expect(ran.stdout).toMatch(/^\d+ tests: \d+ ok, 0 failed; \d+ invariants: \d+ hold, 0 broken$/m);
  expect(ran.code).toBe(0);
  expect((await company.writ('policy', 'plan', '--json')).stdout).toBe(before.stdout);
});

test('a weakened policy: who sees what they should not, in rows and in reasons; exit 1, and nothing is left', async () => {
  const weakened = copy(
    'weakened',
    ["left(value, 1) || '***@***'", 'value'],
    ['except: [stewards, loaders]', 'except: [stewards, loaders, analysts]'],
  );
  const ran = await alone('--catalog', catalog, '--policies', weakened);
  expect(ran.code).toBe(1);
  expect(ran.stdout).toContain(
    `FAIL  sample.yaml:41 ana@acme.test: select id, email from shop.public.customers`,
  );
  expect(ran.stdout).toMatch(
    /expected +\| Postgres, gateway; Postgres, direct\n +1, a\*\*\*@\*\*\* ≠ 1, ann@x\.io\n +> 2, bob@y\.io/,
  );
  expect(ran.stdout).toMatch(
    /^ +shop\.public\.customers: allow: .*SELECT on shop granted to analysts.*; column mask mask_email on metastore/m,
  );
  expect(ran.stdout).toContain('mask mask_email hands the value on');
  expect(ran.stdout).toMatch(/FAIL +tests\.yaml:\d+ does not hold: tables tagged residency/);
  expect(readdirSync(scratch)).toEqual([]);
  const json = await alone('--catalog', catalog, '--policies', weakened, '--json');
  expect(json.code).toBe(1);
  const report = JSON.parse(json.stdout) as {
    tests: { ok: boolean; answers?: { engine: string }[] }[];
    invariants: { holds: boolean }[];
  };
  expect(report.tests.some(({ ok }) => !ok)).toBe(true);
  expect(report.invariants.filter(({ holds }) => !holds).length).toBeGreaterThan(1);
});

test('what weakens an invariant does not lint, does not plan and is not applied', async () => {
  const weakened = copy('refused', ["'***' || right(value, 2)", 'value']);
  for (const command of ['lint', 'plan', 'apply']) {
    const ran = await company.writ('policy', command, '--policies', weakened);
    expect([command, ran.code]).toEqual([command, 1]);
    expect(ran.stdout + ran.stderr).toMatch(
      /does not hold: columns tagged pii .*anyone in analysts \(now ana@acme\.test, omar@acme\.test\) reaches shop\.public\.customers\.phone: mask mask_phone hands the value on/,
    );
  }
  expect(
    (
      await company.psql('ana@acme.test', 'shop', "select count(*) from customers where phone like '+%'")
    ).stdout.trim(),
  ).toBe('0');
});

test('files that do not compile: the findings, and no engine is started', async () => {
  const broken = copy('broken', ['owner: platform', 'owner: platfrom']);
  const ran = await alone('--catalog', catalog, '--policies', broken);
  expect(ran.code).toBe(1);
  expect(ran.stdout).toMatch(/sample\.yaml:\d+:\d+ error unknown-principal .*platfrom/);
});

test('without an instance and without a catalog: what to do', async () => {
  const ran = await alone();
  expect(ran.code).toBe(1);
  expect(ran.stderr).toMatch(/catalog is not known.*\n.*\n.*writ catalog export/);
});

test('Ctrl-C: everything that was made is removed', async () => {
  const args = [
    join(inject('dist'), 'main.js'),
    'policy',
    'test',
    '--catalog',
    catalog,
    '--policies',
    sample,
  ];
  const child = spawn(process.execPath, args, { env, stdio: 'ignore' });
  const gone = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await expect
    .poll(
      () => readdirSync(scratch).some((home) => existsSync(join(scratch, home, 'cluster', 'postmaster.pid'))),
      { timeout: 30_000 },
    )
    .toBe(true);
  child.kill('SIGINT');
  expect(await gone).toBe(130);
  expect(readdirSync(scratch)).toEqual([]);
});
