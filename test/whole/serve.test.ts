import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshHome, type Served, type Surroundings, serve, startSurroundings } from './served.ts';

// `writ serve -c writ.yaml`: somebody's own clusters, catalogs and issuers, from a folder of policy files.

let company: Surroundings;
let home: string;
const policies = mkdtempSync(join(tmpdir(), 'writ-policies-'));
const sample = join(import.meta.dirname, '..', '..', 'policies');
const source = `policy: { source: ${JSON.stringify(policies)} }\n`;

beforeAll(async () => {
  cpSync(sample, policies, { recursive: true });
  company = await startSurroundings();
  home = freshHome(company);
});
afterAll(async () => {
  await company?.stop();
  for (const folder of [home, policies]) rmSync(folder, { recursive: true, force: true });
});

const regions = (served: Served, who: string) =>
  served.writ('psql', 'shop', '--as', who, '-A', '-t', '-c', 'select distinct region from customers');

describe('writ serve', () => {
  test('the first start applies the folder; people see their rows; nothing is hardened; SIGTERM ends it', async () => {
    const served = await serve(company, home, source);
    try {
      expect(await regions(served, 'ana@acme.test')).toMatchObject({ stdout: 'EMEA\n', code: 0 });
      const lake = await served.writ(
        ...['psql', 'lake', '--as', 'omar@acme.test', '-A', '-t', '-c'],
        'select distinct region from lake.sales.orders_history',
      );
      expect(lake.stdout).toBe('APAC\n');
      const doctor = await served.writ('cluster', 'doctor', 'main');
      expect(doctor.code).toBe(1);
      const endpoints = served.endpoints();
      expect(endpoints.clusters['main']).toMatchObject({ host: '127.0.0.1', database: 'shop' });
      expect(JSON.stringify(endpoints)).not.toContain(new URL(company.environment.cluster.adminUrl).password);
      expect(served.output()).toContain('catalogs: shop, lake, system');
      const [applied] = await served.audit(
        "select count(*) as n from system.access.audit where kind = 'policy.apply'",
      );
      expect(Number(applied?.['n'])).toBe(1);
    } finally {
      await served.stop();
    }
    expect(served.output()).toMatch(/stopping\nstopped\n$/);
    expect(served.child.exitCode).toBe(0);
  });

  test('a later start goes on with what is in force and says that the folder differs', async () => {
    const file = join(policies, 'sample.yaml');
    const before = readFileSync(file, 'utf8');
    writeFileSync(file, before.replace('{ region: [EMEA] }', '{ region: [AMER] }'));
    const served = await serve(company, home, source);
    try {
      expect(served.output()).toContain('policy files differ from the policy in force');
      expect((await regions(served, 'ana@acme.test')).stdout).toBe('EMEA\n');
      expect((await served.writ('policy', 'apply')).code).toBe(0);
      expect((await regions(served, 'ana@acme.test')).stdout).toBe('AMER\n');
    } finally {
      await served.stop();
      writeFileSync(file, before);
    }
  });

  test.each([
    ['policy: { source: x }\nstroe: {}\n', /writ\.yaml:\d+:\d+: stroe: unknown key/],
    ['policy: { source: { git: x } }\n', /writ\.yaml:\d+:\d+: policy\.source\.trust: say whose signatures/],
    [
      'policy: { source: { git: x, trust: none, ref: "--upload-pack=touch /tmp/x" } }\n',
      /policy\.source\.ref: the name of a branch/,
    ],
    [`${source}store: { kind: postgres, url: x }\n`, /store\.kind: a store in Postgres cannot be served yet/],
    [
      'policy: { source: { git: { env: NOT_SET_ANYWHERE }, trust: none } }\n',
      /writ\.yaml:\d+:\d+: policy\.source\.git: environment variable NOT_SET_ANYWHERE is not set/,
    ],
    [
      'policy: { source: { git: "ext::sh -c touch% /tmp/x", trust: none } }\n',
      /policy\.source\.git: the repository is a path/,
    ],
    [
      'policy: { source: { git: x, trust: { allowedSigners: nowhere } } }\n',
      /policy\.source\.trust\.allowedSigners: file nowhere cannot be read/,
    ],
  ])('does not start and says where: %j', async (policy, where) => {
    await expect(serve(company, home, policy)).rejects.toThrow(where);
  });
});
