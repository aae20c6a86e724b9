import { cString, int16, int32, message } from './encode.ts';

// Messages that a client sends: what the gateway says to the Postgres behind it. Pure.

export function startupMessage(parameters: ReadonlyMap<string, string>): Buffer {
  const pairs = [...parameters].flatMap(([name, value]) => [cString(name), cString(value)]);
  return untyped(int32(3 << 16), ...pairs, Buffer.from([0]));
}

export const sslRequest = (): Buffer => untyped(int32(80877103));

export const cancelRequest = (pid: number, key: Buffer): Buffer => untyped(int32(80877102), int32(pid), key);

export const saslInitialResponse = (mechanism: string, response: string): Buffer => {
  const bytes = Buffer.from(response, 'utf8');
  return message('p', cString(mechanism), int32(bytes.length), bytes);
};

export const saslResponse = (response: string): Buffer => message('p', Buffer.from(response, 'utf8'));

export const query = (text: string): Buffer => message('Q', cString(text));

/** `types` is the tail of a Parse message as it came: count and OIDs. */
export const parse = (name: string, text: string, types: Buffer = int16(0)): Buffer =>
  message('P', cString(name), cString(text), types);

export const flush = (): Buffer => message('H');
export const sync = (): Buffer => message('S');
export const terminate = (): Buffer => message('X');

function untyped(...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 4);
  return Buffer.concat([int32(length), ...parts], length);
}
