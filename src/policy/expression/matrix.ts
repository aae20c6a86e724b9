import { type Sql, sql } from '../../kernel/sql.ts';
import type { ArithmeticOperator, ComparisonOperator, ExpressionType, TextFunction } from './model.ts';

// The published matrix: which operator takes which types, and how each engine says it so that the answers are the same.
// A row is data; what has no row is no policy expression. docs/expressions.md is printed from this table.

type Print = (...operands: readonly Sql[]) => Sql;

export type MatrixOperator = ComparisonOperator | ArithmeticOperator | '||' | '::' | 'token' | TextFunction;

export interface MatrixRow {
  readonly operator: MatrixOperator;
  readonly operands: readonly ExpressionType[];
  readonly result: ExpressionType;
  readonly postgres: Print;
  readonly duckdb: Print;
  /** Absent: refused there. */
  readonly trino?: Print;
  /** What a reader must know. */
  readonly note?: string;
}

/** How each engine spells the types. Postgres names are qualified: a search path cannot change what they mean. */
export const typeNames: Record<
  ExpressionType,
  { readonly postgres: Sql; readonly duckdb: Sql; readonly trino: Sql }
> = {
  text: { postgres: sql`pg_catalog.text`, duckdb: sql`VARCHAR`, trino: sql`VARCHAR` },
  integer: { postgres: sql`pg_catalog.int4`, duckdb: sql`INTEGER`, trino: sql`INTEGER` },
  bigint: { postgres: sql`pg_catalog.int8`, duckdb: sql`BIGINT`, trino: sql`BIGINT` },
  numeric: { postgres: sql`pg_catalog.numeric`, duckdb: sql`DECIMAL(38, 0)`, trino: sql`DECIMAL(38, 0)` },
  boolean: { postgres: sql`pg_catalog.bool`, duckdb: sql`BOOLEAN`, trino: sql`BOOLEAN` },
  date: { postgres: sql`pg_catalog.date`, duckdb: sql`DATE`, trino: sql`DATE` },
  timestamptz: {
    postgres: sql`pg_catalog.timestamptz`,
    duckdb: sql`TIMESTAMPTZ`,
    trino: sql`TIMESTAMP(6) WITH TIME ZONE`,
  },
  timestamp: { postgres: sql`pg_catalog.timestamp`, duckdb: sql`TIMESTAMP`, trino: sql`TIMESTAMP(6)` },
  uuid: { postgres: sql`pg_catalog.uuid`, duckdb: sql`UUID`, trino: sql`UUID` },
  'text[]': { postgres: sql`pg_catalog.text[]`, duckdb: sql`VARCHAR[]`, trino: sql`ARRAY(VARCHAR)` },
};

const inPostgres: Record<ComparisonOperator | ArithmeticOperator | '||', Sql> = {
  '=': sql`OPERATOR(pg_catalog.=)`,
  '<>': sql`OPERATOR(pg_catalog.<>)`,
  '<': sql`OPERATOR(pg_catalog.<)`,
  '<=': sql`OPERATOR(pg_catalog.<=)`,
  '>': sql`OPERATOR(pg_catalog.>)`,
  '>=': sql`OPERATOR(pg_catalog.>=)`,
  '+': sql`OPERATOR(pg_catalog.+)`,
  '-': sql`OPERATOR(pg_catalog.-)`,
  '*': sql`OPERATOR(pg_catalog.*)`,
  '||': sql`OPERATOR(pg_catalog.||)`,
};

const elsewhere: Record<keyof typeof inPostgres, Sql> = {
  '=': sql`=`,
  '<>': sql`<>`,
  '<': sql`<`,
  '<=': sql`<=`,
  '>': sql`>`,
  '>=': sql`>=`,
  '+': sql`+`,
  '-': sql`-`,
  '*': sql`*`,
  '||': sql`||`,
};

/** The qualified operator, so that neither a search path nor a user's operator can stand in for it. */
export function postgresOperator(operator: keyof typeof inPostgres): Sql {
  return inPostgres[operator];
}

const missing = sql`NULL`;

