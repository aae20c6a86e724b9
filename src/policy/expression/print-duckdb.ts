import { integer, join, literal, type Sql, sql } from '../../kernel/sql.ts';
import { typeNames } from './matrix.ts';
import type { Expression } from './model.ts';
import { type Dialect, printExpression } from './print.ts';
import type { PrintContext } from './printer.ts';

const dialect: Dialect = {
  engine: 'duckdb',

  literal(value, type) {
    const name = typeNames[type].duckdb;
    // DECIMAL(38, 0) would round: a literal has the scale that it is written with, and NULL takes its neighbour's.
    if (type === 'numeric') return value === null ? sql`NULL` : decimal(String(value));
    return value === null ? sql`CAST(NULL AS ${name})` : sql`CAST(${literal(String(value))} AS ${name})`;
  },

  any(operand, attribute, context) {
    const values = context.attributeValues?.(attribute);
    if (values !== undefined)
      return values.length === 0
        ? sql`CAST('false' AS BOOLEAN)`
        : sql`(${operand} IN (${join(values.map(literal))}))`;
    const array = context.attribute(attribute);
    return sql`(len(${array}) > 0 AND CASE WHEN ${operand} IS NOT NULL THEN list_contains(${array}, ${operand}) END)`;
  },

  in(operand, list, _type, negated) {
    return negated ? sql`(${operand} NOT IN (${join(list)}))` : sql`(${operand} IN (${join(list)}))`;
  },
};

function decimal(value: string): Sql {
  const [whole = '0', fraction = ''] = value.replace('-', '').split('.');
  const scale = fraction.length;
  // One digit before the point at least: DuckDB shows a DECIMAL(1, 1) as `.5`.
  const precision = Math.min(38, Math.max(1, whole.replace(/^0+/, '').length) + scale);
  return sql`CAST(${literal(value)} AS DECIMAL(${integer(precision)}, ${integer(scale)}))`;
}

/** SQL for DuckDB: the same rows and values as `printPostgres`, for every value of the matrix' types. */
export function printDuckdb(expression: Expression, context: PrintContext): Sql {
  return printExpression(expression, context, dialect);
}
