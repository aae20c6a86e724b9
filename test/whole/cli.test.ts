import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Company, type Ran, run, startCompany } from './company.ts';

// The command line as people and scripts meet it: exit codes, words of errors, what is said at start and stop.

const root = join(import.meta.dirname, '..', '..');
const main = join(inject('dist'), 'main.js');
const folder = mkdtempSync(join(tmpdir(), 'writ-cli-'));
const policies = join(folder, 'policies');
const broken = join(folder, 'broken');

let company: Company;
beforeAll(async () => {
  cpSync(join(root, 'policies'), policies, { recursive: true });
  cpSync(join(root, 'policies'), broken, { recursive: true });
  writeFileSync(
    join(broken, 'extra.yaml'),
    'kind: grants\ngrants:\n  - to: [nosuchgroup]\n    privileges: [SELECT]\n    on: [shop]\n',
  );
  company = await startCompany({
    home: join(folder, 'home'),
    keepHome: true,
    env: { WRIT_POLICIES: policies },
  });
});
afterAll(async () => {
  await company.stop();
  rmSync(folder, { recursive: true, force: true });
});

const writ = (...args: string[]) => company.writ(...args);
/** Without the instance: an own home, nothing listens. */
const alone = (env: Record<string, string>, ...args: string[]) =>
  run(process.execPath, [main, ...args], {
    ...process.env,
    WRIT_HOME: join(folder, 'nothing-here'),
    WRIT_HTTP_PORT: '0',
    WRIT_PG_PORT: '0',
    WRIT_CLUSTER_PORT: '0',
    WRIT_IDP_PORT: '0',
    ...env,
  });

