import { describe, expect, test } from 'vitest';
import { parsePrincipalName } from '../../../src/kernel/principal.ts';
import { parseSecurableName } from '../../../src/kernel/securable-name.ts';
import { openDoor, operatorToken, outcome } from './fixture.ts';

const ana = parsePrincipalName('ana@acme.test');
const shop = parseSecurableName('shop');
const user = 'ana@acme.test';

function doorWithCredential() {
  const door = openDoor([]);
  const issued = door.authenticator.issueCompact({
    principal: ana,
    catalog: shop,
    expiresAt: door.clock.time + 60_000,
    purpose: 'report',
  });
  return { door, ...issued };
}

describe('a compact credential', () => {
  test('signs in to its catalog as its principal', async () => {
    const { door, id, password, expiresAt } = doorWithCredential();
    const signIn = { user: 'ANA@acme.test', password, catalog: shop };
    expect(await door.authenticator.authenticate(signIn)).toEqual({
      principal: ana,
      credential: `compact:${id}`,
      expiresAt,
    });
  });

  test('is kept as a hash only', () => {
    const { door, id, password } = doorWithCredential();
    const secret = password.slice(-43);
    expect(JSON.stringify(door.store.credentials())).not.toContain(secret);
    expect(door.store.credential(id)).toMatchObject({
      principal: ana,
      catalog: shop,
      direct: false,
      purpose: 'report',
    });
  });

  test('unknown, or with a wrong secret, says the same: 28P01', async () => {
    const { door, password } = doorWithCredential();
    const wrongSecret = `${password.slice(0, -1)}${password.endsWith('A') ? 'E' : 'A'}`;
    const unknown = password.replace(/^writ_.{24}/, `writ_${'0'.repeat(24)}`);
    for (const other of [wrongSecret, unknown, 'writ_', 'writ_x_y', `${password} `]) {
      expect(await outcome(door, other, { user, catalog: shop })).toBe(
        '28P01: the compact credential is not known',
      );
    }
  });

  test('is refused for another catalog, another user, over HTTP: 28000', async () => {
    const { door, password } = doorWithCredential();
    const lake = parseSecurableName('lake');
    expect(await outcome(door, password, { user, catalog: lake })).toMatch(
      /^28000: .*opens the catalog shop, not lake/,
    );
    expect(await outcome(door, password)).toMatch(/^28000: .*not the HTTP API/);
    expect(await outcome(door, password, { user: 'sam@acme.test', catalog: shop })).toMatch(
      /^28000: .*ana@acme\.test/,
    );
    expect(await outcome(door, password, { user: '', catalog: shop })).toMatch(/^28000: /);
  });

  test('ends at its expiry', async () => {
    const { door, password } = doorWithCredential();
    door.clock.time += 60_000;
    expect(await outcome(door, password, { user, catalog: shop })).toMatch(
      /^28000: the credential expired at /,
    );
  });

  test('revoked, it is refused and leaves the other one of the same person', async () => {
    const { door, id, password } = doorWithCredential();
    const other = door.authenticator.issueCompact({
      principal: ana,
      catalog: shop,
      expiresAt: door.clock.time + 9_000,
    });
    expect(door.authenticator.revoke(id)).toBe(true);
    expect(door.authenticator.revoke(id)).toBe(false);
    expect(await outcome(door, password, { user, catalog: shop })).toBe('28000: the credential was revoked');
    expect(await outcome(door, other.password, { user, catalog: shop })).toBe(user);
  });

  test('must expire in the future', () => {
    const { door } = doorWithCredential();
    const request = { principal: ana, catalog: shop };
    for (const expiresAt of [door.clock.time, 0, Number.NaN]) {
      expect(() => door.authenticator.issueCompact({ ...request, expiresAt })).toThrow(/in the future/);
    }
  });

  test('a direct credential’s record opens nothing here', async () => {
    const { door, id } = doorWithCredential();
    const direct = { id: 'd'.repeat(24), secretHash: '', principal: ana, catalog: shop, direct: true };
    door.store.putCredential({ ...direct, issuedAt: 1, expiresAt: door.clock.time + 1_000 });
    expect(id).not.toBe(direct.id);
    const guess = `writ_${direct.id}_${'A'.repeat(43)}`;
    expect(await outcome(door, guess, { user, catalog: shop })).toMatch(/^28P01: /);
  });
});

describe('the local operator', () => {
  test('signs in over HTTP with the token of the home folder', async () => {
    const door = openDoor([]);
    const identity = await door.authenticator.authenticate({ password: operatorToken });
    expect(identity).toMatchObject({ principal: 'operator', credential: 'operator' });
    expect(identity.expiresAt).toBeGreaterThan(door.clock.time);
  });

  test('is nobody on the wire', async () => {
    const door = openDoor([]);
    expect(await outcome(door, operatorToken, { user: 'operator', catalog: shop })).toMatch(/^28P01: /);
    expect(await outcome(door, operatorToken, { user: 'operator' })).toMatch(/^28P01: /);
  });

  test('a wrong token, or none set, is nobody', async () => {
    expect(await outcome(openDoor([]), 'cd'.repeat(32))).toMatch(/^28P01: /);
    expect(() => openDoor([], { operatorToken: '' })).toThrow(/shorter than 32/);
  });
});
