import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Company, startCompany } from './company.ts';
import * as wire from './wire-client.ts';

// Attacks that once went through: on the record (it named another statement than the one that ran), on what a filter hides,
// and on the reconciler.

let company: Company;
let ana: pg.Client;
beforeAll(async () => {
  company = await startCompany();
});
afterAll(() => company.stop());

async function signIn(): Promise<pg.Client> {
  ana = await company.connect('ana@acme.test', 'shop');
  ana.on('error', () => {});
  return ana;
}

/** The record of one application, in order. */
async function record(
  application: string,
): Promise<{ statement: string; tables: string; message: string }[]> {
  const carla = await company.connect('carla@acme.test', 'system');
  const { rows } = await carla.query(
    `select statement, tables::varchar as tables, coalesce(message, '') as message from system.access.audit
     where application = $1 and kind = 'statement' order by event_time, seq`,
    [application],
  );
  await carla.end();
  return rows;
}

describe('the record names what was read', () => {
  test('EXECUTE in a prepared statement means the statement of now', async () => {
    const client = await company.connect('ana@acme.test', 'shop', { application_name: 'swap' });
    const named = { name: 'p', text: 'execute s' };
    const explained = { name: 'e', text: 'explain analyze execute s' };
    await client.query('prepare s as select code from countries');
    await client.query(named);
    await client.query(explained);
    await client.query('deallocate s');
    await client.query('prepare s as select name from customers');
    expect((await client.query(named)).rows.length).toBeGreaterThan(0);
    await expect(client.query(explained)).rejects.toMatchObject({ code: '0A000' });
    await client.end();
    const executed = (await record('swap')).filter(({ statement }) => statement === 'execute s');
    expect(executed.map(({ tables }) => tables)).toEqual([
      expect.stringContaining('countries'),
      expect.stringContaining('customers'),
    ]);
  });

  test.each(['deallocate s', 'execute s', 'declare c cursor for select 1'])(
    'EXECUTE of a prepared `%s`',
    async (text) => {
      const client = await signIn();
      await client.query('prepare s as select 1');
      await client.query('begin');
      await client.query({ name: 'p', text }).catch(() => undefined);
      await client.query('rollback');
      await expect(client.query('execute p')).rejects.toMatchObject({ code: '0A000' });
      await client.end();
    },
  );

  test('a cursor does not run under the name of a portal that is gone', async () => {
    const { password } = JSON.parse(
      (await company.writ('credentials', 'shop', '--as', 'ana@acme.test')).stdout,
    );
    const client = await wire.WireClient.dial(company.endpoints.postgres.port);
    client.send(wire.startup({ user: 'ana@acme.test', database: 'shop' }), wire.password(password));
    await client.until('Z');
    const run = (text: string) => [wire.parse('', text), wire.bind('', ''), wire.execute('')];
    client.send(
      ...[wire.query('begin'), wire.parse('a', 'select code from countries'), wire.bind('c', 'a')],
      ...[...run('close c'), ...run('declare c cursor for select name from customers')],
      ...[wire.execute('c'), wire.sync],
    );
    expect(wire.shown(await client.until('Z', 2))).toContain('E:34000');
    client.socket.destroy();
  });

  test('values stand in no message', async () => {
    const client = await company.connect('ana@acme.test', 'shop', { application_name: 'literals' });
    await expect(client.query("select 'hunter2'::int")).rejects.toThrow(/hunter2/);
    await expect(client.query("select 'hunter2'::regrole")).rejects.toThrow(/hunter2/);
    await client.end();
    const recorded = await record('literals');
    expect(recorded.length).toBe(2);
    expect(JSON.stringify(recorded)).not.toContain('hunter2');
  });
});

describe('narrowing is not held up', () => {
  test('by a session that holds the lock of the reconciler', async () => {
    const client = await signIn();
    const ended = new Promise((resolve) => client.once('error', resolve));
    await client.query('select pg_advisory_lock(2003986804)');
    const applied = await company.writ('sync', 'apply');
    expect(applied).toMatchObject({ code: 0 });
    await ended;
    await expect(client.query('select 1')).rejects.toThrow();
  });
});
