import { WritError } from '../../kernel/errors.ts';
import {
  dateDays,
  dateOfDays,
  timeMicros,
  timeOfMicros,
  timestampMicros,
  timestampOfMicros,
} from './binary-times.ts';
import { int16, int32 } from './encode.ts';

// Postgres' binary formats of the common types, from and to their text. Pure. What is not here goes as text.

interface Codec {
  encode(text: string): Buffer;
  /** @throws with any error on malformed bytes; the caller names the parameter. */
  decode(bytes: Buffer): string;
}

const utf8: Codec = {
  encode: (text) => Buffer.from(text, 'utf8'),
  decode: (bytes) => bytes.toString('utf8'),
};

const int8 = (value: bigint): Buffer => {
  const out = Buffer.allocUnsafe(8);
  out.writeBigInt64BE(value);
  return out;
};

const float = (size: 4 | 8): Codec => ({
  encode: (text) => {
    const out = Buffer.allocUnsafe(size);
    if (size === 4) out.writeFloatBE(Number(text));
    else out.writeDoubleBE(Number(text));
    return out;
  },
  decode: (bytes) => {
    exactly(bytes, size);
    const value = size === 4 ? bytes.readFloatBE(0) : bytes.readDoubleBE(0);
    return String(value);
  },
});

/** Whole number texts 'infinity' and the like never come here: DuckDB prints them for dates and floats only. */
const codecs: ReadonlyMap<number, Codec> = new Map<number, Codec>([
  [
    16,
    {
      encode: (text) => Buffer.from([text === 't' ? 1 : 0]),
      decode: (bytes) => {
        exactly(bytes, 1);
        return bytes[0] === 0 ? 'f' : 't';
      },
    },
  ],
  [
    17,
    { encode: (text) => Buffer.from(text.slice(2), 'hex'), decode: (bytes) => `\\x${bytes.toString('hex')}` },
  ],
  [
    20,
    { encode: (text) => int8(BigInt(text)), decode: (bytes) => String(exactly(bytes, 8).readBigInt64BE(0)) },
  ],
  [
    21,
    { encode: (text) => int16(Number(text)), decode: (bytes) => String(exactly(bytes, 2).readInt16BE(0)) },
  ],
  [
    23,
    { encode: (text) => int32(Number(text)), decode: (bytes) => String(exactly(bytes, 4).readInt32BE(0)) },
  ],
  [25, utf8],
  [1043, utf8],
  [114, utf8],
  [700, float(4)],
  [701, float(8)],
  [
    1082,
    {
      encode: (text) => int32(dateDays(text)),
      decode: (bytes) => dateOfDays(exactly(bytes, 4).readInt32BE(0)),
    },
  ],
  [
    1083,
    {
      encode: (text) => int8(timeMicros(text)),
      decode: (bytes) => timeOfMicros(exactly(bytes, 8).readBigInt64BE(0)),
    },
  ],
  [
    1114,
    {
      encode: (text) => int8(timestampMicros(text)),
      decode: (bytes) => timestampOfMicros(exactly(bytes, 8).readBigInt64BE(0)),
    },
  ],
  [
    1184,
    {
      encode: (text) => int8(timestampMicros(text.replace(/\+00( BC)?$/, '$1'))),
      decode: (bytes) => zoned(timestampOfMicros(exactly(bytes, 8).readBigInt64BE(0))),
    },
  ],
  [1700, { encode: encodeNumeric, decode: decodeNumeric }],
  [
    2950,
    {
      encode: (text) => Buffer.from(text.replaceAll('-', ''), 'hex'),
      decode: (bytes) => {
        const hex = exactly(bytes, 16).toString('hex');
        return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
      },
    },
  ],
]);

/** Element types of the arrays that we send. */
const arrays: ReadonlyMap<number, number> = new Map([
  [1000, 16],
  [1001, 17],
  [1005, 21],
  [1007, 23],
  [1009, 25],
  [1016, 20],
  [1021, 700],
  [1022, 701],
  [1115, 1114],
  [1182, 1082],
  [1183, 1083],
  [1185, 1184],
  [1231, 1700],
  [2951, 2950],
]);

/** Text → the type's binary format. @throws refused_on_purpose where a type has none here */
export function encodeBinary(text: string, oid: number): Buffer {
  const codec = codecs.get(oid);
  if (codec !== undefined) return codec.encode(text);
  const element = arrays.get(oid);
  if (element !== undefined) return encodeArray(text, element);
  throw new WritError('refused_on_purpose', {
    message: `the lake does not send type ${oid} in binary format`,
    hint: 'ask for text format',
  });
}

