import type { JWTPayload } from 'jose';
import { describe, expect, test } from 'vitest';
import type { IssuerConfig } from '../../../src/gateway/identity/issuers.ts';
import { claimedGroups, claimedPrincipal } from '../../../src/gateway/identity/principal-of.ts';

const issuer: IssuerConfig = { issuer: 'https://idp', audience: 'writ' };
const known = (name: string) => name === 'etl' || name === 'operator' || name === 'ana@acme.test';
const of = (claims: JWTPayload, config = issuer) => claimedPrincipal(claims, config, known);
const refusal = (run: () => unknown): string => {
  try {
    return JSON.stringify(run());
  } catch (error) {
    const { sqlstate, detail } = error as { sqlstate: string; detail: string };
    return `${sqlstate}: ${detail}`;
  }
};

describe('users', () => {
  const user = (email: string) => ({ sub: 's', email, email_verified: true });

  test('are named by their verified e-mail, in lower case', () => {
    expect(of(user('Ana@ACME.test'))).toEqual({ name: 'ana@acme.test', email: 'Ana@ACME.test' });
  });

  test.each([
    'no-at',
    '@acme.test',
    'ana@',
    'a@b@c',
    'ana @acme.test',
    'ana@acme.test\u0000',
    `${'x'.repeat(300)}@a.b`,
  ])('no name: %j', (email) =>
    expect(refusal(() => of(user(email)))).toMatch(/^28000: the e-mail in the token cannot be used/),
  );

  test('letters that fold to ASCII are nobody else’s name', () => {
    for (const email of [
      '\u212aim@acme.test',
      'ana@acme.te\u017ft',
      '\uff41na@acme.test',
      '\u0130da@acme.test',
    ]) {
      expect(refusal(() => of(user(email)))).toMatch(/^28000: the e-mail/);
    }
    expect(of(user('jürgen@acme.test')).name).toBe('jürgen@acme.test');
    expect(of(user('ju\u0308rgen@acme.test')).name).toBe('jürgen@acme.test');
  });

  test('only domains that the issuer may name', () => {
    const limited = { ...issuer, emailDomains: ['ACME.test'] };
    expect(of(user('ana@acme.test'), limited).name).toBe('ana@acme.test');
    for (const email of ['ana@evil.test', 'ana@sub.acme.test', 'ana@notacme.test']) {
      expect(refusal(() => of(user(email), limited))).toMatch(/may not name people/);
    }
  });
});

describe('service principals', () => {
  test.each([
    { sub: 'etl', client_id: 'etl' },
    { sub: 'etl@clients', azp: 'etl', gty: 'client-credentials' },
    { sub: 'some-uuid', appid: 'etl', idtyp: 'app' },
  ])('are named by the client that speaks for itself: %j', (claims) => {
    expect(of(claims)).toEqual({ name: 'etl' });
  });

  test('a person’s token without e-mail is not its client', () => {
    expect(refusal(() => of({ sub: 's-ana', client_id: 'etl' }))).toBe('28000: the token carries no e-mail');
  });

  test.each(['unknown', 'operator', 'ana@acme.test', '', ' '])('refused: client %j', (client) => {
    expect(refusal(() => of({ sub: client, client_id: client }))).toMatch(/^28000: /);
  });
});

describe('groups of the token', () => {
  const withGroups = { ...issuer, groupsClaim: 'groups' };

  test('are not looked at where no claim is configured, not even an overage', () => {
    expect(claimedGroups({ groups: ['a'], _claim_names: { groups: 'src1' } }, issuer)).toBeUndefined();
  });

  test('none are none; a list is a list', () => {
    expect(claimedGroups({}, withGroups)).toEqual([]);
    expect(claimedGroups({ groups: ['a', 'b'] }, withGroups)).toEqual(['a', 'b']);
  });

  test.each([{ _claim_names: { groups: 'src1' } }, { hasgroups: true }, { hasgroups: 'true' }])(
    'an overage is not "no groups": %j',
    (claims) => expect(refusal(() => claimedGroups(claims, withGroups))).toMatch(/^28000: .*too many groups/),
  );

  test('anything else is refused', () => {
    for (const groups of ['a', [1], { a: 1 }]) {
      expect(refusal(() => claimedGroups({ groups }, withGroups))).toMatch(/^28000: .*no list/);
    }
  });
});
