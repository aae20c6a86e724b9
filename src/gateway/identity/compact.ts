import { hash, timingSafeEqual } from 'node:crypto';

// `writ_<id>_<secret>`: 73 characters that pass every limit that clients have on passwords. The secret has 256 bits
// and is kept as a hash only. Pure: randomness is given.

export const compactPrefix = 'writ_';
export const idBytes = 12;
export const secretBytes = 32;

export interface CompactCredential {
  readonly id: string;
  readonly secret: string;
}

/** @param random at least 44 random bytes */
export function makeCompact(random: Uint8Array): CompactCredential {
  const bytes = Buffer.from(random);
  if (bytes.length < idBytes + secretBytes)
    throw new RangeError('a compact credential takes 44 random bytes');
  return {
    id: bytes.toString('hex', 0, idBytes),
    secret: bytes.toString('base64url', idBytes, idBytes + secretBytes),
  };
}

export function formatCompact({ id, secret }: CompactCredential): string {
  return `${compactPrefix}${id}_${secret}`;
}

/** Undefined when it is none. */
export function parseCompact(text: string): CompactCredential | undefined {
  const match = /^writ_([0-9a-f]{24})_([A-Za-z0-9_-]{43})$/.exec(text);
  return match === null ? undefined : { id: match[1] ?? '', secret: match[2] ?? '' };
}

/** Hex SHA-256. The secret is 256 random bits, so that nothing slower is needed. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret, 'hex');
}

/** Takes the same time whether or not there is a hash to compare with, and wherever the two differ. */
export function secretMatches(secret: string, secretHash: string | undefined): boolean {
  const given = Buffer.from(hashSecret(secret), 'hex');
  const kept = Buffer.from(secretHash ?? '', 'hex');
  const comparable = kept.length === given.length;
  return timingSafeEqual(given, comparable ? kept : Buffer.alloc(given.length)) && comparable;
}
