import { describe, expect, test } from 'vitest';
import { parsePrincipalName } from '../../src/kernel/principal.ts';
import { rule } from './in-force-fixture.ts';

// Sign-ins that claim groups, at once, again and again, and while the policy changes.

const mia = parsePrincipalName('mia@acme.test');
const bo = parsePrincipalName('bo@acme.test');
const policy = `
kind: principals
groups: { readers: { source: claim }, writers: { source: claim }, listed: { members: [bo@acme.test] } }
---
kind: grants
grants: [{ on: lake, to: [readers, listed], privileges: [USE CATALOG, USE SCHEMA, SELECT] }]
`;

async function ruled() {
  const all = await rule(policy);
  const changes: string[] = [];
  all.inForce.onChange(({ to }) => void changes.push(to.id));
  const groups = (who = mia) => [...all.inForce.current().groupsOf(who)].sort();
  return { ...all, changes, groups };
}

test('a token that takes a group away counts, though the one that gave it is still on its way into force', async () => {
  const { inForce, store, groups } = await ruled();
  let second: Promise<void> | undefined;
  const { claimedGroups } = store;
  store.claimedGroups = () => {
    const found = claimedGroups.call(store);
    if (found.length > 0 && second === undefined) {
      second = Promise.resolve().then(() => inForce.claimGroups(mia, [], 2));
    }
    return found;
  };
  await inForce.claimGroups(mia, ['readers'], 1);
  await second;
  expect(second).toBeDefined();
  expect(groups()).toEqual(['all users']);
});

test('many at once: one change or two, and everybody has their groups', async () => {
  const { inForce, changes, groups } = await ruled();
  const many = Array.from({ length: 40 }, (_, i) => parsePrincipalName(`p${i}@acme.test`));
  await Promise.all(many.map((one) => inForce.claimGroups(one, ['readers'], 1)));
  expect(changes.length).toBeLessThanOrEqual(2);
  for (const one of many) expect(groups(one)).toEqual(['all users', 'readers']);
});

describe('groups that come and go', () => {
  test.each([
    ['with the group and without it', ['readers'], []],
    ['one and another', ['readers'], ['writers']],
  ])(
    '%s: after some changes nothing is gained for a minute, and what is lost is lost',
    async (_, one, other) => {
      const { inForce, clock, changes, groups } = await ruled();
      const refused: unknown[] = [];
      const signIn = (i: number) =>
        inForce
          .claimGroups(mia, i % 2 === 0 ? one : other, i + 1)
          .catch((error: unknown) => refused.push(error));
      for (let i = 0; i < 40; i++) await signIn(i);
      expect(changes.length).toBeLessThanOrEqual(11);
      expect(refused[0]).toMatchObject({ code: 'too_many' });
      expect(groups()).toEqual(['all users']);
      // Somebody else is not put off, and she no longer than a minute.
      await inForce.claimGroups(bo, ['writers'], 1);
      expect(groups(bo)).toEqual(['all users', 'listed', 'writers']);
      clock.time += 60_001;
      await inForce.claimGroups(mia, ['readers'], 100);
      expect(groups()).toEqual(['all users', 'readers']);
    },
  );

  test('a token that was refused gains nothing later either; a new one does', async () => {
    const { inForce, clock, groups } = await ruled();
    for (let i = 0; i < 10; i++) await inForce.claimGroups(mia, i % 2 === 0 ? ['readers'] : [], i + 1);
    await expect(inForce.claimGroups(mia, ['readers'], 11)).rejects.toMatchObject({ code: 'too_many' });
    clock.time += 60_001;
    await inForce.claimGroups(mia, ['readers'], 11);
    expect(groups()).toEqual(['all users']);
    await inForce.claimGroups(mia, ['readers'], 12);
    expect(groups()).toEqual(['all users', 'readers']);
  });
});

test.each([
  ['no group that is declared', ['nobody', 'Readers', ' readers', 'all users']],
  ['a group whose members the files list', ['listed']],
  ['thousands', Array.from({ length: 5000 }, (_, i) => `g${i}`)],
])('%s: nothing changes, nothing is compiled', async (_, claimed) => {
  const { inForce, store, changes, groups } = await ruled();
  let compiled = 0;
  const { principals } = store;
  store.principals = () => {
    compiled++;
    return principals.call(store);
  };
  await inForce.claimGroups(mia, claimed, 1);
  expect([changes, compiled, groups()]).toEqual([[], 0, ['all users']]);
});
