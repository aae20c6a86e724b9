import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PrincipalName } from '../../src/kernel/principal.ts';
import type { LakeSession } from '../../src/lake/engine.ts';
import { type GovernedLakeEngine, openLakeEngine } from '../../src/lake/open-engine.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { people } from '../policy/fixture.ts';
import { lake, makeLake, rowsOf, sampleSnapshot } from './sample.ts';

let location: string;
let engine: GovernedLakeEngine;
let snapshot: Snapshot;
let sessions: Record<'ana' | 'omar' | 'sam' | 'nina', LakeSession>;

beforeAll(async () => {
  location = await makeLake();
  snapshot = await sampleSnapshot({ lake: location });
  engine = openLakeEngine({ limits: { spares: 2 }, statementTimeoutMs: 20_000 });
  const open = (who: PrincipalName) => engine.open(lake, who);
  sessions = {
    ana: await open(people.ana),
    omar: await open(people.omar),
    sam: await open(people.sam),
    nina: await open(people.nina),
  };
}, 60_000);

afterAll(async () => {
  await engine?.close();
  rmSync(location, { recursive: true, force: true });
});

describe('one policy on lake.sales.orders_history', () => {
  it('ana sees EMEA, masked', async () => {
    const rows = await rowsOf(
      sessions.ana,
      snapshot,
      'select region, customer_email, count(*) from orders_history group by all',
    );
    expect(rows).toEqual([['EMEA', 'u***@***', '100']]);
  });

  it('omar sees APAC, masked', async () => {
    const rows = await rowsOf(
      sessions.omar,
      snapshot,
      'select distinct region, customer_email from sales.orders_history',
    );
    expect(rows).toEqual([['APAC', 'u***@***']]);
  });

  it('sam sees everything', async () => {
    const rows = await rowsOf(
      sessions.sam,
      snapshot,
      'select count(*), count(distinct region), min(customer_email) from lake.sales.orders_history',
    );
    expect(rows).toEqual([['300', '3', 'user0@acme.test']]);
  });

  it('nina is denied, and the decision says at which gate', async () => {
    const statement = await sessions.nina.prepare('select 1 from sales.orders_history', snapshot);
    expect(statement.decision).toEqual({
      effect: 'deny',
      because: [{ kind: 'gate-failed', gate: 'USE CATALOG', on: 'lake' }],
    });
    await expect(async () => {
      for await (const _ of sessions.nina.run(statement, [])) throw new Error('a row came');
    }).rejects.toMatchObject({ code: 'permission_denied' });
  });

  it.each([
    'select count(*), max(customer_email) from "Orders_History"',
    'select count(*), max(LAKE.sales.orders_history.customer_email) from lake.SALES."ORDERS_HISTORY"',
    'with o as (select * from orders_history) select count(*), max(customer_email) from o',
    'with orders_history as (select * from orders_history) select count(*), max(customer_email) from orders_history',
    'select count(*), max(customer_email) from (select * from sales.orders_history) x',
    'select count(*), max(a.customer_email) from orders_history a join orders_history b using (order_id)',
    'select count(*), max(customer_email) from (from lake.sales.orders_history)',
    "select count(*), max(e) from (select columns('customer_.*') as e from orders_history)",
    'select count(*), max(o.customer_email) from orders_history as o',
    'select (select count(*) from orders_history), max(x.customer_email) from sales.orders_history x',
  ])('%s: one answer', async (text) => {
    expect(await rowsOf(sessions.ana, snapshot, text)).toEqual([['100', 'u***@***']]);
  });
});

