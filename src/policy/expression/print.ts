import { WritError } from '../../kernel/errors.ts';
import { never } from '../../kernel/never.ts';
import { integer, join, type Sql, sql } from '../../kernel/sql.ts';
import { type MatrixOperator, type MatrixRow, matrixRow } from './matrix.ts';
import type { Expression, ExpressionType } from './model.ts';
import type { PrintContext } from './printer.ts';

/** What one engine says in its own way; everything else is the matrix and common SQL. */
export interface Dialect {
  readonly engine: 'postgres' | 'duckdb' | 'trino';
  literal(value: string | number | boolean | null, type: ExpressionType): Sql;
  /** `operand = any(attribute('name'))`: NULL operand gives NULL, but an empty array gives false. */
  any(operand: Sql, attribute: string, context: PrintContext): Sql;
  /** Makes a text comparison of more than a column with literals free of the operands' collations. */
  comparand?(operand: Sql): Sql;
  /** Three-valued IN. */
  in(operand: Sql, list: readonly Sql[], type: ExpressionType, negated: boolean): Sql;
}

/** Prints a typed expression for one engine. Every part is in parentheses: no precedence is relied on. */
export function printExpression(expression: Expression, context: PrintContext, dialect: Dialect): Sql {
  const print = (part: Expression): Sql => printExpression(part, context, dialect);
  switch (expression.kind) {
    case 'column':
      return context.column(expression.name);
    case 'literal':
      return dialect.literal(expression.value, expression.type);
    case 'compare': {
      const { left, right, operator } = expression;
      return say(dialect, row(operator, [left.type, right.type]))(
        compared([left, right], print, dialect),
        print(right),
      );
    }
    case 'arithmetic':
      return byMatrix(expression.operator, [expression.left, expression.right], print, dialect);
    case 'concat':
      return byMatrix('||', [expression.left, expression.right], print, dialect);
    case 'call':
      return printCall(expression, print, dialect);
    case 'token':
      return byMatrix('token', [expression.operand], print, dialect);
    case 'cast':
      return say(dialect, row('::', [expression.operand.type], expression.type))(print(expression.operand));
    case 'and':
      return sql`(${join(expression.operands.map(print), ' AND ')})`;
    case 'or':
      return sql`(${join(expression.operands.map(print), ' OR ')})`;
    case 'not':
      return sql`(NOT ${print(expression.operand)})`;
    case 'is-null':
      return expression.negated
        ? sql`(${print(expression.operand)} IS NOT NULL)`
        : sql`(${print(expression.operand)} IS NULL)`;
    case 'in':
      return dialect.in(
        compared([expression.operand, ...expression.list], print, dialect),
        expression.list.map(print),
        expression.operand.type,
        expression.negated,
      );
    case 'any':
      return dialect.any(
        compared([expression.operand], print, dialect),
        attributeName(expression.array),
        context,
      );
    case 'case':
      return printCase(expression, print);
    case 'coalesce':
      return sql`coalesce(${join(expression.operands.map(print))})`;
    case 'principal':
      return context.principal();
    case 'is-member':
      return context.isMember(expression.group);
    case 'attribute':
      return context.attribute(expression.name);
    default:
      return never(expression);
  }
}

type Print = (part: Expression) => Sql;

/** The first operand of a comparison. A lone column beside literals stays as it is, so that an index can serve it. */
function compared(operands: readonly Expression[], print: Print, dialect: Dialect): Sql {
  const [first, ...others] = operands;
  if (first === undefined) throw new WritError('internal', { message: 'a comparison of nothing' });
  const simple = (part: Expression) => part.kind === 'column' || isConstant(part);
  const plain = operands.every(simple) && (isConstant(first) || others.every(isConstant));
  const printed = print(first);
  return first.type !== 'text' || plain || dialect.comparand === undefined
    ? printed
    : dialect.comparand(printed);
}

const isConstant = (part: Expression): boolean => part.kind === 'literal' || part.kind === 'principal';

function byMatrix(
  operator: MatrixOperator,
  operands: readonly Expression[],
  print: Print,
  dialect: Dialect,
): Sql {
  const types = operands.map((operand) => operand.type);
  return say(dialect, row(operator, types))(...operands.map(print));
}

/** Counts are printed bare: every engine takes a plain integer there. */
function printCall(expression: Extract<Expression, { kind: 'call' }>, print: Print, dialect: Dialect): Sql {
  const types = expression.arguments.map((argument) => argument.type);
  const parts = expression.arguments.map((argument) =>
    argument.kind === 'literal' && typeof argument.value === 'number'
      ? integer(argument.value)
      : print(argument),
  );
  return say(dialect, row(expression.function, types))(...parts);
}

function printCase(expression: Extract<Expression, { kind: 'case' }>, print: Print): Sql {
  const branches = expression.branches.map(
    (branch) => sql`WHEN ${print(branch.when)} THEN ${print(branch.then)}`,
  );
  return sql`(CASE ${join(branches, ' ')} ELSE ${print(expression.otherwise)} END)`;
}

function attributeName(array: Expression): string {
  if (array.kind === 'attribute') return array.name;
  throw new WritError('internal', { message: 'any() over something that is no attribute' });
}

/** @throws refused_on_purpose where the engine is not given what it would take (Trino: the key of tokens) */
function say({ engine }: Dialect, found: MatrixRow): MatrixRow['postgres'] {
  const print = found[engine];
  if (print !== undefined) return print;
  throw new WritError('refused_on_purpose', { message: `${found.operator}() is not offered in ${engine}` });
}

function row(operator: MatrixOperator, types: readonly ExpressionType[], to?: ExpressionType): MatrixRow {
  const found = matrixRow(operator, types, to);
  if (found !== undefined) return found;
  throw new WritError('internal', { message: `outside the matrix: ${operator} on ${types.join(', ')}` });
}
