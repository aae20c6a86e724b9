import { matrixRow } from './matrix.ts';
import type { Expression, ExpressionType } from './model.ts';

// Widening, ranges and digits: what makes integer arithmetic total and numeric comparison equal in every engine.

/** Digits before and after the point that values can have. */
export interface Digits {
  readonly whole: number;
  readonly scale: number;
}

/** What an expression may know of a column. `digits` of a numeric column with a declared precision. */
export interface BoundColumn {
  readonly type: ExpressionType;
  readonly digits?: Digits;
  /** An integer of 16 bits. */
  readonly small?: true;
}

export type BoundColumns = ReadonlyMap<string, BoundColumn>;

const numbers = ['integer', 'bigint', 'numeric'] as const;
type NumberType = (typeof numbers)[number];

export function isNumber(type: ExpressionType): type is NumberType {
  return (numbers as readonly string[]).includes(type);
}

/** The type that all can be widened to without loss; undefined where there is none. */
export function commonType(types: readonly ExpressionType[]): ExpressionType | undefined {
  const [first] = types;
  if (first === undefined || types.every((type) => type === first)) return first;
  return types.every(isNumber) ? widest(types) : undefined;
}

function widest(types: readonly NumberType[]): NumberType {
  return numbers[Math.max(...types.map((type) => numbers.indexOf(type)))] ?? 'numeric';
}

/** Casts without loss; undefined when there is no row for it. Literals are spelled in the wider type instead. */
export function widen(expression: Expression, type: ExpressionType): Expression | undefined {
  if (expression.type === type) return expression;
  if (expression.kind === 'literal' && isNumber(type) && isNumber(expression.type)) {
    const value = expression.value === null ? null : String(expression.value);
    return commonType([expression.type, type]) === type ? { kind: 'literal', value, type } : undefined;
  }
  if (matrixRow('::', [expression.type], type) === undefined) return undefined;
  return { kind: 'cast', operand: expression, type };
}

interface Range {
  readonly low: bigint;
  readonly high: bigint;
}

const int2: Range = { low: -(2n ** 15n), high: 2n ** 15n - 1n };
const int4: Range = { low: -(2n ** 31n), high: 2n ** 31n - 1n };
const int8: Range = { low: -(2n ** 63n), high: 2n ** 63n - 1n };

/**
 * The type in which `a operator b` cannot overflow, whatever the values. Undefined where an operand is numeric: its
 * digits have no end.
 */
export function arithmeticType(
  operator: '+' | '-' | '*',
  a: Expression,
  b: Expression,
): NumberType | undefined {
  if (!isNumber(a.type) || !isNumber(b.type) || a.type === 'numeric' || b.type === 'numeric')
    return undefined;
  const range = rangeOfArithmetic(operator, rangeOf(a), rangeOf(b));
  const needed: NumberType = within(range, int4) ? 'integer' : within(range, int8) ? 'bigint' : 'numeric';
  return widest([a.type, b.type, needed]);
}

function within(inner: Range, outer: Range): boolean {
  return inner.low >= outer.low && inner.high <= outer.high;
}

function rangeOf(expression: Expression, columns: BoundColumns = new Map()): Range {
  const whole = expression.type === 'integer' ? int4 : int8;
  const of = (part: Expression) => rangeOf(part, columns);
  switch (expression.kind) {
    case 'column':
      return columns.get(expression.name)?.small === true ? int2 : whole;
    case 'literal': {
      if (expression.value === null) return { low: 0n, high: 0n };
      const value = BigInt(String(expression.value));
      return { low: value, high: value };
    }
    case 'cast':
      return isNumber(expression.operand.type) ? of(expression.operand) : whole;
    case 'arithmetic':
      return rangeOfArithmetic(expression.operator, of(expression.left), of(expression.right));
    case 'call':
      return expression.function === 'length' ? { low: 0n, high: int4.high } : whole;
    case 'case':
      return union([...expression.branches.map((branch) => branch.then), expression.otherwise].map(of));
    case 'coalesce':
      return union(expression.operands.map(of));
    default:
      return whole;
  }
}

function union(ranges: readonly Range[]): Range {
  const bounds = ranges
    .flatMap(({ low, high }) => [low, high])
    .toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return { low: bounds[0] ?? 0n, high: bounds.at(-1) ?? 0n };
}

function rangeOfArithmetic(operator: '+' | '-' | '*', a: Range, b: Range): Range {
  if (operator === '+') return { low: a.low + b.low, high: a.high + b.high };
  if (operator === '-') return { low: a.low - b.high, high: a.high - b.low };
  const corners = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high];
  return union(corners.map((value) => ({ low: value, high: value })));
}

/**
 * Whether numerics can stand beside each other in every engine: DuckDB brings both to one DECIMAL of 38 digits and
 * fails on a value that does not fit.
 */
export function digitsFit(parts: readonly Expression[], columns: BoundColumns): boolean {
  const known = parts.map((part) => digitsOf(part, columns)).filter((digits) => digits !== undefined);
  const whole = Math.max(0, ...known.map((digits) => digits.whole));
  const scale = Math.max(0, ...known.map((digits) => digits.scale));
  return whole + scale <= 38;
}

/**
 * Whether a mask's every value can be brought to the masked column's own type. Texts are cut to their length; a number
 * out of range would be an error, which shows it.
 */
export function fitsColumn(mask: Expression, masked: BoundColumn, columns: BoundColumns): boolean {
  if (masked.small === true) return within(rangeOf(mask, columns), int2);
  if (masked.digits === undefined) return true;
  const digits = digitsOf(mask, columns);
  if (digits === undefined) return false;
  // Rounding can carry: 9.99 becomes 10.0.
  const carried = digits.scale > masked.digits.scale ? 1 : 0;
  return digits.whole + carried <= masked.digits.whole;
}

/** Undefined: a numeric without declared precision, which only Postgres can hold. */
function digitsOf(expression: Expression, columns: BoundColumns): Digits | undefined {
  if (expression.type === 'integer') return { whole: 10, scale: 0 };
  if (expression.type === 'bigint') return { whole: 19, scale: 0 };
  switch (expression.kind) {
    case 'column':
      return columns.get(expression.name)?.digits;
    case 'literal': {
      const [whole = '', fraction = ''] = String(expression.value ?? '')
        .replace('-', '')
        .split('.');
      return { whole: whole.replace(/^0+/, '').length, scale: fraction.length };
    }
    case 'cast':
      return digitsOf(expression.operand, columns);
    case 'arithmetic':
      return { whole: 38, scale: 0 };
    case 'case':
      return most([...expression.branches.map((branch) => branch.then), expression.otherwise], columns);
    case 'coalesce':
      return most(expression.operands, columns);
    default:
      return undefined;
  }
}

function most(parts: readonly Expression[], columns: BoundColumns): Digits | undefined {
  const known = parts.map((part) => digitsOf(part, columns)).filter((digits) => digits !== undefined);
  if (known.length < parts.length) return undefined;
  return {
    whole: Math.max(...known.map((digits) => digits.whole)),
    scale: Math.max(...known.map((digits) => digits.scale)),
  };
}
