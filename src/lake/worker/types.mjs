import { DuckDBTypeId as Id } from '@duckdb/node-api';

// DuckDB types → the Postgres types that a client is told. What Postgres has no name for is sent as text.

/** @type {Map<number, { oid: number, size: number, array: number }>} */
const scalars = new Map([
  [Id.BOOLEAN, { oid: 16, size: 1, array: 1000 }],
  [Id.TINYINT, { oid: 21, size: 2, array: 1005 }],
  [Id.UTINYINT, { oid: 21, size: 2, array: 1005 }],
  [Id.SMALLINT, { oid: 21, size: 2, array: 1005 }],
  [Id.USMALLINT, { oid: 23, size: 4, array: 1007 }],
  [Id.INTEGER, { oid: 23, size: 4, array: 1007 }],
  [Id.UINTEGER, { oid: 20, size: 8, array: 1016 }],
  [Id.BIGINT, { oid: 20, size: 8, array: 1016 }],
  [Id.UBIGINT, { oid: 1700, size: -1, array: 1231 }],
  [Id.HUGEINT, { oid: 1700, size: -1, array: 1231 }],
  [Id.UHUGEINT, { oid: 1700, size: -1, array: 1231 }],
  [Id.BIGNUM, { oid: 1700, size: -1, array: 1231 }],
  [Id.DECIMAL, { oid: 1700, size: -1, array: 1231 }],
  [Id.FLOAT, { oid: 700, size: 4, array: 1021 }],
  [Id.DOUBLE, { oid: 701, size: 8, array: 1022 }],
  [Id.VARCHAR, { oid: 25, size: -1, array: 1009 }],
  [Id.ENUM, { oid: 25, size: -1, array: 1009 }],
  [Id.BLOB, { oid: 17, size: -1, array: 1001 }],
  [Id.DATE, { oid: 1082, size: 4, array: 1182 }],
  [Id.TIME, { oid: 1083, size: 8, array: 1183 }],
  [Id.TIMESTAMP, { oid: 1114, size: 8, array: 1115 }],
  [Id.TIMESTAMP_S, { oid: 1114, size: 8, array: 1115 }],
  [Id.TIMESTAMP_MS, { oid: 1114, size: 8, array: 1115 }],
  [Id.TIMESTAMP_NS, { oid: 1114, size: 8, array: 1115 }],
  [Id.TIMESTAMP_TZ, { oid: 1184, size: 8, array: 1185 }],
  [Id.INTERVAL, { oid: 1186, size: 16, array: 1187 }],
  [Id.UUID, { oid: 2950, size: 16, array: 2951 }],
]);

const text = { oid: 25, size: -1 };
const json = { oid: 114, size: -1 };

/** Whether values are sent as JSON text. @param {import('@duckdb/node-api').DuckDBType} type */
export function isJson(type) {
  return type.alias === 'JSON' || [Id.STRUCT, Id.MAP, Id.UNION, Id.VARIANT].includes(type.typeId);
}

/** Whether values are sent as a Postgres array. @param {import('@duckdb/node-api').DuckDBType} type */
export function isArray(type) {
  const list = type.typeId === Id.LIST || type.typeId === Id.ARRAY;
  return list && !isJson(type.valueType) && scalars.has(type.valueType.typeId);
}

/**
 * @param {import('@duckdb/node-api').DuckDBType} type
 * @returns {{ oid: number, size: number }}
 */
export function postgresType(type) {
  if (isJson(type)) return json;
  if (isArray(type)) return { oid: scalars.get(type.valueType.typeId).array, size: -1 };
  if (type.typeId === Id.LIST || type.typeId === Id.ARRAY) return json;
  const found = scalars.get(type.typeId);
  return found === undefined ? text : { oid: found.oid, size: found.size };
}

/**
 * OID of a parameter; 0 where DuckDB could not tell.
 * @param {import('@duckdb/node-api').DuckDBPreparedStatement} prepared
 * @param {number} index
 */
export function parameterOid(prepared, index) {
  const typeId = prepared.parameterTypeId(index);
  if (typeId === Id.STRING_LITERAL) return 25;
  if (typeId === Id.INTEGER_LITERAL) return 20;
  if (typeId === Id.LIST) return postgresType(prepared.parameterType(index)).oid;
  return scalars.get(typeId)?.oid ?? 0;
}
