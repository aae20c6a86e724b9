import { identifier, join, literal, type Sql, sql } from '../../../src/kernel/sql.ts';
import { type ExpressionExample, exampleReader } from '../../../src/policy/expression/examples.ts';
import { typeNames } from '../../../src/policy/expression/matrix.ts';
import { parseExpression } from '../../../src/policy/expression/parse.ts';
import { printDuckdb } from '../../../src/policy/expression/print-duckdb.ts';
import { printPostgres } from '../../../src/policy/expression/print-postgres.ts';
import type { PrintContext } from '../../../src/policy/expression/printer.ts';

/** A SELECT whose one column holds the example's results, as text, in the order of its rows. */
export function exampleQuestion(example: ExpressionExample, engine: 'postgres' | 'duckdb'): string {
  const bound = new Map(Object.entries(example.columns).map(([name, type]) => [name, { type }]));
  const { expression, problems } = parseExpression(example.expression, bound, example.type);
  if (expression === undefined) throw new Error(`${example.expression}: ${JSON.stringify(problems)}`);
  const names = Object.entries(example.columns);
  const rows = example.rows.map((row, r) => {
    const cells = names.map(([name, type], i) => {
      const value = row.values[i] ?? null;
      const cell = value === null ? sql`NULL` : literal(value);
      return sql`CAST(${cell} AS ${typeNames[type][engine]}) AS ${identifier(name)}`;
    });
    return sql`SELECT ${literal(`${r}`)} AS place, ${join(cells)}`;
  });
  const print = engine === 'postgres' ? printPostgres : printDuckdb;
  const shown = print(expression, contextOf(engine));
  return sql`SELECT CAST(${shown} AS ${typeNames.text[engine]}) AS result FROM (${join(rows, ' UNION ALL ')}) AS example ORDER BY place`
    .text;
}

function contextOf(engine: 'postgres' | 'duckdb'): PrintContext {
  const values = (name: string): Sql => join((exampleReader.attributes[name] ?? []).map(literal));
  return {
    column: identifier,
    principal: () => literal(exampleReader.principal),
    isMember: (group) => (exampleReader.groups.includes(group) ? sql`true` : sql`false`),
    attribute: (name) =>
      engine === 'postgres' ? sql`ARRAY[${values(name)}]::text[]` : sql`([${values(name)}]::VARCHAR[])`,
  };
}
