import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { expect } from 'vitest';
import { identifier, join, literal, type Sql, sql } from '../../../src/kernel/sql.ts';
import type { Expression, ExpressionType } from '../../../src/policy/expression/model.ts';
import { type BoundColumns, parseExpression } from '../../../src/policy/expression/parse.ts';
import { printDuckdb } from '../../../src/policy/expression/print-duckdb.ts';
import { printPostgres } from '../../../src/policy/expression/print-postgres.ts';
import type { PrintContext } from '../../../src/policy/expression/printer.ts';
import { evaluate, showValue } from './evaluate.ts';
import { attributes, columns, groups, principal, type Sample } from './expression-cases.ts';
import type { Row } from './hostile-rows.ts';
import { tokenKeyTable } from './token-key.ts';

// The same table and the same expressions in real engines; answers come back as comparable text.

export interface Asked {
  readonly text: string;
  readonly expression: Expression;
}

/** One list of answers per expression, one answer per row. A boolean is asked for as a filter, too. */
export type Answers = readonly (readonly (string | null)[])[];

const inDuckdb: Readonly<Record<string, string>> = {
  t: 'VARCHAR',
  u: 'VARCHAR',
  v: 'VARCHAR',
  i: 'INTEGER',
  j: 'INTEGER',
  b: 'BIGINT',
  c: 'BIGINT',
  n: 'DECIMAL(12,2)',
  m: 'DECIMAL(38,0)',
  f: 'BOOLEAN',
  d: 'DATE',
  s: 'TIMESTAMP',
  z: 'TIMESTAMPTZ',
  k: 'UUID',
};

/** Texts are sorted by C, by ICU and by a language: no comparison may depend on it, nor fail for it. */
const inPostgres: Readonly<Record<string, string>> = {
  ...inDuckdb,
  t: 'text collate "C"',
  u: 'text collate "und-x-icu"',
  v: 'varchar(20000) collate "tr-x-icu"',
  n: 'numeric(12,2)',
  m: 'numeric(38,0)',
  q: 'numeric',
  r: 'numeric(40,0)',
};

const boolean = (value: boolean): Sql => (value ? sql`true` : sql`false`);

const common = {
  column: (name: string) => identifier(name),
  principal: () => literal(principal),
  isMember: (group: string) => boolean(groups.includes(group)),
};

export const postgresContext: PrintContext = {
  ...common,
  attribute: (name) => sql`array[${join((attributes[name] ?? []).map(literal))}]::pg_catalog.text[]`,
};

const duckdbArray = (name: string): Sql => {
  const list = (attributes[name] ?? []).map((value) => literal(value).text).join(', ');
  return { ...sql``, text: `([${list}]::VARCHAR[])` };
};

/** As a list, and as values known while printing: both ways must answer alike. */
export const duckdbContexts: readonly PrintContext[] = [
  { ...common, attribute: duckdbArray },
  { ...common, attribute: duckdbArray, attributeValues: (name) => attributes[name] ?? [] },
];

const listOf = (types: Readonly<Record<string, string>>) =>
  Object.entries(types)
    .map(([name, type]) => `"${name}" ${type}`)
    .join(', ');

export const postgresTable = (temporary: boolean) =>
  `create ${temporary ? 'temp ' : ''}table hostile (row_id integer, ${listOf(inPostgres)})`;
const duckdbTable = `create table hostile (row_id integer, ${listOf(inDuckdb)})`;

/** 44 BC is year -43 of the row; `-000043-03-15 12:00` → `0044-03-15 (BC) 12:00` or `0044-03-15 12:00 BC`. */
function spelled(value: string, engine: 'postgres' | 'duckdb'): string {
  const [, year, rest = '', time = ''] = /^([-+]?\d{4,6})(-\d\d-\d\d)( .*)?$/.exec(value) ?? [];
  const number = Number(year);
  if (year === undefined || (number > 0 && number < 10_000)) return value;
  if (number > 0) return `${number}${rest}${time}`;
  const before = `${1 - number}`.padStart(4, '0') + rest;
  return engine === 'postgres' ? `${before}${time} BC` : `${before} (BC)${time}`;
}

