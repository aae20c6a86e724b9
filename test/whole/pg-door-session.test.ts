import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuditLog } from '../../src/audit/log-interface.ts';
import { WritError } from '../../src/kernel/errors.ts';
import { type DoorFixture, doorFixture } from './pg-door.ts';
import * as wire from './wire-client.ts';

const run = promisify(execFile);
let fixture: DoorFixture;
let port: number;

beforeAll(async () => {
  fixture = await doorFixture();
  port = fixture.door.port;
}, 120_000);

afterAll(() => fixture?.stop());

function nodePostgres(to = port): pg.Client {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: to,
    user: 'ana@acme.test',
    password: 'ana',
    database: 'shop',
    ssl: { ca: fixture.ca, servername: 'localhost' },
  });
  client.on('error', () => {});
  return client;
}

/** Waits until `probe` holds; throws after three seconds. */
async function eventually(probe: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 150; i++) {
    if (await probe()) return;
    await sleep(20);
  }
  throw new Error('it never came true');
}

const backends = async (): Promise<number> =>
  Number(
    (await fixture.admin(`select count(*) from pg_stat_activity where usename = 'door_login'`)).rows[0].count,
  );

describe('clients', () => {
  test('node-postgres: text, parameters, named statements, errors, transactions', async () => {
    const client = nodePostgres();
    await client.connect();
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    expect((await client.query('select $1::text as t, $2::int as n', ['é', 7])).rows).toEqual([
      { t: 'é', n: 7 },
    ]);
    for (let i = 0; i < 3; i++) {
      expect(
        (await client.query({ name: 'twice', text: 'select $1::int * 2 as d', values: [i] })).rows,
      ).toEqual([{ d: i * 2 }]);
    }
    await expect(client.query('select forbidden')).rejects.toMatchObject({ code: '42501', position: '8' });
    await client.query('begin');
    await expect(client.query('select 1/0')).rejects.toMatchObject({ code: '22012' });
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' });
    await client.query('rollback');
    await client.end();
  });

  test('psql: meta-commands, COPY both ways, variables', async () => {
    const env = { PATH: process.env['PATH'] ?? '', PGPASSWORD: 'ana' };
    const conninfo = `host=127.0.0.1 port=${port} user=ana@acme.test dbname=shop sslmode=require`;
    const script = [
      'create table psql_t(a int, b text);',
      '\\copy psql_t from pstdin',
      '1\tx',
      '2\ty',
      '\\.',
      '\\copy psql_t to stdout',
      '\\set v 2',
      'select b from psql_t where a = :v;',
      'select 1 \\; select 2;',
      '\\d psql_t',
    ].join('\n');
    const child = run('psql', ['-X', '-A', '-t', '-v', 'ON_ERROR_STOP=1', conninfo], { env });
    child.child.stdin?.end(script);
    const { stdout } = await child;
    expect(stdout).toContain('1\tx\n2\ty\ny\n1\n2\n');
    expect(stdout).toContain('a|integer');
  });

  test('fifty at once, a hundred statements each', async () => {
    const clients = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const client = nodePostgres();
        await client.connect();
        return client;
      }),
    );
    const sums = await Promise.all(
      clients.map(async (client, who) => {
        let sum = 0;
        for (let i = 0; i < 100; i++) {
          const { rows } = await client.query(
            i % 2 === 0 ? `select ${who} as n` : { text: 'select $1::int as n', values: [who] },
          );
          sum += rows[0].n;
        }
        return sum;
      }),
    );
    expect(sums).toEqual(clients.map((_, who) => who * 100));
    expect(fixture.door.sessions.list().length).toBe(50);
    await Promise.all(clients.map((client) => client.end()));
    await eventually(() => fixture.door.sessions.size === 0);
    await eventually(async () => (await backends()) === 0);
  }, 60_000);
});

