import type { WritError } from '../../kernel/errors.ts';

// Messages that a server sends. Pure: values in, bytes out.

export type TransactionStatus = 'I' | 'T' | 'E';
export type Severity = 'ERROR' | 'FATAL' | 'WARNING' | 'NOTICE';

/** Fields of an ErrorResponse or NoticeResponse by their one-letter codes, in the order in which they are sent. */
export type ErrorFields = ReadonlyMap<string, string>;

/** One message: type, length, payload parts. */
export function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 4);
  const out = Buffer.allocUnsafe(length + 1);
  out.writeUInt8(type.charCodeAt(0), 0);
  out.writeInt32BE(length, 1);
  let at = 5;
  for (const part of parts) at += part.copy(out, at);
  return out;
}

export const cString = (text: string): Buffer => Buffer.from(`${text.replaceAll('\0', '')}\0`, 'utf8');

export function int16(value: number): Buffer {
  const out = Buffer.allocUnsafe(2);
  out.writeInt16BE(value);
  return out;
}

export function int32(value: number): Buffer {
  const out = Buffer.allocUnsafe(4);
  out.writeInt32BE(value);
  return out;
}

export const authenticationOk = (): Buffer => message('R', int32(0));
export const authenticationCleartextPassword = (): Buffer => message('R', int32(3));

export const parameterStatus = (name: string, value: string): Buffer =>
  message('S', cString(name), cString(value));

/** `key`: 4 bytes in protocol 3.0, 4 to 256 in 3.2. */
export const backendKeyData = (pid: number, key: Buffer): Buffer => message('K', int32(pid), key);

export const readyForQuery = (status: TransactionStatus): Buffer =>
  message('Z', Buffer.from(status, 'latin1'));

/** Newest minor version of major 3 that we speak, and the `_pq_.` options that we do not know. */
export const negotiateProtocolVersion = (minor: number, unknown: readonly string[]): Buffer =>
  message('v', int32((3 << 16) | minor), int32(unknown.length), ...unknown.map(cString));

export const commandComplete = (tag: string): Buffer => message('C', cString(tag));
export const parseComplete = (): Buffer => message('1');
export const bindComplete = (): Buffer => message('2');
export const closeComplete = (): Buffer => message('3');
export const noData = (): Buffer => message('n');
export const emptyQueryResponse = (): Buffer => message('I');
export const portalSuspended = (): Buffer => message('s');
export const copyDone = (): Buffer => message('c');
export const copyData = (bytes: Buffer): Buffer => message('d', bytes);

export const parameterDescription = (oids: readonly number[]): Buffer =>
  message('t', int16(oids.length), ...oids.map(uint32));

/** All columns in one format: 0 text, 1 binary. */
export function copyOutResponse(format: 0 | 1, columns: number): Buffer {
  const formats = Array.from({ length: columns }, () => int16(format));
  return message('H', Buffer.from([format]), int16(columns), ...formats);
}

/** The table's SQLSTATE, message, detail, hint and position; `cause` never leaves the process. */
export function errorFields(error: WritError, severity: Severity = 'ERROR'): ErrorFields {
  const fields = new Map([
    ['S', severity],
    ['V', severity],
    ['C', error.sqlstate],
    ['M', error.message],
  ]);
  if (error.detail !== undefined) fields.set('D', error.detail);
  if (error.hint !== undefined) fields.set('H', error.hint);
  if (error.position !== undefined) fields.set('P', String(error.position));
  return fields;
}

export const errorResponse = (error: WritError, severity: 'ERROR' | 'FATAL' = 'ERROR'): Buffer =>
  encodeFields('E', errorFields(error, severity));

export const noticeResponse = (error: WritError, severity: Severity = 'NOTICE'): Buffer =>
  encodeFields('N', errorFields(error, severity));

/** 'E' or 'N' from fields: also an upstream's error with one field replaced. */
export function encodeFields(type: 'E' | 'N', fields: ErrorFields): Buffer {
  const parts = [...fields].map(([code, value]) => cString(`${code}${value}`));
  return message(type, ...parts, Buffer.from([0]));
}

function uint32(value: number): Buffer {
  const out = Buffer.allocUnsafe(4);
  out.writeUInt32BE(value);
  return out;
}