const moments: ReadonlySet<string> = new Set(['d', 's', 'z']);

export function insertion(rows: readonly Row[], engine: 'postgres' | 'duckdb'): string {
  const names = Object.keys(engine === 'postgres' ? inPostgres : inDuckdb);
  const values = rows.map((row, i) => {
    const cells = names.map((name) => {
      const value = row[name] ?? null;
      if (value === null) return 'NULL';
      const text = moments.has(name) ? spelled(value, engine) : value;
      return literal(name === 'z' && !text.endsWith('infinity') ? zoned(text) : text).text;
    });
    return `(${[i, ...cells].join(', ')})`;
  });
  return `insert into hostile values ${values.join(', ')}`;
}

/** The zone stands before BC. */
const zoned = (text: string) => (text.endsWith(' BC') ? `${text.slice(0, -3)}+00 BC` : `${text}+00`);

export const batches = (asked: readonly Asked[]): Asked[][] =>
  Array.from({ length: Math.ceil(asked.length / 25) }, (_, i) => asked.slice(i * 25, i * 25 + 25));

/** Casts every answer to text in the engine; the dot keeps a client from taking a leading U+FEFF off. */
function question(
  asked: readonly Asked[],
  print: (expression: Expression) => Sql,
  text: string,
  from: string,
): string {
  const list = asked.map(({ expression }, i) => `'.' || cast(${print(expression).text} as ${text}) as c${i}`);
  return `select ${list.join(', ')} from ${from} order by row_id asc`;
}

/** The same as a filter below predicates of a person's own: what is pushed down is pushed down. */
function filterQuestion(
  asked: readonly Asked[],
  print: (expression: Expression) => Sql,
  from: string,
): string {
  const parts = asked.flatMap(({ expression }, i) =>
    expression.type === 'boolean'
      ? [
          `select ${i} as c, row_id from (select * from ${from} where ${print(expression).text}) as g where length(g.t || 'x') > 0 or g.i is null or g.i <> 5`,
        ]
      : [],
  );
  return parts.join(' union all ');
}

/** Rows kept by a filter must be those for which the expression is true. */
function checkFiltered(
  asked: readonly Asked[],
  answers: Answers,
  kept: readonly (readonly unknown[])[],
  rows: readonly Row[],
): void {
  for (const [i, { text, expression }] of asked.entries()) {
    if (expression.type !== 'boolean') continue;
    const shown = (row: Row) =>
      (row['t'] ?? null) !== null || (row['i'] ?? null) === null || Number(row['i']) !== 5;
    const wanted = (answers[i] ?? []).flatMap((answer, r) =>
      answer === 'true' && shown(rows[r] ?? {}) ? [r] : [],
    );
    const got = kept
      .filter(([c]) => Number(c) === i)
      .map(([, row]) => Number(row))
      .sort((a, b) => a - b);
    if (got.join() !== wanted.join()) throw new Error(`as a filter ${text} keeps ${got}, not ${wanted}`);
  }
}

