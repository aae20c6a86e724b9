import { isUtf8 } from 'node:buffer';
import { WritError } from '../../kernel/errors.ts';
import { checkSetting } from './settings.ts';

// The packets that come before any message with a type byte. Pure: bytes in, values out.

export type StartupPacket =
  | { readonly kind: 'ssl-request' | 'gss-request' }
  | { readonly kind: 'cancel'; readonly pid: number; readonly key: Buffer }
  | {
      readonly kind: 'startup';
      readonly major: number;
      readonly minor: number;
      readonly parameters: readonly (readonly [string, string])[];
    };

/** What a client asked for, held against the allow-lists. */
export interface StartupRequest {
  /** Minor version that both speak: 0 or 2. */
  readonly minor: 0 | 2;
  readonly user: string;
  readonly database: string;
  /** Lower-cased names. */
  readonly settings: ReadonlyMap<string, string>;
  /** Set when the client must be told what we do not speak (NegotiateProtocolVersion). */
  readonly negotiate: { readonly minor: number; readonly unknown: readonly string[] } | undefined;
}

const sslRequestCode = 80877103;
const gssRequestCode = 80877104;
const cancelRequestCode = 80877102;
const newestMinor = 2;

/** `packet` is whole, its length included. @throws protocol_violation */
export function decodeStartupPacket(packet: Buffer): StartupPacket {
  const code = packet.readInt32BE(4);
  if (code === sslRequestCode && packet.length === 8) return { kind: 'ssl-request' };
  if (code === gssRequestCode && packet.length === 8) return { kind: 'gss-request' };
  if (code === cancelRequestCode) {
    const keyLength = packet.length - 12;
    if (keyLength < 4 || keyLength > 256) throw malformed('invalid length of cancel key');
    return { kind: 'cancel', pid: packet.readInt32BE(8), key: packet.subarray(12) };
  }
  const major = code >>> 16;
  const minor = code & 0xffff;
  // Whatever a foreign major version carries is not ours to parse.
  const parameters = major === 3 ? decodeParameters(packet.subarray(8)) : [];
  return { kind: 'startup', major, minor, parameters };
}

function decodeParameters(bytes: Buffer): (readonly [string, string])[] {
  if (!isUtf8(bytes)) throw new WritError('bad_encoding');
  const parameters: (readonly [string, string])[] = [];
  let at = 0;
  const next = (): string => {
    const end = bytes.indexOf(0, at);
    if (end < 0) throw malformed('invalid startup packet layout: expected terminator as last byte');
    const text = bytes.toString('utf8', at, end);
    at = end + 1;
    return text;
  };
  for (let name = next(); name !== ''; name = next()) parameters.push([name, next()]);
  if (at !== bytes.length) throw malformed('invalid startup packet layout: expected terminator as last byte');
  return parameters;
}

/**
 * Every refusal here ends the connection before a password is asked for.
 * @throws refused_on_purpose (version, replication, setting), protocol_violation (duplicates), permission_denied, bad_setting
 */
export function readStartup(packet: Extract<StartupPacket, { kind: 'startup' }>): StartupRequest {
  if (packet.major !== 3) {
    throw new WritError('refused_on_purpose', {
      message: `unsupported frontend protocol ${packet.major}.${packet.minor}: server supports 3.0 to 3.${newestMinor}`,
    });
  }
  const named = new Map<string, string>();
  const settings = new Map<string, string>();
  const unknown: string[] = [];
  for (const [name, value] of packet.parameters) {
    if (name.startsWith('_pq_.')) unknown.push(name);
    else if (name === 'user' || name === 'database' || name === 'options' || name === 'replication')
      setOnce(named, name, value);
    else setOnce(settings, name.toLowerCase(), value);
  }
  refuseReplication(named.get('replication'));
  const user = named.get('user') ?? '';
  if (user === '')
    throw new WritError('sign_in_refused', { message: 'no user name specified in startup packet' });
  // What stands in the packet itself wins over what stands in `options`, as in Postgres.
  const fromOptions = parseOptions(named.get('options') ?? '');
  const merged = new Map([...fromOptions, ...settings]);
  const tooNew = packet.minor > newestMinor;
  return {
    minor: packet.minor >= 2 ? 2 : 0,
    user,
    database: named.get('database') || user,
    settings: new Map([...merged].map(([name, value]) => [name, checkSetting(name, value)])),
    negotiate:
      tooNew || unknown.length > 0 ? { minor: Math.min(packet.minor, newestMinor), unknown } : undefined,
  };
}

function setOnce(into: Map<string, string>, name: string, value: string): void {
  // Two readers of one packet may each take another duplicate: who is let in would not be who acts.
  if (into.has(name)) throw malformed(`duplicate parameter "${name}" in startup packet`);
  into.set(name, value);
}

function refuseReplication(value: string | undefined): void {
  if (value === undefined || /^(false|off|no|0)$/i.test(value)) return;
  throw new WritError('refused_on_purpose', {
    message: 'replication connections are refused by this gateway',
    detail: 'A replication stream carries every row of every table.',
  });
}

/**
 * The `options` parameter as Postgres reads it: words split at white space, backslash escapes, then `-c name=value`,
 * `-cname=value` or `--name=value`. Names are lower-cased, `-` in them is `_`; a later one wins.
 * @throws refused_on_purpose for other switches, syntax_error for one without value
 */
export function parseOptions(options: string): ReadonlyMap<string, string> {
  const words = splitOptions(options);
  const settings = new Map<string, string>();
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    if (word === '-c') set(settings, words[++i] ?? '', word);
    else if (word.startsWith('-c')) set(settings, word.slice(2), word);
    else if (word.startsWith('--') && word.length > 2) set(settings, word.slice(2), word);
    else {
      throw new WritError('refused_on_purpose', {
        message: `command-line argument "${word}" is refused in connection options`,
        hint: 'Use -c name=value.',
      });
    }
  }
  return settings;
}

function set(settings: Map<string, string>, assignment: string, word: string): void {
  const at = assignment.indexOf('=');
  if (at <= 0)
    throw new WritError('syntax_error', { message: `${word} ${assignment} requires a value`.trim() });
  settings.set(assignment.slice(0, at).toLowerCase().replaceAll('-', '_'), assignment.slice(at + 1));
}

/** pg_split_opts: white space separates, a backslash takes the next character as it is. */
export function splitOptions(options: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < options.length; i++) {
    const char = options.charAt(i);
    if (/[ \t\n\v\f\r]/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === '\\') {
      word = (word ?? '') + options.charAt(++i);
    } else {
      word = (word ?? '') + char;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

function malformed(text: string): WritError {
  return new WritError('protocol_violation', { message: text });
}
