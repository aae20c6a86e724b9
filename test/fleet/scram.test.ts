import { describe, expect, test } from 'vitest';
import { scramVerifier } from '../../src/fleet/scram.ts';

describe('scramVerifier', () => {
  // RFC 7677, section 3: user "user", password "pencil"; StoredKey and ServerKey follow from its exchange.
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');

  test('the example of RFC 7677', () => {
    expect(scramVerifier('pencil', salt)).toBe(
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    );
  });

  test('a password that SASLprep would change is refused', () => {
    expect(() => scramVerifier('pässword', salt)).toThrow(RangeError);
    expect(() => scramVerifier('', salt)).toThrow(RangeError);
  });
});