function expectError(ran: Ran, code: number, words: RegExp): void {
  expect(ran.stderr).toMatch(words);
  expect(ran.stderr).not.toMatch(/internal error|\n\s+at |\{"/);
  expect(ran.code).toBe(code);
}

describe('exit codes', () => {
  test('0: fine', async () => {
    expect(await writ('whoami')).toMatchObject({ code: 0, stdout: 'operator (all users)\n' });
    expect((await writ('whoami', '--as', 'ana@acme.test')).stdout).toMatch(/^ana@acme\.test \(.*analysts/);
    expect(await writ('policy', 'plan')).toMatchObject({ code: 0 });
    expect(await writ('policy', 'lint')).toMatchObject({ code: 0 });
    expect(await writ('sync', 'drift')).toMatchObject({ code: 0, stdout: 'no drift\n' });
    const version = await writ('--version');
    expect(version.code).toBe(0);
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test('1: findings, refusals', async () => {
    const lint = await writ('policy', 'lint', '--policies', broken);
    expect(lint.code).toBe(1);
    expect(lint.stdout).toMatch(/^extra\.yaml:3:\d+ error unknown-principal .*nosuchgroup/m);
    expect((await writ('policy', 'plan', '--policies', broken)).code).toBe(1);
    expect((await writ('policy', 'plan', '--as', 'ana@acme.test')).code).toBe(1);
  });

  test('2: something would change', async () => {
    const changed = join(folder, 'changed');
    cpSync(policies, changed, { recursive: true });
    const grant =
      'kind: grants\ngrants:\n  - to: [zoe@acme.test]\n    privileges: [BROWSE]\n    on: [shop]\n';
    writeFileSync(join(changed, 'more.yaml'), grant);
    expect((await writ('policy', 'plan', '--policies', changed)).code).toBe(2);
  });

  test('64: words that mean nothing', async () => {
    expect((await writ('polcy')).code).toBe(64);
    expect((await writ('policy', 'explain', 'ana@acme.test', 'READ', 'shop')).code).toBe(64);
    expectError(await writ('whoami', '--server', 'nonsense'), 64, /--server is "nonsense", expected a URL/);
    expectError(await alone({ WRIT_PG_PORT: 'many' }, 'whoami'), 64, /WRIT_PG_PORT is "many"/);
    expectError(await alone({ WRIT_HOME: join(root, 'package.json') }, 'dev'), 64, /WRIT_HOME.*is a file/);
  });
});

describe('signing in', () => {
  test('the token of this machine is for this machine only', async () => {
    const foreign = ['--server', 'http://127.0.0.1:9'];
    expectError(await writ('token', '--as', 'ana@acme.test', ...foreign), 64, /why: .*not at http:\/\/127/);
    expectError(await writ('whoami', ...foreign), 64, /nobody can be signed in at http:\/\/127\.0\.0\.1:9/);
    expect((await writ('whoami', '--server', company.endpoints.http)).code).toBe(0);
  });

  test('somebody whom nobody knows; nobody at all', async () => {
    expectError(
      await writ('token', '--as', 'ghost'),
      1,
      /no token for ghost\n {2}why: .*nobody named "ghost"\n {2}do: .*ana@acme\.test/,
    );
    expectError(await writ('token'), 64, /whose token\?/);
    expectError(await writ('psql', 'shop'), 64, /whose session\?[\s\S]*writ psql shop --as/);
  });

  test('credentials: a catalog that is not there, lifetimes that are none', async () => {
    for (const as of [[], ['--as', 'ana@acme.test']])
      expectError(await writ('credentials', 'nosuch', ...as), 1, /catalog nosuch does not exist/);
    expectError(await writ('credentials', 'system', '--as', 'ana@acme.test'), 1, /permission denied/);
    const ana = ['credentials', 'shop', '--as', 'ana@acme.test', '--lifetime'];
    expectError(await writ(...ana, '0'), 64, /^writ: lifetimeSeconds: must be at least 1$/m);
    expectError(await writ(...ana, '1.5'), 64, /lifetimeSeconds: must be a whole number/);
    expectError(await writ(...ana, 'long'), 64, /--lifetime is "long", expected a number of seconds/);
    expectError(await writ(...ana, '99999999'), 64, /43200 seconds at most/);
    expect((await writ('credentials', '--help')).stdout.replaceAll(/\s+/g, ' ')).toMatch(
      /3600, at most 43200; with --direct 900, at most 3600/,
    );
  });
});

describe('policy', () => {
  test('explain: allowed, denied, about nobody, about nothing', async () => {
    const explain = (...args: string[]) => writ('policy', 'explain', ...args);
    expect((await explain('ana@acme.test', 'SELECT', 'shop.public.customers')).code).toBe(0);
    expect(await explain('ana@acme.test', 'SELECT', 'system.access.audit')).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^ana@acme\.test may not SELECT/),
    });
    const customers = 'shop.public.customers';
    const never = await explain('nina@acme.test', 'SELECT', customers);
    expect(never.code).toBe(1);
    expect(never.stdout).toMatch(/^nina@acme\.test may not SELECT on shop\.public\.customers\n.*USE CATALOG/);
    expect(never.stdout).toMatch(
      /no policy file names nina@acme\.test and they never signed in, did you mean/,
    );
    expectError(await explain('et', 'SELECT', customers), 1, /nobody is named et, did you mean "etl"\?/);
    expectError(
      await writ('policy', 'what-can', 'anna@acme.test', 'SELECT'),
      1,
      /nobody is named anna@acme\.test, did you mean "ana@acme\.test"\?/,
    );
    expectError(await explain('analysts', 'SELECT', customers), 1, /analysts is a group/);
    expectError(
      await explain('ana@acme.test', 'SELECT', 'shop.public.custmers'),
      1,
      /no such table shop\.public\.custmers, did you mean "customers"\?/,
    );
    expectError(await explain('ana@acme.test', 'SELECT', `${customers}.nosuch`), 1, /no such column/);
    const own = (on: string) => explain('ana@acme.test', 'SELECT', on, '--as', 'ana@acme.test');
    expectError(await own('shop.public.nosuch'), 1, /there is no shop\.public\.nosuch$/m);
    // A catalog that she may not enter answers alike for what is there and what is not.
    expect((await own('system.access.nosuch')).stdout).toMatch(/may not SELECT/);
    expectError(await writ('policy', 'who-can', 'SELECT', 'nosuch'), 1, /no such catalog nosuch/);
  });

  test('a saved plan is applied; anything else is none', async () => {
    const plan = join(folder, 'plan.json');
    expect((await writ('policy', 'plan', '--out', plan)).code).toBe(0);
    expect((await writ('policy', 'apply', plan)).code).toBe(0);
    expectError(await writ('policy', 'apply', join(root, 'package.json')), 64, /is no saved plan/);
  });

  test('a file that cannot be written is named, as JSON too', async () => {
    const nowhere = join(folder, 'no', 'such', 'file.json');
    expectError(await writ('policy', 'plan', '--out', nowhere), 64, /file\.json cannot be written/);
    const asJson = await writ('catalog', 'export', '--out', nowhere, '--json');
    expect(asJson.code).toBe(64);
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      error_code: 'invalid_argument',
      message: `${nowhere} cannot be written`,
    });
  });

  test('nobody and nothing are answers; a group is nobody to ask about', async () => {
    const pat = await writ('policy', 'what-can', 'pat@acme.test', 'SELECT');
    expect(pat).toMatchObject({ code: 0, stdout: 'nothing\n' });
    const who = await writ('policy', 'who-can', 'EXECUTE', 'shop.public.customers');
    expect(who).toMatchObject({ code: 0, stdout: 'nobody\n' });
    const group = await writ('policy', 'what-can', 'analysts', 'SELECT');
    expectError(group, 1, /analysts is a group: name one of its people/);
    expect(group.stderr).not.toContain('no policy file names them');
  });

  test('what passes several gates is said once', async () => {
    const owner = await writ('policy', 'explain', 'pat@acme.test', 'MANAGE', 'shop.public.orders');
    expect(owner.stdout.match(/platform owns shop/g)).toHaveLength(1);
  });

  test('a command in a folder without policies never takes the sample for them', async () => {
    const elsewhere = mkdtempSync(join(folder, 'elsewhere-'));
    for (const words of ['policy lint', 'policy fmt', 'policy fmt --check'])
      expectError(
        await run('bash', ['-c', `cd "${elsewhere}" && "${process.execPath}" "${main}" ${words}`], {
          ...process.env,
          WRIT_HOME: join(folder, 'nothing-here'),
          WRIT_POLICIES: '',
        }),
        1,
        /elsewhere-\w+\/policies cannot be read[\s\S]*--policies FOLDER/,
      );
  });

  test('lint without an instance checks what can be checked, and says what was not', async () => {
    const fine = await alone({ WRIT_POLICIES: policies }, 'policy', 'lint');
    expect(fine).toMatchObject({ code: 0, stdout: 'no findings\n' });
    expect(fine.stderr).toMatch(/no instance runs.*were not checked/);
    const found = await alone({}, 'policy', 'lint', '--policies', broken);
    expect(found.code).toBe(1);
    expect(found.stdout).toMatch(/^extra\.yaml:3:\d+ error unknown-principal/m);
    expectError(await alone({}, 'policy', 'plan'), 1, /no running instance found/);
  });
});

