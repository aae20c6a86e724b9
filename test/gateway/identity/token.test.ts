import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { exportSPKI } from 'jose';
import { describe, expect, test } from 'vitest';
import { listen, makeKey, openDoor, outcome, startIssuer } from './fixture.ts';

const seconds = () => Math.floor(Date.now() / 1000);
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

async function doorWithIssuer() {
  const issuer = await startIssuer(seconds);
  return { issuer, door: openDoor([issuer.url]) };
}

describe('a genuine token', () => {
  test.each(['RS256', 'PS256', 'ES256', 'EdDSA'])('signed with %s signs in', async (alg) => {
    const issuer = await startIssuer(seconds, await makeKey('k', alg));
    const door = openDoor([issuer.url]);
    const identity = await door.authenticator.authenticate({
      user: 'Ana@ACME.test',
      password: await issuer.sign({ jti: 'j1' }),
    });
    expect(identity).toMatchObject({ principal: 'ana@acme.test', credential: 'oidc:j1' });
    expect(identity.expiresAt - Date.now()).toBeGreaterThan(290_000);
  });

  test('is verified once: the issuer is asked for nothing more', async () => {
    const { issuer, door } = await doorWithIssuer();
    const token = await issuer.sign();
    for (let i = 0; i < 5; i++) expect(await outcome(door, token)).toBe('ana@acme.test');
    expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/jwks']);
  });

  test('ends at its expiry, also when it was verified before', async () => {
    const { issuer, door } = await doorWithIssuer();
    const token = await issuer.sign();
    expect(await outcome(door, token)).toBe('ana@acme.test');
    door.clock.time += 301_000;
    expect(await outcome(door, token)).toBe('28000: the token has expired');
  });

  test('of 60 KB signs in; over 65,535 bytes it is refused', async () => {
    const { issuer, door } = await doorWithIssuer();
    expect(await outcome(door, await issuer.sign({ filling: 'x'.repeat(45_000) }))).toBe('ana@acme.test');
    expect(await outcome(door, await issuer.sign({ filling: 'x'.repeat(60_000) }))).toBe(
      '28P01: the token is too long',
    );
  });

  test('names a first binding in the record, once', async () => {
    const { issuer, door } = await doorWithIssuer();
    await outcome(door, await issuer.sign());
    await outcome(door, await issuer.sign({ jti: 'other' }));
    expect(door.kinds()).toEqual(['log.open', 'principal.bind']);
  });

  test('for another user names the right one', async () => {
    const { issuer, door } = await doorWithIssuer();
    const token = await issuer.sign();
    expect(await outcome(door, token, { user: 'sam@acme.test' })).toMatch(/^28000: .*ana@acme\.test's/);
    await expect(
      door.authenticator.authenticate({ user: 'sam@acme.test', password: token }),
    ).rejects.toMatchObject({
      hint: 'connect with user=ana@acme.test',
    });
  });
});

describe('not genuine: 28P01', () => {
  test('alg none', async () => {
    const { issuer, door } = await doorWithIssuer();
    const [, payload = ''] = (await issuer.sign()).split('.');
    for (const alg of ['none', 'None', 'NONE']) {
      expect(await outcome(door, `${encode({ alg, kid: 'k1' })}.${payload}.`)).toMatch(
        /^28P01: .*not signed with/,
      );
    }
  });

  test('HS256 with the public key as its secret', async () => {
    const { issuer, door } = await doorWithIssuer();
    const [, payload = ''] = (await issuer.sign()).split('.');
    const secrets = [await exportSPKI(issuer.key.publicKey), JSON.stringify(issuer.key.jwk)];
    for (const secret of secrets) {
      const signed = `${encode({ alg: 'HS256', kid: 'k1' })}.${payload}`;
      const token = `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
      expect(await outcome(door, token)).toMatch(/^28P01: .*not signed with/);
    }
  });

  test('a changed payload, a cut signature, a signature by another key of the same kid', async () => {
    const { issuer, door } = await doorWithIssuer();
    const [header = '', payload = '', signature = ''] = (await issuer.sign()).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const changed = `${header}.${encode({ ...claims, email: 'sam@acme.test' })}.${signature}`;
    const other = await makeKey('k1');
    for (const token of [
      changed,
      `${header}.${payload}.${signature.slice(0, -8)}`,
      await issuer.sign({}, {}, other),
    ]) {
      expect(await outcome(door, token)).toMatch(/^28P01: the signature/);
    }
  });

  test('an algorithm that is not the key’s', async () => {
    const { issuer, door } = await doorWithIssuer();
    const other = await makeKey('k1', 'ES256');
    expect(await outcome(door, await issuer.sign({}, {}, other))).toMatch(/^28P01: the signature/);
  });

  test('a key that the token brings along', async () => {
    const { issuer, door } = await doorWithIssuer();
    const own = await makeKey('mine');
    const { alg: _, use: __, ...jwk } = own.jwk;
    const bait = createServer((_request, response) => response.end(JSON.stringify({ keys: [own.jwk] })));
    const baitUrl = await listen(bait);
    let baited = 0;
    bait.on('request', () => baited++);
    for (const header of [{ jwk }, { jku: `${baitUrl}/jwks` }, { x5u: `${baitUrl}/x5u` }]) {
      expect(await outcome(door, await issuer.sign({}, header, own))).toMatch(/^28P01: the signature/);
      expect(await outcome(door, await issuer.sign({}, { ...header, kid: 'k1' }, own))).toMatch(
        /^28P01: the signature/,
      );
    }
    expect(baited).toBe(0);
  });

  test('no kid, or one that is a path', async () => {
    const { issuer, door } = await doorWithIssuer();
    const withoutKid = await issuer.sign({}, { kid: undefined as unknown as string });
    expect(await outcome(door, withoutKid)).toMatch(/^28P01: .*which key signed it/);
    for (const kid of ['../../etc/passwd', "k1' or '1'='1", '__proto__']) {
      expect(await outcome(door, await issuer.sign({}, { kid }))).toMatch(/^28P01: the signature/);
    }
  });

  test('an issuer that nobody trusts is never asked', async () => {
    const { door } = await doorWithIssuer();
    const foreign = await startIssuer(seconds);
    expect(await outcome(door, await foreign.sign())).toBe('28P01: the token is not from a trusted issuer');
    expect(foreign.asked).toEqual([]);
  });

  test('signed by one trusted issuer in the name of another', async () => {
    const [one, two] = [await startIssuer(seconds), await startIssuer(seconds, await makeKey('k1'))];
    const door = openDoor([one.url, two.url]);
    expect(await outcome(door, await two.sign({ iss: one.url }))).toMatch(/^28P01: the signature/);
  });

  test('another kind of token that the issuer signed', async () => {
    const { issuer, door } = await doorWithIssuer();
    for (const typ of ['logout+jwt', 'secevent+jwt', 'dpop+jwt']) {
      expect(await outcome(door, await issuer.sign({}, { typ }))).toMatch(/^28P01: .*another kind/);
    }
    expect(await outcome(door, await issuer.sign({ events: {} }))).toMatch(/^28000: .*notification/);
  });

  test.each([
    '',
    'secret',
    'a.b.c',
    '...',
    'a.b.c.d.e',
    '\0',
    'eyJhbGciOiJSUzI1NiJ9.e30.AA',
    'é'.repeat(40_000),
  ])('garbage: %j', async (password) => {
    const { door } = await doorWithIssuer();
    expect(await outcome(door, password, { user: 'ana@acme.test' })).toMatch(/^28P01: /);
  });
});

describe('genuine, but not accepted: 28000', () => {
  const now = seconds();
  const cases: readonly [string, object, RegExp][] = [
    ['expired', { iat: now - 600, exp: now - 300 }, /has expired/],
    ['expired a moment ago', { iat: now - 600, exp: now - 5 }, /has expired/],
    ['not valid yet', { nbf: now + 120 }, /not valid yet/],
    ['issued in the future', { iat: now + 120, exp: now + 300 }, /in the future/],
    ['for another audience', { aud: 'other' }, /another audience/],
    ['for no audience', { aud: undefined }, /another audience/],
    ['without expiry', { exp: undefined }, /claim exp/],
    ['without time of issue', { iat: undefined }, /claim iat/],
    ['with a text as expiry', { exp: '9999999999' }, /claim exp/],
    ['living for years', { exp: now + 90 * 86_400 }, /lives longer/],
    ['living for ever', { exp: 1e20 }, /lives longer/],
    ['without a subject', { sub: undefined }, /claim sub/],
    ['with an empty subject', { sub: '' }, /no subject/],
    ['with an unverified e-mail', { email_verified: false }, /not verified/],
    ['with an e-mail that says nothing of verification', { email_verified: undefined }, /not verified/],
    ['without an e-mail', { email: undefined }, /no e-mail/],
  ];
  test.each(cases)('%s', async (_, claims, detail) => {
    const { issuer, door } = await doorWithIssuer();
    const answer = await outcome(door, await issuer.sign(claims));
    expect(answer).toMatch(/^28000: /);
    expect(answer).toMatch(detail);
    expect(door.store.principals()).toEqual([]);
  });

  test('one of several audiences is enough; nbf within the skew too', async () => {
    const { issuer, door } = await doorWithIssuer();
    expect(await outcome(door, await issuer.sign({ aud: ['other', 'writ'], nbf: seconds() + 20 }))).toBe(
      'ana@acme.test',
    );
  });

  test('another subject with a name that is taken is quarantined, and recorded', async () => {
    const { issuer, door } = await doorWithIssuer();
    await outcome(door, await issuer.sign());
    expect(await outcome(door, await issuer.sign({ sub: 's-evil', email: 'ANA@acme.test' }))).toMatch(
      /^28000: .*quarantine/,
    );
    expect(door.kinds()).toEqual(['log.open', 'principal.bind', 'principal.quarantine']);
    expect(door.store.quarantined()).toMatchObject([{ subject: 's-evil', name: 'ana@acme.test' }]);
  });
});
