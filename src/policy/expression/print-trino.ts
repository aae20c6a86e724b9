import { never } from '../../kernel/never.ts';
import { join, type Sql, sql, standardLiteral } from '../../kernel/sql.ts';
import { typeNames } from './matrix.ts';
import type { Expression, ExpressionType } from './model.ts';
import { type Dialect, printExpression } from './print.ts';
import type { PrintContext } from './printer.ts';

const dialect: Dialect = {
  engine: 'trino',

  literal(value, type) {
    return value === null ? sql`CAST(NULL AS ${typeNames[type].trino})` : literalOf(String(value), type);
  },

  any(operand, attribute, context) {
    const values = context.attributeValues?.(attribute);
    if (values !== undefined)
      return values.length === 0
        ? sql`(1 = 0)`
        : sql`(${operand} IN (${join(values.map((value) => literalOf(value, 'text')))}))`;
    const array = context.attribute(attribute);
    return sql`(cardinality(${array}) > 0 AND CASE WHEN ${operand} IS NOT NULL THEN contains(${array}, ${operand}) END)`;
  },

  in(operand, list, _type, negated) {
    return negated ? sql`(${operand} NOT IN (${join(list)}))` : sql`(${operand} IN (${join(list)}))`;
  },
};

function literalOf(value: string, type: ExpressionType): Sql {
  const text = standardLiteral(value);
  switch (type) {
    case 'numeric':
      return sql`DECIMAL ${text}`;
    case 'date':
      return sql`DATE ${text}`;
    case 'timestamp':
      return sql`TIMESTAMP ${text}`;
    case 'timestamptz':
      return sql`TIMESTAMP ${standardLiteral(value.replace(/\+00$/, ' UTC'))}`;
    case 'text':
    case 'integer':
    case 'bigint':
    case 'boolean':
    case 'uuid':
    case 'text[]':
      return sql`CAST(${text} AS ${typeNames[type].trino})`;
    default:
      return never(type);
  }
}

/** SQL for Trino, for its OPA plugin's row filters and column masks. */
export function printTrino(expression: Expression, context: PrintContext): Sql {
  return printExpression(expression, context, dialect);
}
