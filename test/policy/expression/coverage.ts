import { matrix } from '../../../src/policy/expression/matrix.ts';
import type { Expression } from '../../../src/policy/expression/model.ts';

// Which rows of the matrix, which forms and which literals stand in typed expressions.

/** The names of everything that the language has. */
export const everything: readonly string[] = [
  ...matrix.map((row) => `${row.operator} ${row.operands.join()} ${row.result}`),
  ...[
    'and',
    'or',
    'not',
    'is null',
    'is not null',
    'in',
    'not in',
    'any',
    'case',
    'coalesce',
    'principal',
    'is-member',
  ],
  ...['text', 'integer', 'bigint', 'numeric', 'boolean', 'date', 'timestamp', 'timestamptz', 'uuid'].flatMap(
    (type) => [`column ${type}`, `literal ${type}`, `null ${type}`],
  ),
];

/** Adds what the expression uses. */
export function note(expression: Expression, used: Set<string>): void {
  used.add(nameOf(expression));
  for (const part of partsOf(expression)) note(part, used);
}

function nameOf(e: Expression): string {
  switch (e.kind) {
    case 'compare':
    case 'arithmetic':
      return `${e.operator} ${e.left.type},${e.right.type} ${e.type}`;
    case 'concat':
      return '|| text,text text';
    case 'token':
      return 'token text text';
    case 'call':
      return `${e.function} ${e.arguments.map((part) => part.type).join()} ${e.type}`;
    case 'cast':
      return `:: ${e.operand.type} ${e.type}`;
    case 'literal':
      return `${e.value === null ? 'null' : 'literal'} ${e.type}`;
    case 'column':
      return `column ${e.type}`;
    case 'is-null':
      return e.negated ? 'is not null' : 'is null';
    case 'in':
      return e.negated ? 'not in' : 'in';
    default:
      return e.kind;
  }
}

function partsOf(e: Expression): readonly Expression[] {
  switch (e.kind) {
    case 'compare':
    case 'arithmetic':
    case 'concat':
      return [e.left, e.right];
    case 'and':
    case 'or':
    case 'coalesce':
      return e.operands;
    case 'not':
    case 'is-null':
    case 'cast':
    case 'token':
      return [e.operand];
    case 'in':
      return [e.operand, ...e.list];
    case 'any':
      return [e.operand];
    case 'case':
      return [...e.branches.flatMap((branch) => [branch.when, branch.then]), e.otherwise];
    case 'call':
      return e.arguments;
    default:
      return [];
  }
}
