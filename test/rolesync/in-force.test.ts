import { describe, expect, test, vi } from 'vitest';
import { parsePrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName as name } from '../../src/kernel/securable-name.ts';
import { defaultLimits, limitsOf } from '../../src/rolesync/guard.ts';
import { pat, rule } from './in-force-fixture.ts';

const ana = parsePrincipalName('ana@acme.test');
const tables = Array.from({ length: 25 }, (_, i) => `t${i}`);
const tagged = tables.map((one) => `lake.s.${one}.email`).join(', ');

/** Ana reads 25 tables; e-mails are masked and rows filtered for those whom `to` names. */
const policy = (to: string) => `
kind: tags
tags: { pii: {} }
assign: [{ on: [${tagged}], tags: { pii: email } }]
---
kind: grants
grants: [{ on: lake, to: ana@acme.test, privileges: [USE CATALOG, USE SCHEMA, SELECT] }]
---
kind: policies
policies:
  - { name: mask, on: metastore, columnMask: "'***'", match: { value: { pii: true } }, to: [${to}] }
  - { name: rows, on: lake.s.t0, rowFilter: "e = 'x'", match: { e: { pii: true } }, to: [${to}] }
`;

describe('a guard on what one apply widens', () => {
  test('more than the limit is refused with the number and examples, and nothing changes', async () => {
    const { inForce, files } = await rule(policy('all users'), { tables });
    const { id } = inForce.current();
    await expect(inForce.apply(pat, { files: files(policy('bob@acme.test')) })).rejects.toMatchObject({
      code: 'guard_refused',
      message: '26 columns or tables lose a mask or row filter, the limit is 20',
      detail: expect.stringMatching(
        /^lake\.s\.t0 unfiltered for 1 person; lake\.s\.t0\.email unmasked for 1 person; .*; and 21 more$/,
      ),
      hint: expect.stringContaining('--accept widened=26'),
    });
    expect(inForce.current().id).toBe(id);
  });

  test('accepted is the number that was seen, and no other', async () => {
    const { inForce, files } = await rule(policy('all users'), { tables });
    const widen = (widened: number) =>
      inForce.apply(pat, { files: files(policy('bob@acme.test')), accept: { widened } });
    for (const other of [0, 25, 27, 1000])
      await expect(widen(other)).rejects.toMatchObject({ code: 'guard_refused' });
    expect((await widen(26)).policy.widened).toHaveLength(26);
  });

  test('a plan says so beforehand', async () => {
    const { inForce, files } = await rule(policy('all users'), { tables });
    expect((await inForce.plan(files(policy('bob@acme.test')))).guard?.message).toMatch(/the limit is 20/);
    expect((await inForce.plan()).guard).toBeUndefined();
  });

  test('a mask that is the value, and a filter that is true, count as gone', async () => {
    const { inForce, files } = await rule(policy('all users'), { tables });
    const open = policy('all users').replace(`"'***'"`, 'value').replace(`"e = 'x'"`, '"true"');
    await expect(inForce.apply(pat, { files: files(open) })).rejects.toThrow(/^26 columns or tables/);
  });

  test('the limit is a setting; masking more is never refused', async () => {
    const { inForce, apply } = await rule(policy('all users'), { tables, guards: { maxWidened: 26 } });
    await apply(policy('bob@acme.test'));
    expect(inForce.current().boundRules(ana, name('lake.s.t0')).exemptFromAll).toBe(true);
    await apply(policy('all users'));
    expect(inForce.current().boundRules(ana, name('lake.s.t0')).exemptFromAll).toBe(false);
  });
});

test('a limit that is configured as nothing is the default', () => {
  expect(limitsOf({ maxRevokes: undefined, maxWidened: 3 })).toEqual({ ...defaultLimits, maxWidened: 3 });
});

describe('a saved plan', () => {
  test.each([
    ['other files', 'bob@acme.test, sam@acme.test', 'ok'],
    ['another policy in force', 'bob@acme.test', 'other'],
  ])('%s than it saw: refused, whatever is accepted', async (_what, to, between) => {
    const { inForce, files, apply } = await rule(policy('all users'), { tables });
    const { digest, policy: seen } = await inForce.plan(files(policy('bob@acme.test')));
    if (between === 'other') await apply(policy('all users, sam@acme.test'));
    const accept = { widened: seen.widened.length };
    await expect(inForce.apply(pat, { files: files(policy(to)), digest, accept })).rejects.toMatchObject({
      code: 'conflict',
    });
  });

  test('as it was seen: applied', async () => {
    const { inForce, files } = await rule(policy('all users'), { tables });
    const next = files(policy('bob@acme.test'));
    const { digest } = await inForce.plan(next);
    const applied = await inForce.apply(pat, { files: next, digest, accept: { widened: 26 } });
    expect(inForce.current().id).toBe(applied.policy.to);
  });
});

test('a new snapshot comes into force at once: nobody meets half of it', async () => {
  const reads = (table: string) =>
    `kind: grants\ngrants: [{ on: lake, to: ana@acme.test, privileges: [USE CATALOG, USE SCHEMA] }, { on: lake.s.${table}, to: ana@acme.test, privileges: [SELECT] }]\n`;
  const { inForce, apply } = await rule(reads('t'));
  const before = inForce.current();
  const seen = new Set<string>();
  const look = () => {
    const snapshot = inForce.current();
    const may = (table: string) => snapshot.decide(ana, 'SELECT', name(`lake.s.${table}`)).effect;
    seen.add(`${snapshot.id === before.id ? 'old' : 'new'}: t ${may('t')}, u ${may('u')}`);
  };
  let applied = false;
  const applying = apply(reads('u')).finally(() => {
    applied = true;
  });
  while (!applied) {
    look();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await applying;
  look();
  expect([...seen]).toEqual(['old: t allow, u deny', 'new: t deny, u allow']);
  // Who still holds the old one is answered by all of it.
  expect(before.decide(ana, 'SELECT', name('lake.s.t')).effect).toBe('allow');
});

test('a grant that expires while Writ runs ends by itself, and its holders have shrunk', async () => {
  const grant = (privilege: string, expires: string) =>
    `  - { on: lake, to: ana@acme.test, privileges: [${privilege}]${expires} }\n`;
  const until = ', expires: "2026-05-01T10:00:00.200Z"';
  const text = `kind: grants\ngrants:\n${grant('USE CATALOG, USE SCHEMA', '')}${grant('SELECT', until)}`;
  const { inForce, clock, shrunk } = await rule(text);
  const may = () => inForce.current().decide(ana, 'SELECT', name('lake.s.t')).effect;
  expect(may()).toBe('allow');
  clock.time += 200;
  await vi.waitFor(() => expect(may()).toBe('deny'), 5_000);
  await vi.waitFor(() => expect(shrunk.at(-1)).toEqual([ana]));
});

test('labels of clusters come from outside and are part of the snapshot', async () => {
  const text = policy('all users').replace(
    ', to: [all users] }',
    ', to: [all users], clusters: { tier: x } }',
  );
  const plain = await rule(text, { tables });
  const labelled = await rule(text, { tables, labels: new Map([['main', new Map([['tier', 'x']])]]) });
  expect(labelled.inForce.current().id).not.toBe(plain.inForce.current().id);
});
