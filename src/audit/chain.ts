import { hash } from 'node:crypto';

// The bytes of a record and what binds it to the one before. Pure: no I/O, no clock, no randomness.
//
//   seq \t leaf \t chain \t salt \t payload \n
//
//   leaf  = SHA-256(0x00 ‖ salt ‖ payload)      an RFC 6962 leaf over the salted payload
//   chain = SHA-256(previous chain ‖ leaf)
//
// Hashes and salt are base64url without padding. The salt keeps an erased payload from being guessed back; an erased
// record keeps seq, leaf and chain, so every later proof still holds, and has `-` for salt and payload.

export const hashBytes = 32;
export const saltBytes = 16;
/** Stands for the salt and the payload of an erased record. */
export const erasedMark = '-';

/** One line, as text. `salt` and `payload` are both `-` once erased. */
export interface RecordLine {
  readonly seq: number;
  readonly leaf: string;
  readonly chain: string;
  readonly salt: string;
  readonly payload: string;
}

/** The chain value before a writer's first record. It names the writer, so that folders cannot be swapped. */
export function genesis(writer: string): string {
  return hash('sha256', Buffer.from(`\u0002writ-audit v1 ${writer}`, 'utf8'), 'base64url');
}

/** Hash of the leaf that `salt` (16 bytes) and `payload` make. */
export function leafOf(salt: Uint8Array, payload: Uint8Array): string {
  const input = Buffer.allocUnsafe(1 + salt.length + payload.length);
  input[0] = 0;
  input.set(salt, 1);
  input.set(payload, 1 + salt.length);
  return hash('sha256', input, 'base64url');
}

/** The chain value after a record: both given and returned in base64url. */
export function chainOf(previous: string, leaf: string): string {
  const input = Buffer.alloc(2 * hashBytes);
  input.write(previous, 0, 'base64url');
  input.write(leaf, hashBytes, 'base64url');
  return hash('sha256', input, 'base64url');
}

export function formatLine(line: RecordLine): string {
  return `${line.seq}\t${line.leaf}\t${line.chain}\t${line.salt}\t${line.payload}\n`;
}

const hashText = /^[A-Za-z0-9_-]{43}$/;
const saltText = /^[A-Za-z0-9_-]{22}$/;

export function isHash(text: string): boolean {
  return hashText.test(text);
}

/** Reads one line (without its line end); undefined when it is no record. Hashes are not checked here. */
export function parseLine(text: string): RecordLine | undefined {
  const parts = text.split('\t');
  if (parts.length !== 5) return undefined;
  const [seqText = '', leaf = '', chain = '', salt = '', payload = ''] = parts;
  const seq = Number(seqText);
  const wellFormed =
    /^[1-9][0-9]{0,15}$/.test(seqText) && Number.isSafeInteger(seq) && isHash(leaf) && isHash(chain);
  const erased = salt === erasedMark && payload === erasedMark;
  if (!wellFormed || !(erased || (saltText.test(salt) && payload.startsWith('{')))) return undefined;
  return { seq, leaf, chain, salt, payload };
}

export function isErased(line: RecordLine): boolean {
  return line.salt === erasedMark;
}

/** Whether salt and payload are those that the leaf was made of; an erased record cannot be asked and counts as true. */
export function leafHolds(line: RecordLine): boolean {
  if (isErased(line)) return true;
  const salt = Buffer.from(line.salt, 'base64url');
  // Base64 has spare bits at its end: other text for the same bytes is an edit too.
  return (
    salt.toString('base64url') === line.salt && leafOf(salt, Buffer.from(line.payload, 'utf8')) === line.leaf
  );
}

/** The record that stays behind when a payload is erased. */
export function eraseLine(line: RecordLine): RecordLine {
  return { ...line, salt: erasedMark, payload: erasedMark };
}