describe('cancel', () => {
  test.each([
    ['protocol 3.0', 0, false],
    ['protocol 3.2', 2, false],
    ['over TLS', 0, true],
  ])('%s', async (_, minor, tls) => {
    const client = await wire.WireClient.dial(port);
    client.send(wire.startup({ user: 'ana@acme.test', database: 'shop' }, minor), wire.password('ana'));
    const key = (await client.until('Z')).find(({ type }) => type === 'K')?.payload ?? Buffer.alloc(0);
    client.send(wire.query('select pg_sleep(30)'));
    await sleep(100);
    const request = wire.cancelRequest(key.readInt32BE(0), key.subarray(4));
    const canceller = await wire.WireClient.dial(port);
    if (tls) {
      canceller.socket.removeAllListeners('data');
      canceller.send(wire.sslRequest);
      await new Promise((resolve) => canceller.socket.once('data', resolve));
      connectTls({ socket: canceller.socket, ca: fixture.ca, servername: 'localhost' }).end(request);
    } else canceller.send(request);
    await canceller.untilClosed();
    expect(wire.shown(await client.until('Z')).slice(-2)).toEqual(['E:57014', 'Z:I']);
    client.socket.destroy();
  });

  test('a wrong key cancels nothing', async () => {
    const client = await wire.WireClient.dial(port);
    client.send(wire.startup({ user: 'ana@acme.test', database: 'shop' }), wire.password('ana'));
    const key = (await client.until('Z')).find(({ type }) => type === 'K')?.payload ?? Buffer.alloc(0);
    client.send(wire.query('select pg_sleep(0.3)'));
    for (const wrong of [Buffer.alloc(4), Buffer.alloc(32)]) {
      const canceller = await wire.WireClient.dial(port);
      canceller.send(wire.cancelRequest(key.readInt32BE(0), wrong));
      expect(await canceller.untilClosed()).toEqual([]);
    }
    expect(wire.shown(await client.until('Z')).at(-2)).toBe('C:SELECT 1');
    client.socket.destroy();
  });
});

describe('pressure', () => {
  test('a client that does not read holds the server back, not our memory', async () => {
    const client = await wire.WireClient.signedIn(port);
    client.socket.pause();
    global.gc?.();
    const before = process.memoryUsage().arrayBuffers;
    client.send(wire.query(`select repeat('x', 1000) from generate_series(1, 1000000)`));
    await sleep(1_500);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
    let rows = 0;
    const counted = new Promise<void>((resolve) => {
      client.socket.on('data', () => {
        rows += client.heard.filter(({ type }) => type === 'D').length;
        if (client.heard.some(({ type }) => type === 'Z')) resolve();
        client.heard.length = 0;
      });
    });
    client.socket.resume();
    await counted;
    expect(rows).toBe(1_000_000);
    client.socket.destroy();
  }, 60_000);

  test('ten thousand statements sent without reading an answer', async () => {
    const client = await wire.WireClient.signedIn(port);
    const one = Buffer.concat([wire.parse('', 'select 1'), wire.bind('', ''), wire.execute('')]);
    client.send(...Array.from({ length: 10_000 }, () => one), wire.sync);
    const heard = await client.until('Z');
    expect(heard.filter(({ type }) => type === 'C').length).toBe(10_000);
    client.socket.destroy();
  }, 60_000);
});