function infix(
  operator: keyof typeof inPostgres,
  type: ExpressionType,
  result: ExpressionType,
  note?: string,
): MatrixRow {
  const postgres = inPostgres[operator];
  const other = elsewhere[operator];
  const print: Print = (a = missing, b = missing) => sql`(${a} ${other} ${b})`;
  return {
    operator,
    operands: [type, type],
    result,
    postgres: (a = missing, b = missing) => sql`(${a} ${postgres} ${b})`,
    duckdb: print,
    trino: print,
    ...(note === undefined ? {} : { note }),
  };
}

const comparable = ['text', 'boolean', 'uuid'] as const;
const ordered = ['integer', 'bigint', 'numeric', 'date', 'timestamp', 'timestamptz'] as const;
const equality = ['=', '<>'] as const;
const order = ['<', '<=', '>', '>='] as const;

const comparisons: readonly MatrixRow[] = [
  ...equality.flatMap((operator) =>
    [...comparable, ...ordered].map((type) => infix(operator, type, 'boolean')),
  ),
  ...order.flatMap((operator) => ordered.map((type) => infix(operator, type, 'boolean'))),
];

// DuckDB's optimizer moves constants over the operators: -2147483648 < i * -1 is then always false, and adding two
// constants first can overflow. It leaves the functions of the same meaning alone.
const duckdbArithmetic: Record<ArithmeticOperator, Print> = {
  '+': (a = missing, b = missing) => sql`add(${a}, ${b})`,
  '-': (a = missing, b = missing) => sql`subtract(${a}, ${b})`,
  '*': (a = missing, b = missing) => sql`multiply(${a}, ${b})`,
};

// Operands are widened first, until no pair of values can overflow.
const arithmetic: readonly MatrixRow[] = (['+', '-', '*'] as const).flatMap((operator) =>
  (['integer', 'bigint', 'numeric'] as const).map((type) => ({
    ...infix(operator, type, type, 'operands are integer or bigint, widened until nothing can overflow'),
    duckdb: duckdbArithmetic[operator],
  })),
);

const count = 'the number is a literal from 0 to 1000000';

const texts: readonly MatrixRow[] = [
  infix('||', 'text', 'text'),
  {
    operator: 'left',
    operands: ['text', 'integer'],
    result: 'text',
    postgres: (a = missing, n = missing) => sql`pg_catalog."left"(${a}, ${n})`,
    duckdb: (a = missing, n = missing) => sql`left(${a}, ${n})`,
    trino: (a = missing, n = missing) => sql`substr(${a}, 1, ${n})`,
    note: count,
  },
  {
    operator: 'right',
    operands: ['text', 'integer'],
    result: 'text',
    postgres: (a = missing, n = missing) => sql`pg_catalog."right"(${a}, ${n})`,
    duckdb: (a = missing, n = missing) => sql`right(${a}, ${n})`,
    trino: (a = missing, n = missing) => sql`substr(${a}, greatest(length(${a}) - ${n} + 1, 1))`,
    note: count,
  },
  {
    operator: 'substring',
    operands: ['text', 'integer'],
    result: 'text',
    postgres: (a = missing, from = missing) => sql`pg_catalog."substring"(${a}, ${from})`,
    duckdb: (a = missing, from = missing) => sql`substring(${a}, ${from})`,
    trino: (a = missing, from = missing) => sql`substr(${a}, ${from})`,
    note: 'the start is a literal from 1 to 1000000',
  },
  {
    operator: 'substring',
    operands: ['text', 'integer', 'integer'],
    result: 'text',
    postgres: (a = missing, from = missing, n = missing) => sql`pg_catalog."substring"(${a}, ${from}, ${n})`,
    duckdb: (a = missing, from = missing, n = missing) => sql`substring(${a}, ${from}, ${n})`,
    trino: (a = missing, from = missing, n = missing) => sql`substr(${a}, ${from}, ${n})`,
    note: 'the start is a literal from 1, the length a literal from 0, to 1000000',
  },
  {
    operator: 'split_part',
    operands: ['text', 'text', 'integer'],
    result: 'text',
    // It compares: columns of two collations would be an error when it runs, another collation another answer.
    postgres: (a = missing, by = missing, n = missing) =>
      sql`pg_catalog.split_part((${a} COLLATE pg_catalog."C"), ${by}, ${n})`,
    duckdb: (a = missing, by = missing, n = missing) => sql`split_part(${a}, ${by}, ${n})`,
    // Past the last part Trino answers NULL where the others answer ''.
    trino: (a = missing, by = missing, n = missing) =>
      sql`coalesce(split_part(${a}, ${by}, ${n}), CASE WHEN ${a} IS NOT NULL THEN '' END)`,
    note: 'the separator is a literal that is not empty, the number a literal from 1 to 1000000',
  },
  {
    operator: 'length',
    operands: ['text'],
    result: 'integer',
    postgres: (a = missing) => sql`pg_catalog.length(${a})`,
    duckdb: (a = missing) => sql`CAST(length(${a}) AS INTEGER)`,
    trino: (a = missing) => sql`CAST(length(${a}) AS INTEGER)`,
    note: 'counts code points',
  },
];

