import { execFile } from 'node:child_process';
import type { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OpenAuditLog, openAuditLog } from '../../../src/audit/log.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { type GovernedLakeEngine, openLakeEngine } from '../../../src/lake/open-engine.ts';
import type { Snapshot } from '../../../src/policy/model.ts';
import { lake, makeLake, sampleSnapshot, system } from '../../lake/sample.ts';
import { type LakeDoor, openLakeDoor } from './lake-door.ts';
import { PortalReader } from './portal-reader.ts';

let location: string;
let audit: OpenAuditLog;
let engine: GovernedLakeEngine;
let snapshot: Snapshot;
let doors: { lake: LakeDoor; system: LakeDoor };

beforeAll(async () => {
  location = await makeLake(3_000);
  const folder = mkdtempSync(join(tmpdir(), 'writ-test-audit-'));
  audit = openAuditLog({ folder, writer: 'test', clock: systemClock });
  engine = openLakeEngine({ limits: { spares: 2 } });
  snapshot = await sampleSnapshot({ lake: location, audit: folder });
  const shared = { engine, audit, snapshot: () => snapshot };
  doors = {
    lake: await openLakeDoor({ ...shared, catalog: lake }),
    system: await openLakeDoor({ ...shared, catalog: system }),
  };
}, 60_000);

afterAll(async () => {
  await doors?.lake.close();
  await doors?.system.close();
  await engine?.close();
  await audit?.close();
  rmSync(location, { recursive: true, force: true });
  rmSync(audit.folder, { recursive: true, force: true });
});

