import { join, literal, type Sql, sql } from '../../kernel/sql.ts';
import { postgresOperator, typeNames } from './matrix.ts';
import type { Expression } from './model.ts';
import { type Dialect, printExpression } from './print.ts';
import type { PrintContext } from './printer.ts';

const dialect: Dialect = {
  engine: 'postgres',

  literal(value, type) {
    const name = typeNames[type].postgres;
    return value === null ? sql`NULL::${name}` : sql`${literal(String(value))}::${name}`;
  },

  // Two columns may have collations that exclude each other, which is an error at run time.
  comparand: (operand) => sql`(${operand} COLLATE pg_catalog."C")`,

  // Without the cast Postgres would read ANY ((SELECT …)) as a subquery of rows.
  any(operand, attribute, context) {
    const array = typeNames['text[]'].postgres;
    return sql`(${operand} ${postgresOperator('=')} ANY ((${context.attribute(attribute)})::${array}))`;
  },

  // IN takes its operator from the search path; = ANY (ARRAY[…]) names it, and is indexable as well.
  in(operand, list, type, negated) {
    const array = sql`ARRAY[${join(list)}]::${typeNames[type].postgres}[]`;
    return negated
      ? sql`(${operand} ${postgresOperator('<>')} ALL (${array}))`
      : sql`(${operand} ${postgresOperator('=')} ANY (${array}))`;
  },
};

/** SQL for Postgres. Depends on no search path and no setting; `=` stays leakproof and indexable. */
export function printPostgres(expression: Expression, context: PrintContext): Sql {
  return printExpression(expression, context, dialect);
}
