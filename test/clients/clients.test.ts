import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Company, run, startCompany } from '../whole/company.ts';

// Clients as they are, unmodified: psql, node-postgres, psycopg.

let company: Company;
beforeAll(async () => {
  company = await startCompany();
});
afterAll(() => company.stop());

test('psql: backslash commands, errors with position, a big result', async () => {
  const described = await company.psql('ana@acme.test', 'shop', '\\d\n\\dt\n\\dn\n\\conninfo\n');
  expect(described.stderr).toBe('');
  expect(described.stdout).toMatch(/customers/);
  const wrong = await company.psql('ana@acme.test', 'shop', 'select nope from customers');
  expect(wrong.stderr).toMatch(/42703/);
  expect(wrong.stderr).toMatch(/LINE 1: select nope from customers\n {15}\^/);
  const big = await company.psql(
    'sam@acme.test',
    'lake',
    'select order_id, customer_email from lake.sales.orders_history limit 200000',
  );
  expect(big.stdout.trim().split('\n')).toHaveLength(200_000);
});

describe('node-postgres', () => {
  test('parameters, prepared statements, binary results, pipelined errors, transactions, COPY', async () => {
    const ana = await company.connect('ana@acme.test', 'shop');
    expect((await ana.query('select $1::int + 1 as n', [41])).rows).toEqual([{ n: 42 }]);
    for (let i = 1; i <= 3; i++) {
      const { rows } = await ana.query({
        name: 'by-region',
        text: 'select distinct region from customers where id > $1',
        values: [i],
      });
      expect(rows).toEqual([{ region: 'EMEA' }]);
    }
    const answers = await Promise.allSettled([
      ana.query('select 1 as a'),
      ana.query('select * from nosuch'),
      ana.query('select 2 as b'),
    ]);
    expect(answers.map((answer) => answer.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await ana.query('begin');
    await expect(ana.query('drop table customers')).rejects.toMatchObject({ code: '42501' });
    await expect(ana.query('select 1')).rejects.toMatchObject({ code: '25P02' });
    await ana.query('rollback');
    expect(
      (
        await ana.query({ text: 'select count(*)::int as n from customers', rowMode: 'array' })
      ).rows.flat()[0],
    ).toBeGreaterThan(0);
    await ana.end();
  });

  test('the lake: parameters, prepared statements, types', async () => {
    const sam = await company.connect('sam@acme.test', 'lake');
    const { rows } = await sam.query(
      'select order_id, region, amount, ordered_at from lake.sales.orders_history where order_id = $1',
      [7],
    );
    expect(rows).toHaveLength(1);
    expect(rows[0].ordered_at).toBeInstanceOf(Date);
    expect(rows[0].amount).toMatch(/^\d+\.\d\d$/);
    await expect(sam.query("select * from read_csv('/etc/passwd')")).rejects.toMatchObject({ code: '0A000' });
    expect((await sam.query({ name: 'n', text: 'select count(*) as n from orders_history' })).rows[0].n).toBe(
      '1000000',
    );
    await sam.end();
  });

  test('cancel ends the statement with 57014, the session goes on', async () => {
    const sam = await company.connect('sam@acme.test', 'shop');
    const other = new pg.Client();
    const slow = sam.query('select pg_sleep(30)').then(
      () => 'ran',
      (error: { code?: string }) => error.code,
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { processID, secretKey } = sam as unknown as { processID: number; secretKey: number };
    (
      other as unknown as {
        connection: {
          connect(port: number, host: string): void;
          on(event: string, then: () => void): void;
          cancel(pid: number, key: number): void;
        };
      }
    ).connection.connect(company.endpoints.postgres.port, company.endpoints.postgres.host);
    await new Promise<void>((resolve) => {
      const { connection } = other as unknown as {
        connection: { on(event: string, then: () => void): void; cancel(pid: number, key: number): void };
      };
      connection.on('connect', () => {
        connection.cancel(processID, secretKey);
        resolve();
      });
    });
    expect(await slow).toBe('57014');
    expect((await sam.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await sam.end();
  });
});

const python = spawnSync('python3', ['-c', 'import venv, ensurepip']).status === 0;
const psycopgTest = python ? test : test.skip;

psycopgTest(
  `psycopg from PyPI${python ? '' : ' (skipped: python3 with venv is not installed)'}`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'writ-psycopg-'));
    try {
      execFileSync('python3', ['-m', 'venv', folder]);
      execFileSync(
        join(folder, 'bin', 'pip'),
        ['install', '--quiet', '--disable-pip-version-check', 'psycopg[binary]'],
        { stdio: 'ignore' },
      );
      writeFileSync(join(folder, 'check.py'), psycopgProgram);
      const issued = await company.writ('credentials', 'shop', '--as', 'ana@acme.test', '--json');
      const { host, port, user, password } = JSON.parse(issued.stdout) as {
        host: string;
        port: number;
        user: string;
        password: string;
      };
      const ran = await run(join(folder, 'bin', 'python'), [join(folder, 'check.py')], {
        ...process.env,
        PGHOST: host,
        PGPORT: String(port),
        PGUSER: user,
        PGPASSWORD: password,
        PGDATABASE: 'shop',
        PGSSLMODE: 'verify-ca',
        PGSSLROOTCERT: company.endpoints.postgres.caFile,
      });
      expect(ran.stderr).toBe('');
      expect(ran.stdout.trim().split('\n').at(-1)).toBe('fine');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

const psycopgProgram = `
import psycopg
with psycopg.connect("") as conn:
    assert conn.execute("select distinct region from customers").fetchall() == [("EMEA",)]
    for binary in (False, True):
        cur = conn.cursor(binary=binary)
        assert cur.execute("select id, email, created_at from customers where id > %s order by id limit 2", (1,)).fetchall()[0][1].endswith("***@***")
    with conn.cursor() as cur:
        with cur.copy("copy (select id, email from customers) to stdout") as copy:
            rows = [row for row in copy.rows()]
    assert rows and all(row[1].endswith("***@***") for row in rows)
    conn.commit()
    with conn.pipeline():
        a = conn.execute("select 1")
        b = conn.execute("select count(*) from customers")
    assert a.fetchone() == (1,) and b.fetchone()[0] > 0
    with conn.cursor(name="server_side") as cur:
        cur.itersize = 100
        cur.execute("select region from customers")
        assert {row[0] for row in cur} == {"EMEA"}
    try:
        conn.execute("truncate customers")
        raise AssertionError("truncate went through")
    except psycopg.errors.InsufficientPrivilege:
        conn.rollback()
    for _ in range(8):
        conn.execute("select email from customers where id = %s", (3,), prepare=True)
print("fine")
`;
