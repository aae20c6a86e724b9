import { sql } from '../../kernel/sql.ts';
import { type ExpressionExample, expressionExamples } from './examples.ts';
import { type MatrixRow, matrix } from './matrix.ts';
import { refusedForms, refusedFunctions, refusedNodes, refusedOperators } from './refusals.ts';

// docs/expressions.md, printed from the table that the code uses; a test keeps the file equal to it.

const letters = [sql`a`, sql`b`, sql`c`];

/** The published matrix as Markdown. */
export function matrixPage(): string {
  return [
    '# The expressions of row filters and column masks',
    '',
    'Postgres syntax, parsed by Postgres’s own parser, held to this table. What is not here is refused with its place.',
    'Beside it: `and`, `or`, `not`, `is null`, `in`, `case`, `coalesce`, literals, and the identity of the person who asks:',
    "`principal()`, `is_member('group')`, `x = any(attribute('name'))` (a missing attribute is an empty array).",
    '',
    '| operator | on | gives | Postgres | DuckDB | Trino | remarks |',
    '|---|---|---|---|---|---|---|',
    ...matrix.map(line),
    '',
    '## Examples',
    '',
    'For ana@acme.test of the group analysts, whose attribute `region` is EMEA. Each is run in Postgres and in DuckDB by test.',
    '',
    '| what | expression | gives |',
    '|---|---|---|',
    ...expressionExamples.map(exampleLine),
    '',
    'Tokens are those of the open key of `writ policy test` (32 zero bytes); an instance has a key of its own.',
    '',
    'A mask has its column’s type: a longer text is cut to a `varchar(n)`, and a mask that could have a number outside a',
    '`smallint` or `numeric(p,s)` is refused. An expression has at most 8192 characters.',
    '',
    '## Refused, and why',
    '',
    '| construct | reason |',
    '|---|---|',
    ...Object.entries(refusedOperators).map(([operator, why]) => reason(operator, why)),
    ...Object.entries(refusedFunctions).map(([name, why]) => reason(`${name}()`, why)),
    ...Object.entries({ ...refusedForms, ...refusedNodes }).map(([name, why]) => reason(name, why)),
    '',
  ].join('\n');
}

function line(row: MatrixRow): string {
  const operands = letters.slice(0, row.operands.length);
  const printed = [row.postgres, row.duckdb, row.trino].map((print) =>
    print === undefined ? 'refused' : code(print(...operands).text),
  );
  return `| ${[code(row.operator), row.operands.join(', '), row.result, ...printed, row.note ?? ''].join(' | ')} |`;
}

function exampleLine({ what, expression, rows }: ExpressionExample): string {
  const shown = (value: string | null) => (value === null ? 'NULL' : code(value === '' ? "''" : value));
  const results = rows.map(({ values, result }) => `${values.map(shown).join(', ')} → ${shown(result)}`);
  return `| ${[what, code(expression), results.join('<br>')].join(' | ')} |`;
}

function reason(construct: string, why: string): string {
  return `| ${code(construct)} | ${why} |`;
}

function code(text: string): string {
  return `\`${text.replaceAll('|', '\\|')}\``;
}
