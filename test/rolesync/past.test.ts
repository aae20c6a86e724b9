import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { parsePrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName as name } from '../../src/kernel/securable-name.ts';
import { openPast, type PastSnapshot, parseMoment } from '../../src/rolesync/past.ts';
import { discover, type Ruled, rule } from './in-force-fixture.ts';

const ana = parsePrincipalName('ana@acme.test');
const t = name('lake.s.t');
const minute = 60_000;

const policy = (privileges: string, more = '') => `
kind: grants
grants:
  - { on: lake, to: ana@acme.test, privileges: [USE CATALOG, USE SCHEMA] }
  - { on: lake, to: ana@acme.test, privileges: [${privileges}]${more} }
`;

const at = ({ store, clock }: Ruled, time: number) =>
  openPast({ store, clock }).at(new Date(time).toISOString());
const may = ({ snapshot }: PastSnapshot, on = t) => snapshot.decide(ana, 'SELECT', on).effect;

describe('the policy at a past time', () => {
  test('each moment is answered by what was in force then', async () => {
    const ruled = await rule(policy('SELECT'));
    const start = ruled.clock.time;
    ruled.clock.time += minute;
    await ruled.apply(policy('BROWSE'));
    ruled.clock.time += minute;
    const before = await at(ruled, start);
    expect(may(before)).toBe('allow');
    expect(before.moment).toMatchObject({
      since: start,
      until: start + minute,
      why: 'policy apply',
      appliedBy: 'pat@acme.test',
    });
    const after = await at(ruled, start + minute);
    expect(may(after)).toBe('deny');
    expect(after.snapshot.id).toBe(ruled.inForce.current().id);
    expect(after.moment.until).toBeUndefined();
  });

  test('a table that was found later is not in the past; one that went is', async () => {
    const ruled = await rule(policy('SELECT'));
    const start = ruled.clock.time;
    ruled.clock.time += minute;
    discover(ruled.store, ['u', 'v']);
    await ruled.inForce.refresh('a discovery');
    ruled.clock.time += minute;
    const before = await at(ruled, start);
    expect([...before.snapshot.catalog.tables.keys()]).toEqual(['lake.s.t', 'lake.s.u']);
    const after = await at(ruled, start + minute);
    expect([...after.snapshot.catalog.tables.keys()]).toEqual(['lake.s.u', 'lake.s.v']);
    expect(after.moment.why).toBe('a discovery');
  });

  test('one moment asked by many is compiled once; many moments at once wait in a short line', async () => {
    const ruled = await rule(policy('SELECT', ', expires: "2026-05-01T10:30:00Z"'));
    const start = ruled.clock.time;
    ruled.inForce.close();
    ruled.clock.time += 60 * minute;
    let read = 0;
    const { keptInputs } = ruled.store;
    ruled.store.keptInputs = (number) => {
      read++;
      return keptInputs.call(ruled.store, number);
    };
    const past = openPast(ruled);
    const ask = (time: number) => past.at(new Date(time).toISOString());
    await Promise.all(Array.from({ length: 20 }, () => ask(start + minute)));
    expect(read).toBe(1);
    const many = Array.from({ length: 30 }, (_, i) => ask(start + 31 * minute + i));
    const settled = await Promise.allSettled(many);
    const refused = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    expect(refused).toHaveLength(22);
    expect(refused[0]).toMatchObject({ code: 'too_many' });
    expect(may(await ask(start + 32 * minute))).toBe('deny');
  });

  test('a grant that expired while nothing ran is gone from its own moment on', async () => {
    const ruled = await rule(policy('SELECT', ', expires: "2026-05-01T10:30:00Z"'));
    const start = ruled.clock.time;
    ruled.inForce.close();
    ruled.clock.time += 60 * minute;
    expect([may(await at(ruled, start + 29 * minute)), may(await at(ruled, start + 30 * minute))]).toEqual([
      'allow',
      'deny',
    ]);
    expect((await at(ruled, start + 30 * minute)).expired).toBe(true);
    (await ruled.reopen()).close();
    expect((await at(ruled, start + 60 * minute)).moment.why).toBe('start');
  });

  test('who had claimed which group is part of the past', async () => {
    const ruled = await rule(`
kind: principals
groups: { readers: { source: claim } }
---
kind: grants
grants: [{ on: lake, to: readers, privileges: [USE CATALOG, USE SCHEMA, SELECT] }]
`);
    const start = ruled.clock.time;
    ruled.clock.time += minute;
    await ruled.inForce.claimGroups(ana, ['readers'], 1);
    ruled.clock.time += minute;
    await ruled.inForce.claimGroups(ana, [], 2);
    const asked = [start, start + minute, start + 2 * minute].map(async (time) => may(await at(ruled, time)));
    expect(await Promise.all(asked)).toEqual(['deny', 'allow', 'deny']);
  });

  test('before the first policy, in the future, ambiguous: said so', async () => {
    const ruled = await rule(policy('SELECT'));
    const start = ruled.clock.time;
    await expect(at(ruled, start - 1)).rejects.toMatchObject({
      code: 'not_found',
      detail: 'the earliest is from 2026-05-01T10:00:00.000Z',
    });
    await expect(at(ruled, start + 1)).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  test.each([
    ['a file', 'kind: grants', 'kind: grantz'],
    ['the catalog', '"email"', '"emaill"'],
  ])('%s that was changed answers nothing', async (_what, from, to) => {
    const ruled = await rule(policy('SELECT'));
    tamper(join(ruled.folder, 'catalog.db'), from, to);
    await expect(at(ruled, ruled.clock.time)).rejects.toMatchObject({ code: 'conflict' });
  });

  test('a snapshot that does not come out under its name answers nothing', async () => {
    const ruled = await rule(policy('SELECT'));
    const database = new Database(join(ruled.folder, 'catalog.db'));
    database.prepare("UPDATE kept_snapshot SET snapshot = 'other'").run();
    database.close();
    await expect(at(ruled, ruled.clock.time)).rejects.toThrow(/cannot be made again/);
  });

  test('what did not change is kept once', async () => {
    const ruled = await rule(policy('SELECT'));
    const count = () => {
      const database = new Database(join(ruled.folder, 'catalog.db'), { readonly: true });
      const { n } = database.prepare('SELECT count(*) AS n FROM kept_content').get() as { n: number };
      database.close();
      return n;
    };
    const before = count();
    await ruled.apply(policy('SELECT, BROWSE'));
    expect(count()).toBe(before + 1);
  });
});

/** Rewrites a kept text under the hash that it had. */
function tamper(file: string, from: string, to: string): void {
  const database = new Database(file);
  for (const row of database.prepare('SELECT digest, body FROM kept_content').all() as Kept[]) {
    const text = gunzipSync(row.body).toString();
    if (text.includes(from))
      database
        .prepare('UPDATE kept_content SET body = ? WHERE digest = ?')
        .run(gzipSync(text.replaceAll(from, to)), row.digest);
  }
  database.close();
}

interface Kept {
  readonly digest: string;
  readonly body: Buffer;
}

test.each([
  ['2026-11-23T10:00:00Z', '2026-11-23T10:00:00.000Z'],
  ['2026-11-23 11:00+01:00', '2026-11-23T10:00:00.000Z'],
  ['2026-11-23T10:00:00.5z', '2026-11-23T10:00:00.500Z'],
  ['2026-11-23', '2026-11-23T00:00:00.000Z'],
])('%s is %s', (text, instant) => {
  expect(new Date(parseMoment(text)).toISOString()).toBe(instant);
});

test.each(['2026-11-23T10:00:00', '2026-02-30', '10:00', 'yesterday', '2 hours ago', '1700000000', ''])(
  '%j is no moment',
  (text) => {
    expect(() => parseMoment(text)).toThrow(/is no moment/);
  },
);
