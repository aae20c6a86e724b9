import type { Expression } from './expression/model.ts';

// What a rule's expression does for one person, as far as its text says: whether a mask hands the value on, whether a
// filter lets every row through. Whoever the person is counts only through is_member. Pure.

/** Whether the person is in the group. */
export type IsMember = (group: string) => boolean;

/** The name under which a mask's expression finds the column that it masks. */
const masked: ReadonlySet<string> = new Set(['value']);

/**
 * Characters that a mask may show of a value. PCI DSS 3.4.1 shows a card number's first six and last four: more than
 * these ten is most of a name or an address.
 */
const mostShown = 10;

/**
 * Whether a mask can show the value of a column: as it is, cast, beside other text, in a branch that this person can
 * come to, or in so many characters that they may be all of it. What cannot be told counts as shown.
 * `names`: those under which the expression finds the column.
 */
export function reveals(expression: Expression, isMember: IsMember, names = masked): boolean {
  return shown(expression, isMember, names) > mostShown;
}

/** At most how many characters of the column are shown; what hides an end of it and no more counts as the limit. */
function shown(expression: Expression, isMember: IsMember, names: ReadonlySet<string>): number {
  const inner = (one: Expression) => shown(one, isMember, names);
  switch (expression.kind) {
    case 'column':
      return names.has(expression.name) ? Number.POSITIVE_INFINITY : 0;
    case 'cast':
      return inner(expression.operand);
    case 'coalesce':
      return Math.max(...expression.operands.map(inner));
    case 'concat':
      return inner(expression.left) + inner(expression.right);
    case 'arithmetic': {
      const zero = [expression.left, expression.right].some(isZero) && expression.operator === '*';
      return zero ? 0 : inner(expression.left) + inner(expression.right);
    }
    case 'case':
      return Math.max(...reachable(expression, isMember).map(inner));
    case 'call':
      return ofCall(expression, inner);
    case 'literal':
    case 'principal':
    case 'is-member':
    case 'attribute':
      return 0;
    default:
      // A condition says all there is to know of a boolean, and little of anything else.
      return columnsIn(expression).some(({ name, type }) => names.has(name) && type === 'boolean')
        ? Number.POSITIVE_INFINITY
        : 0;
  }
}

function isZero(expression: Expression): boolean {
  return expression.kind === 'literal' && Number(expression.value) === 0;
}

function ofCall(
  { function: name, arguments: [text, ...counts] }: Extract<Expression, { kind: 'call' }>,
  inner: (one: Expression) => number,
): number {
  const most = text === undefined ? 0 : inner(text);
  const [first = 0, second] = counts.map((one) => (one.kind === 'literal' ? Number(one.value) : undefined));
  // What is cut off in front may be other text: '**' || value.
  const hidesAnEnd = text?.kind === 'column' ? Math.min(most, mostShown) : most;
  switch (name) {
    case 'left':
    case 'right':
      return Math.min(most, first);
    case 'substring':
      return second !== undefined ? Math.min(most, second) : first <= 1 ? most : hidesAnEnd;
    case 'split_part':
      // The first part of a text without the separator is the text.
      return (second ?? 1) <= 1 ? most : hidesAnEnd;
    case 'length':
      return 0;
  }
}

/** What a `case` may come out at for this person; of a condition on a boolean the condition too. */
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
    found.push(when);
  }
  return [...found, otherwise];
}

/** Every column that an expression reads, as often as it does. */
function columnsIn(expression: Expression): readonly Extract<Expression, { kind: 'column' }>[] {
  return nodesIn(expression).filter((node) => node.kind === 'column');
}

