import { describe, expect, test } from 'vitest';
import { startScram } from '../../../src/gateway/pg/scram-client.ts';

// RFC 7677, section 3; Postgres puts the user name into the startup packet and an empty one here.
const nonce = 'rOprNGfwEbeRWgbNEkqO';
const challenge = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096';

describe('SCRAM-SHA-256', () => {
  test('proves the password, and wants the server’s proof', async () => {
    const exchange = startScram('pencil', nonce);
    expect(exchange.first).toBe(`n,,n=,r=${nonce}`);
    const answer = await exchange.answer(challenge);
    expect(answer).toMatch(
      /^c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj\)hNlF\$k0,p=[A-Za-z0-9+/]{43}=$/,
    );
    expect(() => exchange.verify('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')).toThrow('did not prove');
    expect(() => exchange.verify('e=other-error')).toThrow('did not prove');
  });

  test.each([
    ['another nonce', 'r=other,s=W22Z,i=4096'],
    ['nothing added to the nonce', `r=${nonce},s=W22Z,i=4096`],
    ['no salt', `r=${nonce}x,s=,i=4096`],
    ['too many iterations', `r=${nonce}x,s=W22Z,i=99999999`],
    ['nothing', ''],
  ])('refuses a challenge with %s', async (_, bad) => {
    await expect(startScram('pencil', nonce).answer(bad)).rejects.toThrow('did not prove');
  });
});
