import { DuckDBTypeId as Id } from '@duckdb/node-api';
import { isArray, isJson } from './types.mjs';

// DuckDB values → the text that Postgres would print for them (DateStyle ISO, TimeZone UTC, bytea_output hex).

/**
 * A function that prints the values of one column; null stays null.
 * @param {import('@duckdb/node-api').DuckDBType} type
 * @returns {(value: any) => string | null}
 */
export function textOf(type) {
  const print = printer(type);
  return (value) => (value === null || value === undefined ? null : print(value));
}

/** @type {Map<number, (value: any) => string>} */
const printers = new Map([
  [Id.BOOLEAN, (value) => (value ? 't' : 'f')],
  [Id.FLOAT, (value) => floatText(value, 6)],
  [Id.DOUBLE, (value) => floatText(value, 15)],
  [Id.DATE, (value) => dateText(value.days)],
  [Id.TIME, (value) => timeText(value.micros)],
  [Id.TIMESTAMP, (value) => timestampText(value.micros)],
  [Id.TIMESTAMP_S, (value) => timestampText(value.seconds * 1_000_000n)],
  [Id.TIMESTAMP_MS, (value) => timestampText(value.millis * 1_000n)],
  [Id.TIMESTAMP_NS, (value) => timestampText(value.nanos / 1_000n)],
  [Id.TIMESTAMP_TZ, (value) => zoned(timestampText(value.micros))],
  [Id.INTERVAL, (value) => intervalText(value)],
  [Id.BLOB, (value) => `\\x${Buffer.from(value.bytes).toString('hex')}`],
]);

function printer(type) {
  if (type.alias === 'JSON') return String;
  if (isArray(type)) return (value) => arrayText(value.items, textOf(type.valueType));
  if (isJson(type) || type.typeId === Id.LIST || type.typeId === Id.ARRAY) {
    return (value) => JSON.stringify(jsonOf(value, type));
  }
  return printers.get(type.typeId) ?? String;
}

/**
 * The shortest digits that read back as the same number, in Postgres' spelling: exponent below 1e-4 and from 1e15
 * (single precision: 1e6).
 * @param {number} value
 * @param {6 | 15} digits
 */
export function floatText(value, digits) {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const shortest = digits === 15 ? value.toExponential() : shortestSingle(value);
  const [mantissa = '', power = '0'] = shortest.split('e');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= digits) {
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  return plainDecimal(mantissa, exponent);
}

function shortestSingle(value) {
  for (let digits = 0; digits < 9; digits++) {
    const text = value.toExponential(digits);
    if (Math.fround(Number(text)) === Math.fround(value)) return text;
  }
  return value.toExponential(8);
}

function plainDecimal(mantissa, exponent) {
  const sign = mantissa.startsWith('-') ? '-' : '';
  const digits = mantissa.replace('-', '').replace('.', '');
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const rest = digits.slice(exponent + 1);
  return rest === '' ? sign + whole : `${sign}${whole}.${rest}`;
}

const dayMicros = 86_400_000_000n;

/** @param {number} days since 1970-01-01; DuckDB's infinities are the ends of int32 */
export function dateText(days) {
  if (days === 2147483647) return 'infinity';
  if (days === -2147483647) return '-infinity';
  const { year, month, day } = civil(days);
  const text = `${String(year > 0 ? year : 1 - year).padStart(4, '0')}-${two(month)}-${two(day)}`;
  return year > 0 ? text : `${text} BC`;
}

/** Proleptic Gregorian calendar (Hinnant's algorithm): Date has a smaller range than DuckDB. */
function civil(days) {
  const z = days + 719468;
  const era = Math.floor(z / 146097);
  const doe = z - era * 146097;
  const yoe = Math.floor(
    (doe - Math.floor(doe / 1460) + Math.floor(doe / 36524) - Math.floor(doe / 146096)) / 365,
  );
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  return {
    year: yoe + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: doy - Math.floor((153 * mp + 2) / 5) + 1,
  };
}

/** @param {bigint} micros since midnight */
export function timeText(micros) {
  const seconds = Number(micros / 1_000_000n);
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return clock + fraction(micros % 1_000_000n);
}

/** @param {bigint} micros since the epoch */
export function timestampText(micros) {
  if (micros === 9223372036854775807n) return 'infinity';
  if (micros === -9223372036854775807n) return '-infinity';
  let days = micros / dayMicros;
  if (micros < 0n && micros % dayMicros !== 0n) days -= 1n;
  const [date = '', era] = dateText(Number(days)).split(' ');
  const text = `${date} ${timeText(micros - days * dayMicros)}`;
  return era === undefined ? text : `${text} ${era}`;
}

function zoned(text) {
  if (text.endsWith('infinity')) return text;
  return text.endsWith(' BC') ? `${text.slice(0, -3)}+00 BC` : `${text}+00`;
}

function fraction(micros) {
  return micros === 0n ? '' : `.${String(micros).padStart(6, '0').replace(/0+$/, '')}`;
}

function two(value) {
  return String(value).padStart(2, '0');
}

/** @param {{ months: number, days: number, micros: bigint }} interval */
export function intervalText({ months, days, micros }) {
  const years = Math.trunc(months / 12);
  const parts = [
    [years, years === 1 ? 'year' : 'years'],
    [months % 12, months % 12 === 1 ? 'mon' : 'mons'],
    [days, days === 1 ? 'day' : 'days'],
  ].filter(([count]) => count !== 0);
  const shown = parts.map(([count, unit]) => `${count} ${unit}`);
  if (micros !== 0n || shown.length === 0) {
    shown.push(micros < 0n ? `-${timeText(-micros)}` : timeText(micros));
  }
  return shown.join(' ');
}

/** `{a,"b c",NULL}` */
function arrayText(items, print) {
  const parts = items.map((item) => {
    const text = print(item);
    if (text === null) return 'NULL';
    const plain = text !== '' && !/[{}",\\\s]/.test(text) && text.toUpperCase() !== 'NULL';
    return plain ? text : `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  });
  return `{${parts.join(',')}}`;
}

function jsonOf(value, type) {
  if (value === null || value === undefined) return null;
  switch (type.typeId) {
    case Id.LIST:
    case Id.ARRAY:
      return value.items.map((item) => jsonOf(item, type.valueType));
    case Id.STRUCT:
      return Object.fromEntries(
        type.entryNames.map((name, i) => [name, jsonOf(value.entries[name], type.entryTypes[i])]),
      );
    case Id.MAP:
      return Object.fromEntries(
        value.entries.map(({ key, value: one }) => [
          textOf(type.keyType)(key) ?? '',
          jsonOf(one, type.valueType),
        ]),
      );
    case Id.BOOLEAN:
      return value;
    case Id.TINYINT:
    case Id.SMALLINT:
    case Id.INTEGER:
    case Id.UTINYINT:
    case Id.USMALLINT:
    case Id.UINTEGER:
      return value;
    case Id.FLOAT:
    case Id.DOUBLE:
      return Number.isFinite(value) ? value : String(value);
    case Id.UNION:
    case Id.VARIANT:
      return String(value);
    default:
      return textOf(type)(value);
  }
}