// No wider than the integer needs: beside DECIMAL(38, 0) DuckDB would round other numerics' fractions away.
const decimals = { integer: sql`DECIMAL(10, 0)`, bigint: sql`DECIMAL(19, 0)` };

function cast(from: 'integer' | 'bigint' | 'boolean' | 'uuid', to: ExpressionType): MatrixRow {
  const decimal = to === 'numeric' && (from === 'integer' || from === 'bigint') ? decimals[from] : undefined;
  const names = decimal === undefined ? typeNames[to] : { ...typeNames[to], duckdb: decimal, trino: decimal };
  return {
    operator: '::',
    operands: [from],
    result: to,
    postgres: (a = missing) => sql`(${a})::${names.postgres}`,
    duckdb: (a = missing) => sql`CAST(${a} AS ${names.duckdb})`,
    trino: (a = missing) => sql`CAST(${a} AS ${names.trino})`,
  };
}

const casts: readonly MatrixRow[] = [
  cast('integer', 'bigint'),
  cast('integer', 'numeric'),
  cast('bigint', 'numeric'),
  cast('integer', 'text'),
  cast('bigint', 'text'),
  cast('boolean', 'text'),
  cast('uuid', 'text'),
];

// HMAC-SHA-256 (RFC 2104) over the UTF-8 text, its first 16 bytes in hex. The key never stands in SQL: its two padded
// blocks stand in a table that the views' owner reads and nobody can name (docs/adr/0012). A function would be an oracle.
const token: MatrixRow = {
  operator: 'token',
  operands: ['text'],
  result: 'text',
  postgres: (a = missing) =>
    sql`pg_catalog.encode(pg_catalog."substring"(pg_catalog.sha256((select k.outer_block from writ.token_key as k) ${inPostgres['||']} pg_catalog.sha256((select k.inner_block from writ.token_key as k) ${inPostgres['||']} pg_catalog.convert_to(${a}, 'UTF8'::pg_catalog.name))), 1, 16), 'hex'::pg_catalog.text)`,
  duckdb: (a = missing) =>
    sql`left(sha256((select k.outer_block from memory.writ.token_key as k) || from_hex(sha256((select k.inner_block from memory.writ.token_key as k) || encode(${a})))), 32)`,
  note: 'a column mask only, of `value` and no other column; 32 hex digits, the same in every engine; refused in Trino',
};

export const matrix: readonly MatrixRow[] = [...comparisons, ...arithmetic, ...texts, token, ...casts];

const rows: ReadonlyMap<string, MatrixRow> = new Map(
  matrix.map((row) => [
    rowKey(row.operator, row.operands, row.operator === '::' ? row.result : undefined),
    row,
  ]),
);

function rowKey(operator: string, operands: readonly ExpressionType[], to?: ExpressionType): string {
  return `${operator}(${operands.join(',')})${to === undefined ? '' : `→${to}`}`;
}

/** The row for an operator on these types; `to` for casts. Undefined: outside the matrix. */
export function matrixRow(
  operator: MatrixOperator,
  operands: readonly ExpressionType[],
  to?: ExpressionType,
): MatrixRow | undefined {
  return rows.get(rowKey(operator, operands, operator === '::' ? to : undefined));
}
