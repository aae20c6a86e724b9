import { expect, test } from 'vitest';
import { expectOnePrincipalPerKey } from '../../../src/policy/source/allowed-signers.ts';

const key = (n: number) => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${n}`;

test('a key may stand several times for one principal, with dates of its own', () => {
  const lines = [
    '# people',
    `ann@x ${key(1)}`,
    `ann@x valid-before="20270101" namespaces="git" ${key(1)}`,
    `"bob@x" ${key(2)} AAAA as a comment`,
    '',
  ];
  expect(() => expectOnePrincipalPerKey(lines.join('\n'))).not.toThrow();
});

test('a key of two principals is refused, with both lines', () => {
  const text = `ann@x ${key(1)}\nbob@x ${key(2)}\neve@x valid-after="20200101" ${key(1)} eve\n`;
  expect(() => expectOnePrincipalPerKey(text)).toThrow(
    'one key belongs to two principals: ann@x (line 1) and eve@x (line 3)',
  );
});
