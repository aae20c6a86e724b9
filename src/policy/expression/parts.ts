import type { Expression } from './model.ts';

/** The expression and everything in it. */
export function* partsOf(expression: Expression): Generator<Expression> {
  yield expression;
  for (const value of Object.values(expression)) yield* inner(value);
}

function* inner(value: unknown): Generator<Expression> {
  if (typeof value !== 'object' || value === null) return;
  if (isExpression(value)) yield* partsOf(value);
  else for (const one of Object.values(value)) yield* inner(one);
}

/** Every node of an expression has a kind, and nothing else in it has. */
function isExpression(value: object): value is Expression {
  return 'kind' in value;
}

/** Whether the keyed pseudonym stands in it. */
export function usesToken(expression: Expression): boolean {
  for (const part of partsOf(expression)) if (part.kind === 'token') return true;
  return false;
}
