import type { Expression } from '../../../src/policy/expression/model.ts';
import { attributes, groups, principal } from './expression-cases.ts';
import type { Row } from './hostile-rows.ts';
import { tokenOf } from './token-key.ts';

// What an expression means, written down once more, apart from any engine: the oracle that engines are held to.

type Value = string | bigint | boolean | null;

const unit = 10n ** 20n;
const endless = 10n ** 200n;
/** Greater than every number, equal to itself: Postgres's order. */
const notNumber = 10n ** 201n;
const special: Readonly<Record<string, bigint>> = {
  infinity: endless,
  '-infinity': -endless,
  Infinity: endless,
  '-Infinity': -endless,
  NaN: notNumber,
};

/** Integers as bigint; numerics as bigint times 10^20; dates as days, times as microseconds since 1970. */
export function readValue(text: string | null, type: Expression['type']): Value {
  if (text === null) return null;
  switch (type) {
    case 'integer':
    case 'bigint':
      return BigInt(text);
    case 'numeric': {
      const known = special[text];
      if (known !== undefined) return known;
      const [whole = '0', fraction = ''] = text.replace('-', '').split('.');
      const size = BigInt(whole) * unit + BigInt(fraction.padEnd(20, '0'));
      return text.startsWith('-') ? -size : size;
    }
    case 'boolean':
      return text === 'true';
    case 'date':
      return special[text] ?? BigInt(daysOf(text));
    case 'timestamp':
    case 'timestamptz':
      return special[text] ?? microsecondsOf(text);
    case 'uuid':
      return text.toLowerCase();
    default:
      return text;
  }
}

function daysOf(text: string): number {
  const [, year, month, day] = /^([-+]?\d{4,6})-(\d\d)-(\d\d)/.exec(text) ?? [];
  const time = new Date(0).setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  return time / 86_400_000;
}

function microsecondsOf(text: string): bigint {
  const [, hour = '', minute = '', second = '', fraction = ''] =
    / (\d\d):(\d\d):(\d\d)(?:\.(\d+))?/.exec(text) ?? [];
  const seconds = daysOf(text) * 86_400 + Number(hour) * 3600 + Number(minute) * 60 + Number(second);
  return BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
}

/** The value as comparable text: what both engines' answers are brought to. */
export function showValue(value: Value, type: Expression['type']): string | null {
  if (value === null) return null;
  if (type === 'date' || type === 'timestamp' || type === 'timestamptz' || type === 'numeric') {
    const known = Object.entries(special).find(
      ([name, size]) => size === value && /[A-Z]/.test(name) === (type === 'numeric'),
    );
    if (known !== undefined) return known[0];
  }
  if (type === 'date') return dayText(value as bigint);
  if (type === 'timestamp' || type === 'timestamptz') return momentText(value as bigint);
  if (type !== 'numeric') return String(value);
  const size = value as bigint;
  const text = `${size < 0n ? -size : size}`.padStart(21, '0');
  const shown = `${text.slice(0, -20)}.${text.slice(-20)}`.replace(/\.?0+$/, '');
  return size < 0n ? `-${shown}` : shown;
}

const dayText = (days: bigint): string => new Date(Number(days) * 86_400_000).toISOString().slice(0, -14);

function momentText(moment: bigint): string {
  const fraction = ((moment % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const iso = new Date(Number((moment - fraction) / 1000n)).toISOString();
  return `${iso.slice(0, -14)} ${iso.slice(-13, -5)}.${`${fraction}`.padStart(6, '0')}`;
}

export function evaluate(e: Expression, row: Row): Value {
  const of = (part: Expression) => evaluate(part, row);
  switch (e.kind) {
    case 'column':
      return readValue(row[e.name] ?? null, e.type);
    case 'literal':
      return readValue(e.value === null ? null : String(e.value), e.type);
    case 'compare':
      return compare(e.operator, of(e.left), of(e.right));
    case 'and':
      return every(e.operands.map(of), false);
    case 'or':
      return every(e.operands.map(of), true);
    case 'not': {
      const value = of(e.operand);
      return value === null ? null : !value;
    }
    case 'is-null':
      return (of(e.operand) === null) !== e.negated;
    case 'in': {
      const found = every(
        e.list.map((item) => compare('=', of(e.operand), of(item))),
        true,
      );
      return found === null ? null : found !== e.negated;
    }
    case 'any': {
      const values = e.array.kind === 'attribute' ? (attributes[e.array.name] ?? []) : [];
      const operand = of(e.operand);
      return every(
        values.map((value) => compare('=', operand, value)),
        true,
      );
    }
    case 'case': {
      const branch = e.branches.find(({ when }) => of(when) === true);
      return of(branch === undefined ? e.otherwise : branch.then);
    }
    case 'coalesce':
      return e.operands.map(of).find((value) => value !== null) ?? null;
    case 'concat': {
      const [a, b] = [of(e.left), of(e.right)];
      return a === null || b === null ? null : `${String(a)}${String(b)}`;
    }
    case 'arithmetic':
      return calculate(e.operator, of(e.left), of(e.right), e.type === 'numeric');
    case 'call':
      return call(e.function, e.arguments.map(of));
    case 'token': {
      const value = of(e.operand);
      return value === null ? null : tokenOf(String(value));
    }
    case 'cast': {
      const value = of(e.operand);
      if (value === null || e.type === 'bigint') return value;
      return e.type === 'numeric' ? (value as bigint) * unit : String(value);
    }
    case 'principal':
      return principal;
    case 'is-member':
      return groups.includes(e.group);
    case 'attribute':
      throw new Error('an attribute stands in any() only');
  }
}

function compare(operator: string, a: Value, b: Value): boolean | null {
  if (a === null || b === null) return null;
  switch (operator) {
    case '=':
      return a === b;
    case '<>':
      return a !== b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    default:
      return a >= b;
  }
}

/** Three-valued: `decisive` true is OR, false is AND. */
function every(values: readonly Value[], decisive: boolean): boolean | null {
  if (values.includes(decisive)) return decisive;
  return values.includes(null) ? null : !decisive;
}

function calculate(operator: string, a: Value, b: Value, scaled: boolean): Value {
  if (a === null || b === null) return null;
  const [x, y] = [a as bigint, b as bigint];
  if (operator === '+') return x + y;
  if (operator === '-') return x - y;
  return scaled ? (x * y) / unit : x * y;
}

function call(name: string, parts: readonly Value[]): Value {
  if (parts.some((part) => part === null)) return null;
  const [text = '', first = 0, second = undefined] = parts;
  const points = [...String(text)];
  const n = Number(first);
  switch (name) {
    case 'left':
      return points.slice(0, n).join('');
    case 'right':
      return n === 0 ? '' : points.slice(-n).join('');
    case 'substring':
      return points.slice(n - 1, second === undefined ? undefined : n - 1 + Number(second)).join('');
    case 'split_part':
      return String(text).split(String(first))[Number(second) - 1] ?? '';
    case 'length':
      return BigInt(points.length);
    default:
      throw new Error(`no such function ${name}`);
  }
}
