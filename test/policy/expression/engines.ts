import { DuckDBInstance } from '@duckdb/node-api';
import { identifier, join, literal, type Sql, sql } from '../../../src/kernel/sql.ts';
import type { Expression, ExpressionType } from '../../../src/policy/expression/model.ts';
import { parseExpression } from '../../../src/policy/expression/parse.ts';
import { printDuckdb } from '../../../src/policy/expression/print-duckdb.ts';
import { printPostgres } from '../../../src/policy/expression/print-postgres.ts';
import type { PrintContext } from '../../../src/policy/expression/printer.ts';
import { attributes, columns, groups, principal, rows, sampleExpressions } from './expression-cases.ts';

// The same table and the same expressions in real engines; answers come back as comparable text.

export interface Asked {
  readonly text: string;
  readonly expression: Expression;
}

/** One list of answers per expression, one answer per row. */
export type Answers = readonly (readonly (string | null)[])[];

const inDuckdb: Record<string, string> = {
  text: 'VARCHAR',
  integer: 'INTEGER',
  bigint: 'BIGINT',
  numeric: 'DECIMAL(12,2)',
  boolean: 'BOOLEAN',
  date: 'DATE',
  timestamp: 'TIMESTAMP',
  timestamptz: 'TIMESTAMPTZ',
  uuid: 'UUID',
};

const inPostgres: Record<string, string> = { ...inDuckdb, text: 'text', numeric: 'numeric(12,2)' };

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

function createStatements(types: Record<string, string>): string[] {
  const list = [...columns].map(([name, { type }]) => `"${name}" ${types[type]}`);
  const values = rows.map((row, i) => {
    const cells = [...columns.keys()].map((name) => {
      const value = row[name] ?? null;
      return value === null ? 'NULL' : literal(value).text;
    });
    return `(${[i, ...cells].join(', ')})`;
  });
  return [
    `create table hostile (row_id integer, ${list.join(', ')})`,
    `insert into hostile values ${values.join(', ')}`,
  ];
}

/** One text column is sorted by ICU, another by C: no comparison may depend on it, nor fail for it. */
export const postgresTable = createStatements(inPostgres).map((statement) =>
  statement.replace('"t" text', '"t" text collate "C"').replace('"u" text', '"u" text collate "und-x-icu"'),
);

export const batches = (asked: readonly Asked[]): Asked[][] =>
  Array.from({ length: Math.ceil(asked.length / 25) }, (_, i) => asked.slice(i * 25, i * 25 + 25));

/** Casts every answer to text in the engine; the dot keeps a client from taking a leading U+FEFF off. */
function question(batch: readonly Asked[], print: (expression: Expression) => Sql, text: string): string {
  const list = batch.map(({ expression }, i) => `'.' || cast(${print(expression).text} as ${text}) as c${i}`);
  return `select ${list.join(', ')} from hostile order by row_id`;
}

export async function askDuckdb(asked: readonly Asked[], context: PrintContext): Promise<Answers> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    await connection.run("set timezone = 'UTC'");
    for (const statement of createStatements(inDuckdb)) await connection.run(statement);
    const answers: (string | null)[][] = [];
    for (const batch of batches(asked)) {
      const text = question(batch, (expression) => printDuckdb(expression, context), 'VARCHAR');
      const result = (await connection.runAndReadAll(text)).getRowsJson();
      answers.push(
        ...batch.map(({ expression }, i) =>
          result.map((row) => canonical(row[i] as string | null, expression.type)),
        ),
      );
    }
    return answers;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** `query` runs one statement on a Postgres that has `postgresTable`. */
export async function askPostgres(
  asked: readonly Asked[],
  query: (text: string) => Promise<readonly (readonly (string | null)[])[]>,
): Promise<Answers> {
  const answers: (string | null)[][] = [];
  for (const batch of batches(asked)) {
    const result = await query(
      question(batch, (expression) => printPostgres(expression, postgresContext), 'pg_catalog.text'),
    );
    answers.push(
      ...batch.map(({ expression }, i) => result.map((row) => canonical(row[i] ?? null, expression.type))),
    );
  }
  return answers;
}

/** Scale and fraction are spelled differently; the values are what must be equal. */
export function canonical(dotted: string | null, type: ExpressionType): string | null {
  if (dotted === null) return null;
  const text = dotted.slice(1);
  if (type === 'numeric') return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
  if (type === 'timestamp' || type === 'timestamptz') {
    const [, seconds = '', fraction = ''] = /^(.{19})(?:\.(\d+))?/.exec(text) ?? [];
    return `${seconds}.${fraction.padEnd(6, '0')}`;
  }
  return text;
}

/** Random expressions, parsed: all are inside the matrix by construction. */
export function askedOf(count: number, seed: number): readonly Asked[] {
  return sampleExpressions(count, seed).map(({ text, type }) => {
    const { expression, problems } = parseExpression(text, columns, type);
    if (expression === undefined) throw new Error(`${text}: ${JSON.stringify(problems)}`);
    return { text, expression };
  });
}
