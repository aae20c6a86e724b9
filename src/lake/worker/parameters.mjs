import { DuckDBDecimalValue, DuckDBTypeId as Id, LIST, listValue, VARCHAR } from '@duckdb/node-api';

// Parameters arrive as text. Numbers are read here; for every other type DuckDB's own cast reads the text.

/** A value that cannot be read as its parameter's type; the message never repeats it. */
export class BadParameter extends Error {
  /**
   * @param {number} index
   * @param {string} type
   * @param {string} sqlstate
   */
  constructor(index, type, sqlstate = '22P02') {
    super(`invalid input syntax for type ${type} in parameter $${index}`);
    this.sqlstate = sqlstate;
  }
}

const integerRanges = new Map([
  [Id.TINYINT, [-(2n ** 7n), 2n ** 7n - 1n, 'smallint', 'bindTinyInt']],
  [Id.SMALLINT, [-(2n ** 15n), 2n ** 15n - 1n, 'smallint', 'bindSmallInt']],
  [Id.INTEGER, [-(2n ** 31n), 2n ** 31n - 1n, 'integer', 'bindInteger']],
  [Id.BIGINT, [-(2n ** 63n), 2n ** 63n - 1n, 'bigint', 'bindBigInt']],
  [Id.UTINYINT, [0n, 2n ** 8n - 1n, 'smallint', 'bindUTinyInt']],
  [Id.USMALLINT, [0n, 2n ** 16n - 1n, 'integer', 'bindUSmallInt']],
  [Id.UINTEGER, [0n, 2n ** 32n - 1n, 'bigint', 'bindUInteger']],
  [Id.UBIGINT, [0n, 2n ** 64n - 1n, 'numeric', 'bindUBigInt']],
  [Id.HUGEINT, [-(2n ** 127n), 2n ** 127n - 1n, 'numeric', 'bindHugeInt']],
  [Id.INTEGER_LITERAL, [-(2n ** 63n), 2n ** 63n - 1n, 'bigint', 'bindBigInt']],
]);
const wide = new Set([Id.BIGINT, Id.UBIGINT, Id.HUGEINT, Id.INTEGER_LITERAL]);

const castNames = new Map([
  [Id.DATE, 'DATE'],
  [Id.TIME, 'TIME'],
  [Id.TIMESTAMP, 'TIMESTAMP'],
  [Id.TIMESTAMP_TZ, 'TIMESTAMPTZ'],
  [Id.INTERVAL, 'INTERVAL'],
  [Id.UUID, 'UUID'],
]);

/**
 * @param {import('@duckdb/node-api').DuckDBConnection} connection
 * @param {import('@duckdb/node-api').DuckDBPreparedStatement} prepared
 * @param {(string | null)[]} values
 */
export async function bindAll(connection, prepared, values) {
  for (let i = 1; i <= prepared.parameterCount; i++) {
    const name = prepared.parameterName(i);
    const value = values[Number(name) - 1] ?? null;
    await bindOne(connection, prepared, i, value);
  }
}

async function bindOne(connection, prepared, index, value) {
  if (value === null) return prepared.bindNull(index);
  const typeId = prepared.parameterTypeId(index);
  const range = integerRanges.get(typeId);
  if (range !== undefined) return bindInteger(prepared, index, value, range, wide.has(typeId));
  switch (typeId) {
    case Id.BOOLEAN:
      return prepared.bindBoolean(index, readBoolean(index, value));
    case Id.FLOAT:
    case Id.DOUBLE:
      return prepared.bindDouble(index, readDouble(index, value));
    case Id.DECIMAL:
      return prepared.bindDecimal(index, readDecimal(index, value));
    case Id.BLOB:
      return prepared.bindBlob(index, readBytes(index, value));
    case Id.LIST:
      return bindList(connection, prepared, index, value);
    default:
      return bindByCast(connection, prepared, index, value, castNames.get(typeId));
  }
}

function bindInteger(prepared, index, value, [low, high, name, bind], isWide) {
  if (!/^\s*[+-]?[0-9]+\s*$/.test(value)) throw new BadParameter(index, name);
  const number = BigInt(value.trim().replace(/^\+/, ''));
  if (number < low || number > high) throw new BadParameter(index, name, '22003');
  prepared[bind](index, isWide ? number : Number(number));
}

function readBoolean(index, value) {
  const text = value.trim().toLowerCase();
  if (['t', 'true', 'y', 'yes', 'on', '1'].includes(text)) return true;
  if (['f', 'false', 'n', 'no', 'off', '0'].includes(text)) return false;
  throw new BadParameter(index, 'boolean');
}

function readDouble(index, value) {
  const text = value.trim();
  const special = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (special !== null) {
    if (special[2].toLowerCase() === 'nan') return Number.NaN;
    return special[1] === '-' ? -Infinity : Infinity;
  }
  if (!/^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?$/i.test(text)) {
    throw new BadParameter(index, 'double precision');
  }
  return Number(text);
}

/** Keeps every digit that was sent: rounding to the column's scale would change what is compared. */
function readDecimal(index, value) {
  const match = /^\s*([+-]?)([0-9]*)(?:\.([0-9]*))?\s*$/.exec(value);
  const digits = `${match?.[2] ?? ''}${match?.[3] ?? ''}`;
  if (match === null || digits === '') throw new BadParameter(index, 'numeric');
  if (digits.length > 38) throw new BadParameter(index, 'numeric', '22003');
  const scaled = BigInt(digits);
  return new DuckDBDecimalValue(match[1] === '-' ? -scaled : scaled, 38, (match[3] ?? '').length);
}

function readBytes(index, value) {
  if (!/^\\x([0-9a-f]{2})*$/i.test(value)) throw new BadParameter(index, 'bytea');
  return Buffer.from(value.slice(2), 'hex');
}

async function bindByCast(connection, prepared, index, value, castName) {
  if (castName === undefined) return prepared.bindVarchar(index, value);
  const cast = await connection.prepare(`select try_cast($1::varchar as ${castName})`);
  cast.bindVarchar(1, value);
  const result = await cast.runAndReadAll();
  const read = result.getRows()[0]?.[0] ?? null;
  if (read === null) throw new BadParameter(index, castName.toLowerCase(), '22007');
  prepared.bindValue(index, read, result.columnType(0));
}

/** `{a,"b c",NULL}` as Postgres writes arrays; one dimension. */
async function bindList(connection, prepared, index, value) {
  const type = prepared.parameterType(index);
  const cast = await connection.prepare(`select try_cast($1 as ${String(type)})`);
  cast.bindList(1, listValue(readArray(index, value)), LIST(VARCHAR));
  const read = (await cast.runAndReadAll()).getRows()[0]?.[0] ?? null;
  if (read === null) throw new BadParameter(index, 'array');
  prepared.bindList(index, read, type);
}

function readArray(index, value) {
  const text = value.trim();
  if (text === '{}') return [];
  const items = [];
  const item = /\s*(?:"((?:[^"\\]|\\.)*)"|([^,{}"\s][^,{}"]*))\s*(,|\}$)/gsy;
  item.lastIndex = 1;
  for (let match = item.exec(text); match !== null; match = item.exec(text)) {
    if (match[1] !== undefined) items.push(match[1].replaceAll(/\\(.)/gs, '$1'));
    else items.push(/^null$/i.test(match[2].trim()) ? null : match[2].trim());
    if (match[3] !== ',') return items;
  }
  throw new BadParameter(index, 'array', '22P02');
}
