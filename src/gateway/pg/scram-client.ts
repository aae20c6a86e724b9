import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { WritError } from '../../kernel/errors.ts';

// SCRAM-SHA-256 from the client's side (RFC 5802, RFC 7677), without channel binding: how the gateway signs in to the
// Postgres behind it. The server proves that it holds the verifier, too. Passwords are ours and ASCII: no SASLprep.

const derive = promisify(pbkdf2);
/** A server that asks for more wants our time, not our proof. */
const maxIterations = 1_000_000;
const withoutBinding = 'n,,';

export interface ScramExchange {
  /** The first message, for SASLInitialResponse. */
  readonly first: string;
  /** Answers the server's challenge. @throws unreachable when it is malformed */
  answer(challenge: string): Promise<string>;
  /** @throws unreachable when the server does not know the password's verifier */
  verify(outcome: string): void;
}

/** `nonce`: 18 random bytes or more, in base64. */
export function startScram(password: string, nonce: string): ScramExchange {
  const firstBare = `n=,r=${nonce}`;
  let expected: Buffer | undefined;
  return {
    first: withoutBinding + firstBare,
    async answer(challenge) {
      const fields = readFields(challenge);
      const serverNonce = fields.get('r') ?? '';
      const salt = Buffer.from(fields.get('s') ?? '', 'base64');
      const iterations = Number(fields.get('i'));
      const sane = Number.isInteger(iterations) && iterations > 0 && iterations <= maxIterations;
      if (!serverNonce.startsWith(nonce) || serverNonce === nonce || salt.length === 0 || !sane)
        throw broken();
      const salted = await derive(password, salt, iterations, 32, 'sha256');
      const clientKey = hmac(salted, 'Client Key');
      const storedKey = createHash('sha256').update(clientKey).digest();
      const withoutProof = `c=${Buffer.from(withoutBinding).toString('base64')},r=${serverNonce}`;
      const text = `${firstBare},${challenge},${withoutProof}`;
      expected = hmac(hmac(salted, 'Server Key'), text);
      return `${withoutProof},p=${xor(clientKey, hmac(storedKey, text)).toString('base64')}`;
    },
    verify(outcome) {
      const signature = Buffer.from(readFields(outcome).get('v') ?? '', 'base64');
      if (
        expected === undefined ||
        signature.length !== expected.length ||
        !timingSafeEqual(signature, expected)
      ) {
        throw broken();
      }
    },
  };
}

function readFields(text: string): ReadonlyMap<string, string> {
  return new Map(text.split(',').map((field) => [field.slice(0, 1), field.slice(2)]));
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)));
}

function broken(): WritError {
  return new WritError('unreachable', {
    message: 'the server behind the catalog did not prove who it is',
    detail: 'SCRAM-SHA-256 failed on the server side.',
  });
}