export class Duckdb {
  readonly connection: DuckDBConnection;
  readonly #instance: DuckDBInstance;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.connection = connection;
  }

  static async open(): Promise<Duckdb> {
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    await connection.run("set timezone = 'UTC'; set threads = 1");
    await connection.run(duckdbTable);
    await connection.run(tokenKeyTable.duckdb);
    return new Duckdb(instance, connection);
  }

  async fill(rows: readonly Row[]): Promise<void> {
    await this.connection.run('delete from hostile');
    await this.connection.run(insertion(rows, 'duckdb'));
  }

  /** Of the rows that `from` holds, which `fill` put there. */
  async ask(
    asked: readonly Asked[],
    rows: readonly Row[],
    context: PrintContext,
    from = 'hostile',
  ): Promise<Answers> {
    const print = (expression: Expression) => printDuckdb(expression, context);
    const result = (
      await this.connection.runAndReadAll(question(asked, print, 'VARCHAR', from))
    ).getRowsJson();
    const answers = asked.map(({ expression }, i) =>
      result.map((row) => canonical(row[i] as string | null, expression.type)),
    );
    const filters = filterQuestion(asked, print, from);
    if (filters !== '') {
      const kept = await this.connection.runAndReadAll(filters);
      checkFiltered(asked, answers, kept.getRowsJson(), rows);
    }
    return answers;
  }

  close(): void {
    this.connection.closeSync();
    this.#instance.closeSync();
  }
}

type PostgresRows = readonly (readonly (string | null)[])[];

/** `query` runs statements in a session that has `postgresTable` and gives the rows of each. One round trip. */
export async function askPostgres(
  asked: readonly Asked[],
  rows: readonly Row[],
  query: (text: string) => Promise<readonly PostgresRows[]>,
): Promise<Answers> {
  const print = (expression: Expression) => printPostgres(expression, postgresContext);
  const statements = [
    'truncate hostile',
    insertion(rows, 'postgres'),
    question(asked, print, 'pg_catalog.text', 'hostile'),
  ];
  const filters = filterQuestion(asked, print, 'hostile');
  const results = await query([...statements, ...(filters === '' ? [] : [filters])].join(';\n'));
  const answers = asked.map(({ expression }, i) =>
    (results[2] ?? []).map((row) => canonical(row[i] ?? null, expression.type)),
  );
  checkFiltered(asked, answers, results[3] ?? [], rows);
  return answers;
}

/** Scale, fraction and years before Christ are spelled differently; the values are what must be equal. */
export function canonical(dotted: string | null, type: ExpressionType): string | null {
  if (dotted === null) return null;
  const text = dotted.slice(1);
  if (type === 'numeric') return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
  if (type !== 'date' && type !== 'timestamp' && type !== 'timestamptz') return text;
  const [, year, day, time, fraction = ''] =
    /^([+-]?\d{4,})(-\d\d-\d\d)(?: \(BC\))?(?: (\d\d:\d\d:\d\d)(?:\.(\d+))?)?/.exec(text) ?? [];
  if (year === undefined) return text;
  const astronomical = text.includes('BC') ? 1 - Number(year) : Number(year);
  const iso = new Date(new Date(0).setUTCFullYear(astronomical, 0, 1)).toISOString().slice(0, -20);
  return `${iso}${day}${time === undefined ? '' : ` ${time}.${fraction.padEnd(6, '0')}`}`;
}

/** Undefined where the digits of numerics do not fit beside each other, which depends on the whole expression. */
export function askedOf({ text, type }: Sample, bound: BoundColumns = columns): Asked | undefined {
  const { expression, problems } = parseExpression(text, bound, type, { type });
  if (expression !== undefined) return { text, expression };
  if (problems.every(({ message }) => message.includes('more than 38 digits'))) return undefined;
  throw new Error(`${text}: ${JSON.stringify(problems)}`);
}

/** What the language means, in the form of an engine's answers. */
export function meant(asked: readonly Asked[], rows: readonly Row[]): Answers {
  return asked.map(({ expression }) =>
    rows.map((row) => showValue(evaluate(expression, row), expression.type)),
  );
}

/** The first expression that is answered otherwise is shown with its answers. */
export function expectAlike(asked: readonly Asked[], answers: Answers, wanted: Answers): void {
  for (const [i, { text }] of asked.entries()) expect(answers[i], text).toEqual(wanted[i]);
}

/** For a property of bounded time: false once it is over. A run under way is never cut off, as fast-check's own limit would. */
export function within(ms: number): () => boolean {
  const until = Date.now() + ms;
  return () => Date.now() < until;
}
