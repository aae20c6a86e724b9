import type { Expression } from './expression/model.ts';

// What a rule's expression does for one person, as far as its text says: whether a mask hands the value on, whether a
// filter lets every row through. Whoever the person is counts only through is_member. Pure.

/** Whether the person is in the group. */
export type IsMember = (group: string) => boolean;

/** The name under which a mask's expression finds the column that it masks. */
const masked = 'value';

/**
 * Whether a mask can show the whole value: as it is, cast, beside other text, in a branch that this person can come
 * to. What left, right, substring, split_part and length cut from it is no whole value.
 */
export function reveals(expression: Expression, isMember: IsMember): boolean {
  const inner = (one: Expression) => reveals(one, isMember);
  switch (expression.kind) {
    case 'column':
      return expression.name === masked;
    case 'cast':
      return inner(expression.operand);
    case 'coalesce':
      return expression.operands.some(inner);
    case 'concat':
      return inner(expression.left) || inner(expression.right);
    case 'arithmetic': {
      const zero = [expression.left, expression.right].some(isZero) && expression.operator === '*';
      return !zero && (inner(expression.left) || inner(expression.right));
    }
    case 'case':
      return reachable(expression, isMember).some(inner);
    case 'call':
      return isWholeSubstring(expression) && expression.arguments.slice(0, 1).some(inner);
    default:
      return false;
  }
}

function isZero(expression: Expression): boolean {
  return expression.kind === 'literal' && Number(expression.value) === 0;
}

/** `substring(value from 1)` cuts nothing off. */
function isWholeSubstring(call: Extract<Expression, { kind: 'call' }>): boolean {
  const [, from, length] = call.arguments;
  if (call.function !== 'substring' || length !== undefined) return false;
  return from?.kind !== 'literal' || Number(from.value) <= 1;
}

function reachable(
  { branches, otherwise }: Extract<Expression, { kind: 'case' }>,
  isMember: IsMember,
): readonly Expression[] {
  const found: Expression[] = [];
  for (const { when, then } of branches) {
    const truth = truthOf(when, isMember);
    if (truth === false) continue;
    found.push(then);
    if (truth === true) return found;
  }
  return [...found, otherwise];
}

/** True or false where the text alone says so for this person, whatever the row; undefined: it depends, or is NULL. */
export function truthOf(expression: Expression, isMember: IsMember): boolean | undefined {
  switch (expression.kind) {
    case 'literal':
      return typeof expression.value === 'boolean' ? expression.value : undefined;
    case 'is-member':
      return isMember(expression.group);
    case 'not': {
      const truth = truthOf(expression.operand, isMember);
      return truth === undefined ? undefined : !truth;
    }
    case 'and':
    case 'or':
      return joined(expression.operands, expression.kind === 'or', isMember);
    case 'compare':
      return compared(expression);
    default:
      return undefined;
  }
}

/** `absorbing`: the truth that one operand decides alone. */
function joined(
  operands: readonly Expression[],
  absorbing: boolean,
  isMember: IsMember,
): boolean | undefined {
  const truths = operands.map((operand) => truthOf(operand, isMember));
  if (truths.includes(absorbing)) return absorbing;
  return truths.includes(undefined) ? undefined : !absorbing;
}

function compared({ operator, left, right }: Extract<Expression, { kind: 'compare' }>): boolean | undefined {
  if (left.kind !== 'literal' || right.kind !== 'literal') return undefined;
  if (left.value === null || right.value === null) return undefined;
  if (operator === '=') return left.value === right.value;
  return operator === '<>' ? left.value !== right.value : undefined;
}

/** Every group that an expression asks for. */
export function groupsAsked(expression: Expression): readonly string[] {
  const found: string[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('kind' in value && value.kind === 'is-member' && 'group' in value) found.push(String(value.group));
    for (const inner of Object.values(value)) visit(inner);
  };
  visit(expression);
  return found;
}