describe('catalog and clusters', () => {
  test('ls, describe, discover', async () => {
    expect((await writ('catalog', 'ls', 'shop.public')).stdout).toMatch(/^shop\.public\.customers +TABLE/m);
    const described = await writ('catalog', 'describe', 'shop.public.customers');
    expect(described.stdout).toMatch(/^email +text/m);
    expectError(await writ('catalog', 'describe', 'shop.public.nosuch'), 1, /there is no/);
    expect(await writ('catalog', 'discover', 'shop')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^shop: \d+ tables, unchanged/),
    });
    expectError(await writ('catalog', 'discover', 'nosuch'), 1, /there is no catalog nosuch/);
  });

  test('doctor names the object; harden knows its findings; 1 while a way is open, 2 while a plan is', async () => {
    expect((await writ('cluster', 'doctor')).code).toBe(0);
    const admin = await company.admin();
    await admin.query('grant select on public.customers to public');
    const open = await writ('cluster', 'doctor');
    expect(open.code).toBe(1);
    const findings = JSON.parse((await writ('cluster', 'doctor', '--json')).stdout) as {
      findings: { id: string; severity: string; where: string }[];
    };
    for (const { where } of findings.findings) expect(open.stdout).toContain(`\n    ${where}\n`);
    expectError(
      await writ('cluster', 'harden', 'main', '--only', 'nosuch'),
      1,
      /no finding nosuch[\s\S]*there are: /,
    );
    expectError(await writ('cluster', 'harden', '--accept', 'nosuch'), 1, /no finding nosuch/);
    expectError(await writ('cluster', 'doctor', 'nosuch'), 1, /no cluster nosuch/);
    expect((await writ('cluster', 'harden')).code).toBe(2);
    expect((await writ('cluster', 'harden', '--apply')).code).toBe(0);
    expect((await writ('cluster', 'doctor')).code).toBe(0);
    await admin.end();
  });

  test('pause and resume', async () => {
    const table = 'shop.public.customers';
    const read = 'select count(*) from customers';
    expect(await writ('sync', 'pause', table)).toMatchObject({ code: 0, stdout: `paused ${table}\n` });
    expect(await writ('sync', 'resume', table)).toMatchObject({ code: 0, stdout: `resumed ${table}\n` });
    expect((await company.psql('ana@acme.test', 'shop', read)).code).toBe(0);
    expect((await writ('sync', 'pause', 'shop.public.nosuch')).code).toBe(1);
    expect((await writ('sync', 'pause', '--help')).stdout).toContain('<catalog.schema.table>');
  });
});