describe('the end of a session', () => {
  test('an unknown message type: FATAL 08P01', async () => {
    for (const bytes of [
      Buffer.from('z\0\0\0\x04', 'latin1'),
      wire.password('again'),
      Buffer.from([0x51, 0, 0, 0, 3]),
    ]) {
      const client = await wire.WireClient.signedIn(port);
      client.send(bytes);
      expect(wire.shown(await client.untilClosed())).toEqual(['E:08P01']);
    }
  });

  test('a client that vanishes in a transaction: nothing stays', async () => {
    const client = await wire.WireClient.signedIn(port);
    client.send(
      wire.query('create table vanished(a int)'),
      wire.query('begin'),
      wire.query('insert into vanished values (1)'),
    );
    await client.until('Z', 3);
    client.send(wire.query('select pg_sleep(60)'));
    await sleep(100);
    client.socket.destroy();
    await eventually(async () => (await backends()) === 0);
    const other = await wire.WireClient.signedIn(port);
    other.send(wire.query('select * from vanished'));
    expect(wire.shown(await other.until('Z'))).toEqual(['T', 'C:SELECT 0', 'Z:I']);
    other.socket.destroy();
  });

  test('goodbye right behind a statement: it is done first', async () => {
    const client = await wire.WireClient.signedIn(port);
    client.send(
      wire.query('create table goodbye as select 1 as a from (select pg_sleep(0.2)) as s'),
      wire.terminate,
    );
    client.socket.end();
    await sleep(500);
    const other = await wire.WireClient.signedIn(port);
    other.send(wire.query('select count(*) from goodbye'));
    expect(wire.shown(await other.until('Z'))).toEqual(['T', 'D', 'C:SELECT 1', 'Z:I']);
    other.socket.destroy();
  });

  test('killed, idle and in the middle of a big result', async () => {
    for (const text of ['select 1', `select repeat('x', 100000) from generate_series(1, 100000)`]) {
      await eventually(() => fixture.door.sessions.size === 0);
      const client = await wire.WireClient.signedIn(port);
      client.send(wire.query(text));
      await client.until('D');
      await sleep(50);
      const [listed] = fixture.door.sessions.list();
      expect(fixture.door.sessions.backendPids().size).toBe(1);
      expect(fixture.door.sessions.kill(listed?.id ?? '', 'an operator ended it')).toBe(true);
      const heard = await client.untilClosed();
      expect(wire.shown(heard).at(-1)).toBe('E:57P01');
      await eventually(async () => (await backends()) === 0);
    }
  });

  test('who signs in while their rights are withdrawn does not stay', async () => {
    const slow = await fixture.open({
      logins: {
        open: async () => {
          await sleep(300);
          throw new WritError('unreachable');
        },
      },
      serveLake: async (link) => {
        for await (const _ of link.frames());
      },
      authenticator: {
        authenticate: async () => {
          const identity = {
            principal: 'ana@acme.test' as never,
            credential: 'c1',
            expiresAt: Date.now() + 60_000,
          };
          await sleep(200);
          return identity;
        },
      },
    });
    const client = await wire.WireClient.dial(slow.port);
    client.send(wire.startup({ user: 'ana@acme.test', database: 'lake' }), wire.password('ana'));
    await sleep(80);
    slow.sessions.endWhere(({ credential }) => credential === 'c1', 'the credential was revoked');
    expect(wire.shown(await client.untilClosed()).at(-1)).toBe('E:57P01');
  });

  test('the credential expires', async () => {
    const client = await wire.WireClient.dial(port);
    client.send(wire.startup({ user: 'ana@acme.test', database: 'shop' }), wire.password('brief'));
    expect(wire.shown(await client.untilClosed()).at(-1)).toBe('E:57P01');
  });

  test('the backend is terminated by somebody else', async () => {
    const client = await wire.WireClient.signedIn(port);
    await fixture.admin(
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'door_login'`,
    );
    expect(wire.shown(await client.untilClosed())).toEqual(['E:57P01']);
  });

  test('a record that cannot be written: 58030, and the statement never ran', async () => {
    let broken = false;
    const audit: AuditLog = Object.assign(Object.create(fixture.audit), {
      folder: fixture.audit.folder,
      append: (...args: Parameters<AuditLog['append']>) => {
        if (broken && args[0].kind === 'statement.begin') throw new WritError('record_not_writable');
        return fixture.audit.append(...args);
      },
      written: (place: number) => fixture.audit.written(place),
      whenWritten: (...args: Parameters<AuditLog['whenWritten']>) => fixture.audit.whenWritten(...args),
    });
    const other = await fixture.open({ audit });
    const client = await wire.WireClient.signedIn(other.port);
    broken = true;
    client.send(wire.query('create table unrecorded()'));
    expect(wire.shown(await client.untilClosed())).toEqual(['E:58030']);
    const after = await wire.WireClient.signedIn(port);
    after.send(wire.query('select * from unrecorded'));
    expect(wire.shown(await after.until('Z'))).toEqual(['E:42P01', 'Z:I']);
    after.socket.destroy();
  });

  test('the door closes', async () => {
    const other = await fixture.open({});
    const client = await wire.WireClient.signedIn(other.port);
    const waiting = await wire.WireClient.dial(other.port);
    await other.close();
    expect(wire.shown(await client.untilClosed())).toEqual(['E:57P01']);
    await waiting.untilClosed();
    await expect(wire.WireClient.dial(other.port)).rejects.toThrow('ECONNREFUSED');
  });

  test('every statement that began has ended in the record', async () => {
    await eventually(() => fixture.door.sessions.size === 0);
    const events = fixture.events();
    const ids = (kind: string) =>
      events
        .filter((event) => event['kind'] === kind)
        .map((event) => event['statementId'])
        .sort();
    expect(ids('statement.end')).toEqual(ids('statement.begin'));
    expect(fixture.errors).toEqual([]);
  });
});

test('the cluster is gone: FATAL 08006', async () => {
  await fixture.stopPostgres();
  const client = await wire.WireClient.dial(port);
  client.send(wire.startup({ user: 'ana@acme.test', database: 'shop' }), wire.password('ana'));
  expect(wire.shown(await client.untilClosed()).at(-1)).toBe('E:08006');
});