async function as<T>(
  user: string,
  work: (client: pg.Client) => Promise<T>,
  door: LakeDoor = doors.lake,
): Promise<T> {
  const client = new pg.Client({ host: '127.0.0.1', port: door.port, user, database: 'lake', password: 'x' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Not the synchronous form: the door is served by this very process. */
function psql(args: readonly string[], user = 'ana@acme.test', door = doors.lake): Promise<string> {
  const at = `host=127.0.0.1 port=${door.port} user=${user} dbname=lake sslmode=disable`;
  return new Promise((resolve) => {
    execFile('psql', [at, '-XAtq', ...args], { encoding: 'utf8' }, (_error, stdout, stderr) =>
      resolve(stdout + stderr),
    );
  });
}

describe('node-postgres', () => {
  it('reads what the policy shows, typed', async () => {
    const { rows } = await as('ana@acme.test', (c) =>
      c.query('select region, customer_email, count(*)::int as n from sales.orders_history group by all'),
    );
    expect(rows).toEqual([{ region: 'EMEA', customer_email: 'u***@***', n: 1000 }]);
  });

  it('binds parameters', async () => {
    const { rows } = await as('sam@acme.test', (c) =>
      c.query(
        'select order_id, customer_email from orders_history where order_id = $1 and region = any($2::varchar[])',
        [7, ['APAC', 'AMER']],
      ),
    );
    expect(rows).toEqual([{ order_id: '7', customer_email: 'user7@acme.test' }]);
    const some = await as('sam@acme.test', (c) =>
      c.query(
        'select order_id from orders_history where order_id = any($1) and region = any($2) order by 1',
        [
          [1, 2, 3],
          ['APAC', 'AMER'],
        ],
      ),
    );
    expect(some.rows).toEqual([{ order_id: '1' }, { order_id: '2' }]);
  });

  it('reads binary results', async () => {
    const text = `select true as b, 1::smallint as i2, 2 as i4, 3::bigint as i8, 1.5::double as f8, 'x' as t,
      date '2024-02-29' as d, [1, null] as a, -12345.678::decimal(12, 3) as n, timestamptz '2024-01-01 00:00:00.25+00' as z`;
    const query = { text, binary: true } as pg.QueryConfig;
    const plain = await as('ana@acme.test', (c) => c.query(text));
    const { rows } = await as('ana@acme.test', (c) => c.query(query));
    const { d: plainDay, ...plainRest } = plain.rows[0];
    const { d: day, ...rest } = rows[0];
    expect({ ...rest, n: Number(rest.n), t: String(rest.t) }).toEqual({
      ...plainRest,
      n: Number(plainRest.n),
    });
    expect(plainDay).toBeInstanceOf(Date);
    expect(day).toBeDefined();
  });

  it('denies nina, naming the gate, and whom to ask', async () => {
    const asked = as('nina@acme.test', (c) => c.query('select * from sales.orders_history'));
    await expect(asked).rejects.toMatchObject({
      code: '42501',
      message: 'permission denied for table orders_history',
      detail: 'no USE CATALOG on lake',
      hint: expect.stringContaining('platform'),
    });
  });

  it('goes on after errors', async () => {
    await as('ana@acme.test', async (c) => {
      await expect(c.query('selec 1')).rejects.toMatchObject({ code: '42601', position: '1' });
      await expect(c.query('select nope from orders_history')).rejects.toMatchObject({ code: '42703' });
      await expect(c.query('select * from nowhere')).rejects.toMatchObject({ code: '42P01' });
      await expect(c.query("select * from 'x.parquet' where $1", [1])).rejects.toMatchObject({
        code: '42P01',
      });
      await expect(c.query('delete from orders_history')).rejects.toMatchObject({ code: '0A000' });
      expect((await c.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    });
  });

  it('keeps transactions as Postgres does', async () => {
    await as('ana@acme.test', async (c) => {
      await c.query('begin');
      await expect(c.query('selec')).rejects.toMatchObject({ code: '42601' });
      await expect(c.query('select 1')).rejects.toMatchObject({ code: '25P02' });
      expect((await c.query('commit')).command).toBe('ROLLBACK');
      expect((await c.query('select 1 as one')).rows).toHaveLength(1);
    });
  });

  it('answers what drivers ask when they connect', async () => {
    await as('ana@acme.test', async (c) => {
      await c.query('SET extra_float_digits = 3');
      await c.query("SET application_name = 'x'");
      expect((await c.query('SHOW application_name')).rows).toEqual([{ application_name: 'x' }]);
      expect((await c.query('show transaction isolation level')).rows).toEqual([
        { transaction_isolation: 'read committed' },
      ]);
      expect((await c.query('select current_schema() as s, current_user as u')).rows).toEqual([
        { s: 'sales', u: 'ana@acme.test' },
      ]);
      expect((await c.query('select version() as v')).rows[0].v).toMatch(/^PostgreSQL/);
      await c.query('DISCARD ALL');
      await expect(c.query("SET timezone = 'Europe/Berlin'")).rejects.toMatchObject({ code: '0A000' });
      await expect(c.query('SET role = sam')).rejects.toMatchObject({ code: '42501' });
    });
  });

  it('cancels', async () => {
    await as('omar@acme.test', async (c) => {
      await c.query('SET statement_timeout = 300');
      const slow = c.query("select count(*) from range(100000000000) t(i) where md5(i::varchar) = 'x'");
      await expect(slow).rejects.toMatchObject({ code: '57014' });
      expect((await c.query('select 1 as one')).rows).toHaveLength(1);
    });
  });
});

describe('psql', () => {
  it('reads, several statements at once', async () => {
    expect(await psql(['-c', 'select 1; select count(*) from orders_history'])).toBe('1\n1000\n');
  });

  it('copies out', async () => {
    const text =
      "copy (select region, null as n, 'a,\"b' as q from orders_history limit 1) to stdout with (format csv, header)";
    expect(await psql(['-c', text])).toBe('region,n,q\nEMEA,,"a,""b"\n');
    expect(
      await psql(['-c', 'copy orders_history (region) to stdout']).then((out) => out.split('\n').length),
    ).toBe(1001);
  });

  it.each([
    ['\\d', 'lake'],
    ['\\dt', 'lake'],
    ['\\l', 'lake'],
    ['\\dn', 'lake'],
    ['\\d orders_history', 'lake'],
    ['\\dt', 'system'],
    ['\\d access.audit', 'system'],
    ['\\l', 'system'],
    ['\\dn', 'system'],
  ] as const)('%s on %s is refused in one way', async (command, where) => {
    const said = await psql(['-v', 'VERBOSITY=verbose', '-c', command], 'carla@acme.test', doors[where]);
    expect(said.split('\n').filter((line) => line !== '')).toEqual([
      `ERROR:  0A000: the catalog ${where} has no pg_catalog`,
      "DETAIL:  psql's \\d, \\dt, \\l, \\dn and the like read it.",
      `HINT:  \`writ catalog ls ${where}\` lists tables; pg_catalog is not emulated on ${where} catalogs`,
    ]);
  });

  it.each([
    [
      'show tables',
      'SHOW TABLES is not supported on the lake',
      '`writ catalog ls lake` lists tables; DESCRIBE',
    ],
    ['show all tables', 'SHOW ALL TABLES is not supported on the lake', 'writ catalog ls lake'],
    ['show all', 'SHOW ALL is not supported on the lake', 'SHOW name'],
    [
      "set memory_limit = '1GB'",
      'parameter "memory_limit" cannot be set in lake and system catalogs',
      "operator's",
    ],
    ["set standard_conforming_strings = 'off'", '"standard_conforming_strings" must be on', ''],
    ['summarize orders_history', 'SUMMARIZE is not supported on the lake', 'SELECT'],
    ['insert into orders_history values (1)', 'INSERT is not supported on the lake', 'read-only'],
    ['select * from pg_tables', 'the catalog lake has no pg_catalog', 'writ catalog ls lake'],
  ])('%s', async (text, message, hint) => {
    const said = await psql(['-v', 'VERBOSITY=verbose', '-c', text]);
    expect(said).toContain(message);
    expect(said).toContain(hint);
    expect(said).toContain('0A000');
  });

  it('speaks of the system catalog there', async () => {
    const system = (text: string) => psql(['-c', text], 'carla@acme.test', doors.system);
    for (const text of [
      'show tables',
      'delete from access.audit',
      'summarize access.audit',
      'copy t from stdin',
    ]) {
      const said = await system(text);
      expect(said).toContain('is not supported on the system catalog');
      expect(said).not.toContain('the lake');
    }
  });

  it('calls the heading of count(*) as Postgres does', async () => {
    const text = 'select count(*), count(*) as n from orders_history';
    const { fields, rows } = await as('ana@acme.test', (c) => c.query(text));
    expect(fields.map((field) => field.name)).toEqual(['count', 'n']);
    expect(rows).toEqual([{ count: '1000', n: '1000' }]);
  });

  it.each([
    ['select nope from orders_history', 'nope'],
    ["select 'é', o.nope from orders_history o", 'o.nope'],
    ['select 1; select nope from orders_history', 'nope'],
    ['select 1 from orders_history where nope = 1 and "nope" = 2', 'nope'],
    ['copy (select nope from orders_history) to stdout', 'nope'],
    ['select region, count(*) from orders_history', 'region'],
  ])('%s: the error has its place', async (text, at) => {
    const asked = as('ana@acme.test', (c) => c.query(text));
    await expect(asked).rejects.toMatchObject({
      position: String([...text.slice(0, text.indexOf(at))].length + 1),
    });
  });

  it("has places in prepared statements, and none where the text is not the client's", async () => {
    await as('ana@acme.test', async (c) => {
      const text = 'select nope from orders_history where order_id = $1';
      await expect(c.query(text, [1])).rejects.toMatchObject({ code: '42703', position: '8' });
      const copied = c.query('copy orders_history (nope) to stdout');
      await expect(copied).rejects.toMatchObject({ code: '42703', position: undefined });
    });
  });

  it('says that cursors are not there yet', async () => {
    expect(await psql(['-v', 'FETCH_COUNT=100', '-c', 'select 1'])).toContain(
      'DECLARE is not supported on the lake',
    );
  });
});

describe('COPY', () => {
  it('sends one message per row, the heading included', async () => {
    const text = "copy (select i, 'a' || chr(10) as t from range(5000) t(i)) to stdout (format csv, header)";
    const lines: string[] = [];
    await as('ana@acme.test', async (c) => {
      const { connection } = c as unknown as { connection: EventEmitter };
      connection.on('copyData', ({ chunk }: { chunk: Buffer }) => lines.push(chunk.toString('utf8')));
      await c.query(text);
    });
    expect(lines).toHaveLength(5001);
    expect(lines.slice(0, 2)).toEqual(['i,t\n', '0,"a\n"\n']);
    expect(lines.at(-1)).toBe('4999,"a\n"\n');
  });
});

describe('extended protocol', () => {
  it('suspends a portal after its rows', async () => {
    await as('ana@acme.test', async (c) => {
      const reader = c.query(
        new PortalReader('select order_id from orders_history order by 1', 400),
      ) as unknown as PortalReader;
      expect(await reader.counts).toEqual([400, 400, 200]);
    });
  });
});

describe('system.access.audit', () => {
  it('shows carla every statement, denials included', async () => {
    await as('ana@acme.test', (c) =>
      c.query("select customer_email from orders_history where region = 'secret' limit 3"),
    );
    await as('nina@acme.test', (c) => c.query('select 1 from orders_history')).catch(() => undefined);
    const { rows } = await as(
      'carla@acme.test',
      (c) =>
        c.query(
          `select principal, statement, decision, command, tables, columns, rows::int as rows, sqlstate, ended, reasons
           from system.access.audit where kind = 'statement' and (principal like 'ana%' or principal like 'nina%') order by seq desc limit 2`,
        ),
      doors.system,
    );
    expect(rows[0]).toMatchObject({
      principal: 'nina@acme.test',
      decision: 'deny',
      sqlstate: '42501',
      ended: true,
      reasons: ['no USE CATALOG on lake'],
    });
    expect(rows[1]).toMatchObject({
      principal: 'ana@acme.test',
      statement: 'select customer_email from orders_history where region = ? limit ?',
      decision: 'allow',
      command: 'SELECT',
      tables: ['lake.sales.orders_history'],
      columns: ['lake.sales.orders_history.customer_email', 'lake.sales.orders_history.region'],
      rows: 0,
      ended: true,
    });
  });

  it('is not for ana', async () => {
    const asked = as(
      'ana@acme.test',
      (c) => c.query('select principal, statement, decision from system.access.audit'),
      doors.system,
    );
    await expect(asked).rejects.toMatchObject({ code: '42501' });
  });
});