function nodesIn(expression: Expression): readonly Expression[] {
  const found: Expression[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('kind' in value) found.push(value as Expression);
    for (const inner of Object.values(value)) visit(inner);
  };
  visit(expression);
  return found;
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

/** Types whose literals are equal exactly when they are written alike: `1.0` is `1.00`, and a moment has many zones. */
const writtenAlike: ReadonlySet<Expression['type']> = new Set(['text', 'boolean', 'integer', 'bigint']);

function compared({ operator, left, right }: Extract<Expression, { kind: 'compare' }>): boolean | undefined {
  if (left.kind !== 'literal' || right.kind !== 'literal') return undefined;
  if (left.value === null || right.value === null || !writtenAlike.has(left.type)) return undefined;
  if (operator === '=') return left.value === right.value;
  return operator === '<>' ? left.value !== right.value : undefined;
}

/**
 * Whether a row filter may let every row through to this person: where it asks nothing of a row, whoever they are and
 * whatever attributes they will have. What compares a column with something else counts as asking.
 */
export function letsAllThrough(expression: Expression, isMember: IsMember): boolean {
  return outcomes(expression, isMember).always;
}

/** What a condition may come out at: the same for all rows, or one by one. `never`: false or NULL. */
interface Outcomes {
  readonly always: boolean;
  readonly never: boolean;
  readonly varies: boolean;
}

const varying: Outcomes = { always: false, never: false, varies: true };
const unknown: Outcomes = { always: true, never: true, varies: false };

function outcomes(expression: Expression, isMember: IsMember): Outcomes {
  const inner = (one: Expression) => outcomes(one, isMember);
  const truth = truthOf(expression, isMember);
  if (truth !== undefined) return { always: truth, never: !truth, varies: false };
  switch (expression.kind) {
    case 'not': {
      const { always, never, varies } = inner(expression.operand);
      return { always: never, never: always, varies };
    }
    case 'and':
      return allOf(expression.operands.map(inner));
    case 'or': {
      const either = inverse(allOf(expression.operands.map(inner).map(inverse)));
      return hasOpposites(expression.operands) ? { ...either, always: true } : either;
    }
    case 'case':
      return expression.branches.reduceRight<Outcomes>(
        (rest, { when, then }) => chosen(inner(when), inner(then), rest),
        inner(expression.otherwise),
      );
    case 'coalesce':
      return expression.operands
        .map(inner)
        .reduceRight((rest, one) => chosen({ ...one, always: !one.varies }, one, rest));
    default:
      return ofAtom(expression);
  }
}

const inverse = ({ always, never, varies }: Outcomes): Outcomes => ({ always: never, never: always, varies });

function allOf(operands: readonly Outcomes[]): Outcomes {
  return {
    always: operands.every(({ always }) => always),
    never: operands.some(({ never }) => never),
    varies: operands.some(({ varies }) => varies),
  };
}

/** `case when condition then value else rest end`. */
function chosen(condition: Outcomes, value: Outcomes, rest: Outcomes): Outcomes {
  const of = (what: 'always' | 'never') =>
    (condition.always && value[what]) ||
    (condition.never && rest[what]) ||
    (condition.varies && value[what] && rest[what]);
  return {
    always: of('always'),
    never: of('never'),
    varies: condition.varies || value.varies || rest.varies,
  };
}

function ofAtom(expression: Expression): Outcomes {
  if (columnsIn(expression).length === 0) return unknown;
  const isSame =
    expression.kind === 'compare' && JSON.stringify(expression.left) === JSON.stringify(expression.right);
  const isOfMore = expression.kind === 'is-null' && expression.operand.kind !== 'column';
  return isSame || isOfMore ? unknown : varying;
}

/** Whether one operand is what another is not. */
function hasOpposites(operands: readonly Expression[]): boolean {
  const said = new Set(operands.map((one) => JSON.stringify(one)));
  return operands.some((one) => said.has(JSON.stringify(opposite(one))));
}

function opposite(expression: Expression): Expression {
  switch (expression.kind) {
    case 'is-null':
    case 'in':
      return { ...expression, negated: !expression.negated };
    case 'compare':
      return { ...expression, operator: oppositeOf[expression.operator] };
    case 'not':
      return expression.operand;
    default:
      return { kind: 'not', operand: expression, type: 'boolean' };
  }
}

const oppositeOf = { '=': '<>', '<>': '=', '<': '>=', '>=': '<', '>': '<=', '<=': '>' } as const;

/** Every group that an expression asks for. */
export function groupsAsked(expression: Expression): readonly string[] {
  return nodesIn(expression).flatMap((node) => (node.kind === 'is-member' ? [node.group] : []));
}