describe('output', () => {
  test('numbers are numbers in JSON', async () => {
    const text =
      'select count(*) as n, max(duration_ms) as longest, 1.5::double as x, min(kind) as kind from system.access.audit';
    const { stdout } = await writ('audit', 'query', text, '--json');
    const { rows } = JSON.parse(stdout) as { rows: unknown[][] };
    expect(rows[0]).toEqual([expect.any(Number), expect.anything(), 1.5, expect.any(String)]);
  });

  test('settings as JSON', async () => {
    const rows = JSON.parse((await writ('config', 'settings', '--json')).stdout) as { variable: string }[];
    expect(rows.map((row) => row.variable)).toContain('WRIT_HOME');
  });

  test('DDL is refused with who does it instead', async () => {
    const { stderr } = await company.psql('ana@acme.test', 'shop', 'create table t (a int)');
    expect(stderr).toMatch(
      /schema changes are the owner's[\s\S]*run migrations as the application's own role/,
    );
  });
});

describe('start and stop', () => {
  test('what is printed to paste finds this instance and asks something that is there', async () => {
    const welcome = company.output();
    expect(welcome).toContain(`WRIT_HOME=${company.home} npx writ psql shop --as ana@acme.test`);
    const audit = /-c "(select event_time[^"]+)"/.exec(welcome)?.[1] ?? '';
    await company.psql('ana@acme.test', 'shop', 'select 1');
    const answer = await company.psql('carla@acme.test', 'system', audit);
    expect(answer.code, answer.stderr).toBe(0);
    expect(answer.stdout).toMatch(/ana@acme\.test/);
  });

  test('a first start with broken files starts nothing and names every place', async () => {
    const home = join(folder, 'broken-home');
    const ran = await alone({ WRIT_HOME: home, WRIT_POLICIES: broken }, 'dev');
    expectError(ran, 1, /do not compile: 1 error\n {2}why: extra\.yaml:3:\d+ error unknown-principal/);
    expect((await run('ls', [join(home, 'cluster')], process.env)).code).not.toBe(0);
  });

  test.each(['WRIT_HTTP_PORT', 'WRIT_PG_PORT'])('%s in use', async (name) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const ran = await alone({ [name]: String(port) }, 'dev');
    server.close();
    expectError(ran, 1, new RegExp(`port ${port} .*is in use\\n.*set ${name}`));
  });

  test('stop says so; a restart goes on with the last good policy and tells when the files say otherwise', async () => {
    expect(company.output()).not.toMatch(/policy files/);
    for (const [text, words] of [
      ['kind: [broken\n', /^policy files do not compile; in force: [0-9a-f]{8}; run `writ policy plan`$/m],
      [
        '# a comment\n',
        /^policy files differ from the policy in force; in force: .*run `writ policy plan`$/m,
      ],
    ] as const) {
      writeFileSync(join(policies, 'late.yaml'), text);
      await company.stop();
      await expect.poll(() => company.output()).toMatch(/stopping\nstopped\n$/);
      company = await startCompany({ home: company.home, keepHome: true, env: { WRIT_POLICIES: policies } });
      await expect.poll(() => company.output()).toMatch(words);
      expect((await company.psql('ana@acme.test', 'shop', 'select 1')).stdout.trim()).toBe('1');
    }
    rmSync(policies, { recursive: true });
    await company.stop();
    company = await startCompany({ home: company.home, keepHome: true, env: { WRIT_POLICIES: policies } });
    await expect.poll(() => company.output()).toMatch(/^policy files cannot be read .*in force: /m);
  });
});