/** A bound value → text. @throws query_failed 22P03 */
export function decodeParameter(bytes: Buffer, format: number, oid: number): string {
  if (format === 0) return bytes.toString('utf8');
  const codec = codecs.get(oid);
  if (codec === undefined) {
    throw new WritError('refused_on_purpose', {
      message: `the lake does not read parameters of type ${oid} in binary format`,
      hint: 'send the parameter as text',
    });
  }
  try {
    return codec.decode(bytes);
  } catch (cause) {
    throw new WritError('query_failed', {
      message: 'incorrect binary data format in a bind parameter',
      sqlstate: '22P03',
      cause,
    });
  }
}

function exactly(bytes: Buffer, size: number): Buffer {
  if (bytes.length !== size) throw new RangeError(`${bytes.length} bytes instead of ${size}`);
  return bytes;
}

const zoned = (text: string): string => {
  if (text.endsWith('infinity')) return text;
  return text.endsWith(' BC') ? `${text.slice(0, -3)}+00 BC` : `${text}+00`;
};

/** Base 10,000 digits: count, weight of the first, sign, digits after the point, the digits. */
function encodeNumeric(text: string): Buffer {
  if (text === 'NaN') return Buffer.concat([int16(0), int16(0), Buffer.from([0xc0, 0x00]), int16(0)]);
  const negative = text.startsWith('-');
  const [whole = '', fraction = ''] = text.replace('-', '').split('.');
  const left = whole.replace(/^0+/, '');
  const padded =
    left.padStart(Math.ceil(left.length / 4) * 4, '0') +
    fraction.padEnd(Math.ceil(fraction.length / 4) * 4, '0');
  const digits = padded.match(/.{4}/g)?.map(Number) ?? [];
  let weight = Math.ceil(left.length / 4) - 1;
  while (digits.length > 0 && digits[0] === 0) {
    digits.shift();
    weight--;
  }
  while (digits.length > 0 && digits.at(-1) === 0) digits.pop();
  const sign = Buffer.from(negative && digits.length > 0 ? [0x40, 0x00] : [0, 0]);
  const head = [int16(digits.length), int16(digits.length === 0 ? 0 : weight), sign, int16(fraction.length)];
  return Buffer.concat([...head, ...digits.map(int16)]);
}

function decodeNumeric(bytes: Buffer): string {
  const count = bytes.readUInt16BE(0);
  const weight = bytes.readInt16BE(2);
  const sign = bytes.readUInt16BE(4);
  const scale = bytes.readUInt16BE(6);
  exactly(bytes, 8 + 2 * count);
  if (sign === 0xc000) return 'NaN';
  const digit = (power: number): string => {
    const i = weight - power;
    return String(i >= 0 && i < count ? bytes.readUInt16BE(8 + 2 * i) : 0).padStart(4, '0');
  };
  let whole = '';
  for (let power = weight; power >= 0; power--) whole += digit(power);
  let fraction = '';
  for (let power = -1; fraction.length < scale; power--) fraction += digit(power);
  const text = (whole.replace(/^0+/, '') || '0') + (scale > 0 ? `.${fraction.slice(0, scale)}` : '');
  return sign === 0x4000 ? `-${text}` : text;
}

function encodeArray(text: string, elementOid: number): Buffer {
  const items = readArrayText(text);
  const hasNull = items.includes(null);
  const head = [int32(items.length === 0 ? 0 : 1), int32(hasNull ? 1 : 0), int32(elementOid)];
  if (items.length > 0) head.push(int32(items.length), int32(1));
  const values = items.flatMap((item) => {
    if (item === null) return [int32(-1)];
    const bytes = encodeBinary(item, elementOid);
    return [int32(bytes.length), bytes];
  });
  return Buffer.concat([...head, ...values]);
}

/** `{a,"b c",NULL}` → items; one dimension. */
export function readArrayText(text: string): readonly (string | null)[] {
  const items: (string | null)[] = [];
  const item = /(?:"((?:[^"\\]|\\.)*)"|([^,{}"]+))(?:,|\}$)/gy;
  item.lastIndex = 1;
  for (let match = item.exec(text); match !== null; match = item.exec(text)) {
    if (match[1] !== undefined) items.push(match[1].replaceAll(/\\(.)/gs, '$1'));
    else items.push(match[2] === 'NULL' ? null : (match[2] ?? ''));
  }
  return items;
}
