import { describe, expect, test } from 'vitest';
import { openAuthenticator } from '../../../src/gateway/identity/open-authenticator.ts';
import { parsePrincipalName } from '../../../src/kernel/principal.ts';
import { parseSecurableName as name } from '../../../src/kernel/securable-name.ts';
import { rule } from '../../rolesync/in-force-fixture.ts';
import { startIssuer } from './fixture.ts';

// Groups that the sign-in says: the latest counts, and is in force when the sign-in is answered.

const ana = parsePrincipalName('ana@acme.test');
const lake = name('lake');
const policy = `
kind: principals
groups:
  readers: { source: claim }
  writers: { source: claim }
  staff: { members: [readers] }
  platform: { members: [pat@acme.test] }
---
kind: grants
grants:
  - { on: lake, to: staff, privileges: [USE CATALOG, USE SCHEMA] }
  - { on: lake, to: readers, privileges: [SELECT] }
  - { on: lake.s.t, to: writers, privileges: [MODIFY] }
  - { on: lake, to: platform, privileges: [ALL PRIVILEGES] }
`;

async function company(groupsClaim: string | undefined = 'groups') {
  const ruled = await rule(policy);
  const { inForce, store, audit, clock } = ruled;
  const issuer = await startIssuer(() => Math.floor(clock.time / 1000));
  const authenticatorFor = (claim: string | undefined) =>
    openAuthenticator({
      ...{ store, audit, clock },
      issuers: [
        { issuer: issuer.url, audience: 'writ', ...(claim === undefined ? {} : { groupsClaim: claim }) },
      ],
      snapshot: () => inForce.current(),
      onClaims: (principal, groups, issuedAt) => inForce.claimGroups(principal, groups, issuedAt),
      allowLoopbackHttp: true,
    });
  const authenticator = authenticatorFor(groupsClaim);
  const may = (privilege: 'SELECT' | 'MODIFY') =>
    inForce.current().decide(ana, privilege, name('lake.s.t')).effect === 'allow';
  const groups = () => [...inForce.current().groupsOf(ana)].sort();
  return {
    ...ruled,
    ...{ issuer, authenticator, authenticatorFor, may, groups },
    token: (claimed: unknown, claims: object = {}) => issuer.sign({ groups: claimed, ...claims }),
    signIn: (password: string) => authenticator.authenticate({ password }),
    later: () => {
      clock.time += 1_000;
    },
  };
}

describe('claimed groups', () => {
  test('what the sign-in claims is in force when it is answered, through any chain of groups', async () => {
    const { signIn, token, may, groups } = await company();
    expect(may('SELECT')).toBe(false);
    await signIn(await token(['readers']));
    expect([may('SELECT'), may('MODIFY')]).toEqual([true, false]);
    expect(groups()).toEqual(['all users', 'readers', 'staff']);
  });

  test('the latest counts: what went ends sessions, what came does not', async () => {
    const { signIn, token, may, shrunk, later } = await company();
    await signIn(await token(['readers']));
    shrunk.length = 0;
    later();
    await signIn(await token(['readers', 'writers']));
    expect([may('MODIFY'), shrunk]).toEqual([true, [[]]]);
    later();
    await signIn(await token([]));
    expect([may('SELECT'), shrunk]).toEqual([false, [[], [ana]]]);
  });

  test('the same groups once more change nothing', async () => {
    const { signIn, token, shrunk, later, inForce } = await company();
    await signIn(await token(['readers']));
    const { id } = inForce.current();
    const changes = shrunk.length;
    later();
    await signIn(await token(['readers', 'undeclared']));
    expect([inForce.current().id, shrunk.length]).toEqual([id, changes]);
  });

  test('an older token opens a session and brings no group back, shown before or not', async () => {
    const { signIn, token, groups, later } = await company();
    const shown = await token(['readers']);
    const never = await token(['readers', 'writers']);
    await signIn(shown);
    later();
    await signIn(await token([]));
    for (const old of [shown, never]) {
      expect((await signIn(old)).principal).toBe(ana);
      expect(groups()).toEqual(['all users']);
    }
  });

  test('two tokens of one second: what both claim', async () => {
    const { signIn, token, groups } = await company();
    const [more, fewer] = [await token(['readers', 'writers']), await token(['readers'])];
    for (const each of [fewer, more]) await signIn(each);
    expect(groups()).toEqual(['all users', 'readers', 'staff']);
  });

  test('only groups that the files declare so, by their exact name', async () => {
    const { signIn, token, groups } = await company();
    await signIn(await token(['platform', 'staff', 'Readers', 'readers ', 'all users', 'operator']));
    expect(groups()).toEqual(['all users']);
  });

  test('a claim left out for its size is refused, and what was in force stays', async () => {
    const { signIn, token, groups, later } = await company();
    await signIn(await token(['readers']));
    later();
    const overage = await token(undefined, { _claim_names: { groups: 'src1' } });
    await expect(signIn(overage)).rejects.toMatchObject({ code: 'sign_in_refused' });
    expect(groups()).toEqual(['all users', 'readers', 'staff']);
  });

  test('a token for somebody else than the user given changes nothing', async () => {
    const { authenticator, token, groups, later, signIn } = await company();
    await signIn(await token(['readers']));
    later();
    const other = { password: await token([]), user: 'sam@acme.test' };
    await expect(authenticator.authenticate(other)).rejects.toMatchObject({ code: 'sign_in_refused' });
    expect(groups()).toEqual(['all users', 'readers', 'staff']);
  });

  test('a compact credential has the groups of the latest sign-in', async () => {
    const { signIn, token, groups, authenticator, clock, later } = await company();
    await signIn(await token(['readers']));
    const compact = authenticator.issueCompact({
      principal: ana,
      catalog: lake,
      expiresAt: clock.time + 60_000,
    });
    later();
    await signIn(await token([]));
    await authenticator.authenticate({ password: compact.password, user: ana, catalog: lake });
    expect(groups()).toEqual(['all users']);
  });

  test('an issuer whose groups no longer count takes them away', async () => {
    const { authenticatorFor, signIn, token, groups, later } = await company();
    await signIn(await token(['readers']));
    later();
    await authenticatorFor(undefined).authenticate({ password: await token(['readers']) });
    expect(groups()).toEqual(['all users']);
  });

  test('they outlive a restart', async () => {
    const { signIn, token, reopen } = await company();
    await signIn(await token(['readers']));
    const again = await reopen();
    expect([...again.current().groupsOf(ana)].sort()).toEqual(['all users', 'readers', 'staff']);
    again.close();
  });

  test('what cannot be recorded refuses the sign-in and changes nothing', async () => {
    const { signIn, token, groups, audit } = await company();
    const password = await token(['readers']);
    await audit.close();
    await expect(signIn(password)).rejects.toMatchObject({ code: 'record_not_writable' });
    expect(groups()).toEqual(['all users']);
  });
});