describe('values', () => {
  it('are printed as Postgres prints them', async () => {
    const rows = await rowsOf(
      sessions.ana,
      snapshot,
      `select true, 1::smallint, 2::bigint, 12.50::decimal(10,2), 0.1::double, 1e15::double, 1.5::float, 'a', date '2024-02-29',
       timestamp '2024-01-01 10:00:00.5', timestamptz '2024-01-01 00:00:00+00', 'ab'::blob, null, [1,2],
       ['a b', null], {'a': 1}, 170141183460469231731687303715884105727::hugeint, interval '1 month 2 days 3 hours',
       '6d3d2a44-4b1f-4bd0-8a5e-0f9b7d1f2a11'::uuid, time '01:02:03', '{"a":1}'::json`,
    );
    expect(rows[0]).toEqual([
      't',
      '1',
      '2',
      '12.50',
      '0.1',
      '1e+15',
      '1.5',
      'a',
      '2024-02-29',
      '2024-01-01 10:00:00.5',
      '2024-01-01 00:00:00+00',
      '\\x6162',
      null,
      '{1,2}',
      '{"a b",NULL}',
      '{"a":1}',
      '170141183460469231731687303715884105727',
      '1 mon 2 days 03:00:00',
      '6d3d2a44-4b1f-4bd0-8a5e-0f9b7d1f2a11',
      '01:02:03',
      '{"a":1}',
    ]);
  });

  it('carry the types of Postgres', async () => {
    const statement = await sessions.ana.prepare('select * from orders_history', snapshot);
    const columns = await sessions.ana.describe(statement);
    expect(columns.map((column) => [column.name, column.typeOid])).toEqual([
      ['order_id', 20],
      ['customer_email', 25],
      ['region', 25],
      ['amount', 1700],
      ['ordered_at', 1184],
    ]);
    expect(statement.columns).toHaveLength(5);
    expect(statement.tables).toEqual(['lake.sales.orders_history']);
  });
});

describe('parameters', () => {
  it('take the type of their place', async () => {
    const text = 'select order_id, $3 as note from orders_history where order_id = $1 and ordered_at < $2';
    const statement = await sessions.ana.prepare(text, snapshot);
    expect(statement.parameterTypes).toEqual([20, 1184, 25]);
    const rows = await rowsOf(sessions.ana, snapshot, text, ['30', '2027-01-01', 'x']);
    expect(rows).toEqual([['30', 'x']]);
  });

  it('keep the digits that were sent', async () => {
    const text = 'select count(*) from orders_history where amount > $1 and amount < 4';
    expect(await rowsOf(sessions.ana, snapshot, text, ['3.755'])).toEqual([['0']]);
    expect(await rowsOf(sessions.ana, snapshot, text, ['3.745'])).toEqual([['1']]);
  });

  it('that cannot be read are refused without repeating them', async () => {
    const text = 'select 1 from orders_history where order_id = $1';
    await expect(rowsOf(sessions.ana, snapshot, text, ['secret'])).rejects.toMatchObject({
      sqlstate: '22P02',
      message: expect.not.stringContaining('secret'),
    });
  });

  it('follow the type that the client gave', async () => {
    const statement = await sessions.ana.prepare('select $1', snapshot, [23]);
    expect((await sessions.ana.describe(statement)).map((c) => c.typeOid)).toEqual([23]);
  });
});

describe('running', () => {
  it('streams large results with back-pressure', async () => {
    const statement = await sessions.ana.prepare('select i from range(200000) t(i)', snapshot);
    let rows = 0;
    for await (const batch of sessions.ana.run(statement, [])) rows += batch.count;
    expect(rows).toBe(200_000);
  });

  it('stops when interrupted, and the session goes on', async () => {
    const slow = rowsOf(
      sessions.omar,
      snapshot,
      "select count(*) from range(100000000000) t(i) where md5(i::varchar) = 'x'",
    );
    setTimeout(() => sessions.omar.interrupt(), 300);
    await expect(slow).rejects.toMatchObject({ sqlstate: '57014' });
    expect(await rowsOf(sessions.omar, snapshot, 'select 1')).toEqual([['1']]);
  });

  it('stops when the reader leaves', async () => {
    const statement = await sessions.omar.prepare('select i from range(100000000) t(i)', snapshot);
    for await (const batch of sessions.omar.run(statement, [])) if (batch.count > 0) break;
    expect(await rowsOf(sessions.omar, snapshot, 'select 1')).toEqual([['1']]);
  });

  it('survives the death of its worker', async () => {
    expect(await rowsOf(sessions.sam, snapshot, 'select 1')).toEqual([['1']]);
    for (const pid of engine.workerPids()) process.kill(pid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await rowsOf(sessions.sam, snapshot, 'select current_user, current_database()')).toEqual([
      ['sam@acme.test', 'lake'],
    ]);
  });

  it('obeys a new snapshot at the next statement', async () => {
    const text = 'select count(*) from orders_history';
    const next = await sampleSnapshot({ lake: location }, (policy) =>
      policy.replace('stewards: { members: [', 'stewards: { members: [ana@acme.test, '),
    );
    expect(await rowsOf(sessions.ana, next, text)).toEqual([['300']]);
    expect(await rowsOf(sessions.ana, snapshot, text)).toEqual([['100']]);
  });
});
