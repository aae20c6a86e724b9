import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

// SCRAM-SHA-256 as Postgres stores it (RFC 5802, RFC 7677): the server sees a verifier, never the password, so that
// neither its log nor pg_stat_statements can show one. Our passwords are ASCII, which SASLprep leaves as they are.

/** Postgres's own default; a higher count costs the gateway at each sign-in upstream. */
export const scramIterations = 4096;

/**
 * `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. `salt` is 16 random bytes.
 * @throws RangeError for a password that is not printable ASCII.
 */
export function scramVerifier(password: string, salt: Buffer, iterations = scramIterations): string {
  if (!/^[\x21-\x7e]+$/.test(password)) throw new RangeError('the password is not printable ASCII');
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = hmac(salted, 'Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