describe('policy files without an instance', () => {
  test('lint against an exported catalog finds what the instance finds', async () => {
    const catalog = join(folder, 'catalog.json');
    expect(await writ('catalog', 'export', '--out', catalog)).toMatchObject({ code: 0 });
    expectError(await writ('catalog', 'export', '--as', 'ana@acme.test'), 1, /permission denied|may not/);
    const wrong = join(folder, 'wrong');
    mkdirSync(wrong, { recursive: true });
    const text = readFileSync(join(root, 'policies', 'sample.yaml'), 'utf8');
    writeFileSync(
      join(wrong, 'sample.yaml'),
      text.replace('shop.public.orders, to', 'shop.public.order, to'),
    );
    const found = await alone({}, 'policy', 'lint', '--policies', wrong, '--catalog', catalog);
    expect(found).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/unknown-securable no such table/),
    });
    expect(found.stdout).toBe((await writ('policy', 'lint', '--policies', wrong)).stdout);
    const fine = await alone(
      { WRIT_POLICIES: join(root, 'policies') },
      'policy',
      'lint',
      '--catalog',
      catalog,
    );
    expect(fine).toMatchObject({ code: 0, stdout: 'no findings\n' });
    expectError(
      await alone({}, 'policy', 'lint', '--catalog', join(root, 'package.json')),
      64,
      /no exported/,
    );
  });

  test('lint as SARIF', async () => {
    const found = await alone({}, 'policy', 'lint', '--policies', broken, '--format', 'sarif');
    expect(found.code).toBe(1);
    expect(JSON.parse(found.stdout)).toMatchObject({
      version: '2.1.0',
      runs: [{ results: expect.arrayContaining([expect.objectContaining({ ruleId: 'unknown-principal' })]) }],
    });
  });

  test('fmt: the sample stays; what would change is listed, then written; what is no YAML is left', async () => {
    expect(await alone({}, 'policy', 'fmt', '--check', '--policies', join(root, 'policies'))).toMatchObject({
      code: 0,
    });
    const ugly = join(folder, 'ugly');
    mkdirSync(ugly, { recursive: true });
    writeFileSync(join(ugly, 'a.yaml'), 'tags: {a:  {}}  # why\nkind: tags');
    writeFileSync(join(ugly, 'b.yaml'), 'kind: [');
    const checked = await alone({}, 'policy', 'fmt', '--check', '--policies', ugly);
    expect(checked).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^a\.yaml would change\nb\.yaml:1:\d+ left/),
    });
    expect((await alone({}, 'policy', 'fmt', '--policies', ugly)).code).toBe(1);
    expect(readFileSync(join(ugly, 'a.yaml'), 'utf8')).toBe('kind: tags\ntags: { a: {} }  # why\n');
    expect(readFileSync(join(ugly, 'b.yaml'), 'utf8')).toBe('kind: [');
  });

  test('fmt: a link out of the folder is not written through', async () => {
    const ugly = join(folder, 'linked');
    mkdirSync(ugly);
    const elsewhere = join(folder, 'elsewhere.yaml');
    writeFileSync(elsewhere, 'tags: {a:  {}}\nkind: tags');
    symlinkSync(elsewhere, join(ugly, 'c.yaml'));
    expect((await alone({}, 'policy', 'fmt', '--policies', ugly)).stderr).toContain('c.yaml is a link out');
    expect(readFileSync(elsewhere, 'utf8')).toBe('tags: {a:  {}}\nkind: tags');
  });
});
