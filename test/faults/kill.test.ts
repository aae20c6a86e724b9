import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, expect, inject, test } from 'vitest';
import { type Company, startCompany, stopProcess } from '../whole/company.ts';

// The gateway is killed in the middle of its work. What a client has seen is on record, and the record holds.

let company: Company | undefined;
afterAll(async () => {
  await company?.stop();
});

/** Statements whose rows the clients received, as marks that survive redaction: each is a column alias of its own. */
async function load(clients: readonly pg.Client[], seen: Set<string>, stop: () => boolean): Promise<void> {
  await Promise.all(
    clients.map(async (client, i) => {
      for (let n = 0; !stop(); n++) {
        const mark = `mark_${i}_${n}`;
        try {
          const { fields } = await client.query(`select id as ${mark} from customers limit 3`);
          for (const field of fields) seen.add(field.name);
        } catch {
          return;
        }
      }
    }),
  );
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
};

async function postmaster(of: Company): Promise<number> {
  const admin = await of.admin();
  const { rows } = await admin.query(
    "select (string_to_array(pg_read_file('postmaster.pid'), E'\\n'))[1]::int as pid",
  );
  await admin.end();
  return rows[0].pid as number;
}

const gone = async (pid: number, withinMs: number) => {
  for (const until = Date.now() + withinMs; Date.now() < until; ) {
    if (!alive(pid)) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return !alive(pid);
};

test('kill -9 under load: no orphan, the record is whole and holds every statement whose rows were seen', async () => {
  company = await startCompany({ keepHome: true });
  const { home } = company;
  const postgres = await postmaster(company);
  const seen = new Set<string>();
  const clients = (await Promise.all(
    Array.from({ length: 6 }, () => company?.connect('ana@acme.test', 'shop')),
  )) as pg.Client[];
  let stopped = false;
  const loading = load(clients, seen, () => stopped);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await stopProcess(company.process, 'SIGKILL');
  stopped = true;
  await loading;
  expect(seen.size).toBeGreaterThan(50);
  expect(await gone(postgres, 15_000), 'Postgres outlived its parent').toBe(true);

  company = await startCompany({ home });
  const verified = await company.writ('audit', 'verify');
  expect(verified.stdout + verified.stderr).toMatch(/^whole/);
  const recorded = await company.writ(
    'audit',
    'query',
    "select distinct regexp_extract(statement, 'mark_[0-9_]+') as mark from system.access.audit where statement like '%mark_%'",
    '--json',
  );
  expect(recorded.stderr).toBe('');
  const marks = new Set((JSON.parse(recorded.stdout) as { rows: string[][] }).rows.map((row) => row[0]));
  expect([...seen].filter((mark) => !marks.has(mark))).toEqual([]);
  const after = await company.psql('ana@acme.test', 'shop', 'select count(*) from customers');
  expect(Number(after.stdout)).toBeGreaterThan(0);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} stops everything; a second start finds its data`, async () => {
    await company?.stop();
    company = await startCompany({ keepHome: true });
    const { home } = company;
    await company.psql(
      'etl',
      'shop',
      "insert into orders (id, customer_id, region, amount, ordered_at) values (700001, 1, 'EMEA', 5, now())",
    );
    const postgres = await postmaster(company);
    await company.stop(signal);
    expect(await gone(postgres, 10_000)).toBe(true);
    company = await startCompany({ home });
    const again = await company.psql('etl', 'shop', 'select amount::int from orders where id = 700001');
    expect(again.stdout.trim()).toBe('5');
    expect((await company.writ('sync', 'plan')).code).toBe(0);
  });
}

test('a port in use gives a clear error and stops what was started', async () => {
  const running = company;
  if (running === undefined) throw new Error('no instance');
  const port = String(running.endpoints.postgres.port);
  await expect(startCompany({ env: { WRIT_PG_PORT: port } })).rejects.toThrow(
    new RegExp(`${port}.*(in use|WRIT_PG_PORT)|WRIT_PG_PORT.*${port}`, 's'),
  );
});

test('tables that the policy does not fit stop neither a restart nor a first sign-in', async () => {
  await company?.stop();
  company = await startCompany({ keepHome: true });
  const { home } = company;
  const admin = await company.admin();
  await admin.query('create table public.leads (id int, email text)');
  await admin.query('grant select on public.leads to shop_app');
  await admin.end();
  const discovered = await company.writ('catalog', 'discover', 'shop');
  expect(discovered.code).toBe(1);
  expect(discovered.stderr).toMatch(/leads\.email/);
  const omar = await company.psql('omar@acme.test', 'shop', 'select distinct region from customers');
  expect(omar.stdout.trim()).toBe('APAC');
  await company.stop();
  company = await startCompany({ home });
  // endpoints.json is written a moment before the words are printed.
  await expect.poll(() => company?.output(), { timeout: 5_000 }).toMatch(/leads\.email/);
  const ana = await company.psql('ana@acme.test', 'shop', 'select distinct region from customers');
  expect(ana.stdout.trim()).toBe('EMEA');
  expect((await company.psql('ana@acme.test', 'shop', 'select * from leads')).stderr).toMatch(/42P01/);
});

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`${signal} to npm itself, as whoever typed \`npm start\` sends it, leaves nothing behind`, async () => {
    const home = mkdtempSync(join(tmpdir(), 'writ-npm-'));
    const ports = { WRIT_HTTP_PORT: '0', WRIT_PG_PORT: '0', WRIT_CLUSTER_PORT: '0', WRIT_IDP_PORT: '0' };
    const { start } = JSON.parse(readFileSync('package.json', 'utf8')).scripts as { start: string };
    expect(start).toBe('exec node dist/main.js dev');
    // The script as npm runs it, on the program built for this run.
    const folder = mkdtempSync(join(tmpdir(), 'writ-npm-package-'));
    const script = start.replace('dist/main.js', join(inject('dist'), 'main.js'));
    writeFileSync(
      join(folder, 'package.json'),
      JSON.stringify({ name: 'starts-writ', scripts: { start: script } }),
    );
    const npm = spawn('npm', ['start'], {
      cwd: folder,
      env: { ...process.env, ...ports, WRIT_HOME: home },
      stdio: 'ignore',
    });
    const file = join(home, 'endpoints.json');
    await expect.poll(() => existsSync(file), { timeout: 30_000 }).toBe(true);
    const { pid } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number };
    npm.kill(signal);
    expect(await gone(pid, 15_000)).toBe(true);
    expect(existsSync(file)).toBe(false);
    for (const each of [home, folder]) rmSync(each, { recursive: true, force: true });
  });
}
