import fc from 'fast-check';
import { matrix } from '../../../src/policy/expression/matrix.ts';
import type { ExpressionType } from '../../../src/policy/expression/model.ts';
import type { BoundColumns } from '../../../src/policy/expression/parse.ts';
import { hostileTexts } from './hostile-rows.ts';

// Random typed expressions as text: one arbitrary for every row of the matrix and every form beside it.

/** Names in expressions; columns of the test table have the same names. */
export const columns: BoundColumns = new Map([
  ['t', { type: 'text' }],
  ['u', { type: 'text' }],
  ['v', { type: 'text' }],
  ['i', { type: 'integer' }],
  ['j', { type: 'integer' }],
  ['b', { type: 'bigint' }],
  ['c', { type: 'bigint' }],
  ['n', { type: 'numeric', digits: { whole: 10, scale: 2 } }],
  ['m', { type: 'numeric', digits: { whole: 38, scale: 0 } }],
  ['f', { type: 'boolean' }],
  ['d', { type: 'date' }],
  ['s', { type: 'timestamp' }],
  ['z', { type: 'timestamptz' }],
  ['k', { type: 'uuid' }],
]);

/** Numerics that no other engine can hold: more than 38 digits, no declared digits, NaN and the infinities. */
export const postgresColumns: BoundColumns = new Map([
  ...columns,
  ['q', { type: 'numeric' }],
  ['r', { type: 'numeric', digits: { whole: 40, scale: 0 } }],
]);

export const attributes: Readonly<Record<string, readonly string[]>> = {
  region: ['EMEA', 'a', "O'Brien", 'a\\b', 'ß', '', 'e\u0301', '👩‍👩‍👧'],
  empty: [],
};
export const groups: readonly string[] = ['stewards'];
export const principal = "o'neil@acme.test";

export interface Sample {
  readonly text: string;
  readonly type: ExpressionType;
}

const quote = (text: string): string =>
  text.includes('\\')
    ? `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    : `'${text.replaceAll("'", "''")}'`;

const textLiteral = fc.constantFrom(...hostileTexts.filter((text) => text.length < 400)).map(quote);

/** A literal of each type, as people write it, and NULL. */
const literals: Readonly<Record<Exclude<ExpressionType, 'text[]'>, fc.Arbitrary<string>>> = {
  text: textLiteral,
  integer: fc.constantFrom('0', '1', '-1', '-0', '-(5)', '2147483647', '-2147483648'),
  bigint: fc.constantFrom('2147483648', '9223372036854775807', '-9223372036854775808', '5::bigint'),
  numeric: fc.constantFrom('0.5', '.5', '5.', '-0.0', '1.50', '-9999999999.99', '12345678901234567890'),
  boolean: fc.constantFrom('true', 'false'),
  date: fc.constantFrom("date '2024-03-10'", "'0001-01-01'::date", "date '9999-12-31'"),
  timestamp: fc.constantFrom("timestamp '2024-03-31 02:30:00'", "'1969-12-31T23:59:59.999999'::timestamp"),
  timestamptz: fc.constantFrom(
    "timestamptz '2024-03-31 02:30:00+02'",
    "'1970-01-01 00:00:00Z'::timestamptz",
    "timestamptz '9999-12-31 23:59:59.5+00:30'",
  ),
  uuid: fc.constantFrom(
    "'FFFFFFFF-ffff-ffff-ffff-ffffffffffff'::uuid",
    `uuid '${'0'.repeat(8)}-0000-0000-0000-000000000000'`,
  ),
};

const types = Object.keys(literals) as (keyof typeof literals)[];
const equalTypes = types;
const orderedTypes: readonly ExpressionType[] = [
  'integer',
  'bigint',
  'numeric',
  'date',
  'timestamp',
  'timestamptz',
];

type Of = (type: ExpressionType) => fc.Arbitrary<string>;

/** Random expressions over columns: `row` for one row of the matrix or form, `mixed` for all of them in depth. */
export class Expressions {
  readonly #columns: BoundColumns;
  readonly #made = new Map<string, fc.Arbitrary<string>>();

  constructor(bound: BoundColumns) {
    this.#columns = bound;
  }

  #leaf(type: ExpressionType): fc.Arbitrary<string> {
    if (type === 'text[]') throw new Error('an attribute stands in any() only');
    const names = [...this.#columns].filter(([, column]) => column.type === type).map(([name]) => name);
    const others =
      type === 'boolean'
        ? ["is_member('stewards')", "is_member('nobody')"]
        : type === 'text'
          ? ['principal()']
          : [];
    return fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom(...names, ...others) },
      { weight: 3, arbitrary: literals[type] },
      { weight: 1, arbitrary: fc.constant(`null::${type}`) },
    );
  }

  /** Text of a random expression of the type. Shrinks to a leaf. */
  of(type: ExpressionType, depth: number): fc.Arbitrary<string> {
    const key = `${type} ${depth}`;
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const made = this.#make(type, depth);
    this.#made.set(key, made);
    return made;
  }

  #make(type: ExpressionType, depth: number): fc.Arbitrary<string> {
    const leaf = this.#leaf(type);
    if (depth === 0) return leaf;
    const of: Of = (wanted) => this.of(wanted, depth - 1);
    const forms = Object.values(this.forms(of)).filter((form) => form.type === type);
    return fc.oneof({ withCrossShrink: true }, leaf, ...forms.map((form) => form.arbitrary));
  }

  mixed(depth: number): fc.Arbitrary<Sample> {
    return fc
      .constantFrom(...types, 'boolean' as const, 'text' as const)
      .chain((type) => this.of(type, depth).map((text) => ({ text, type })));
  }

  /** Everything that the language has: name → type and arbitrary. */
  forms(of: Of): Record<string, { type: ExpressionType; arbitrary: fc.Arbitrary<string> }> {
    return { ...rowForms(of), ...logicForms(of), ...valueForms(of) };
  }
}

type Forms = Record<string, { type: ExpressionType; arbitrary: fc.Arbitrary<string> }>;

function rowForms(of: Of): Forms {
  const forms: Forms = {};
  for (const row of matrix) {
    const arbitrary = rowForm(row.operator, row.operands, row.result, of);
    forms[`${row.operator} ${row.operands.join()} ${row.result}`] = { type: row.result, arbitrary };
  }
  return forms;
}

const count = fc.constantFrom(0, 1, 2, 3, 5, 1_000_000);
const place = fc.constantFrom(1, 2, 3, 5, 1_000_000);
const separator = fc.constantFrom("'-'", "'--'", "'@'", "'a'", "'ß'", "' '", "'😀'");

function rowForm(
  operator: string,
  operands: readonly ExpressionType[],
  result: ExpressionType,
  of: Of,
): fc.Arbitrary<string> {
  const [first = 'text'] = operands;
  const text = of('text');
  switch (operator) {
    case '::':
      return of(first).map((a) => `(${a})::${result}`);
    case '+':
    case '-':
    case '*':
      return arithmetic(operator, result);
    case 'left':
    case 'right':
      return fc.tuple(text, count).map(([a, n]) => `${operator}(${a}, ${n})`);
    case 'substring':
      return operands.length === 2
        ? fc.tuple(text, place).map(([a, n]) => `substring(${a}, ${n})`)
        : fc.tuple(text, place, count).map(([a, n, m]) => `substring(${a} from ${n} for ${m})`);
    case 'split_part':
      return fc.tuple(text, separator, place).map(([a, by, n]) => `split_part(${a}, ${by}, ${n})`);
    case 'token':
      return text.map((a) => `token(${a})`);
    case 'length':
      return text.map((a) => `length(${a})`);
    default:
      return fc.tuple(of(first), of(first)).map(([a, b]) => `(${a} ${operator} ${b})`);
  }
}

/** What the length of a text can be combined with inside an integer. */
const narrow = { '+': ['0', '-1', '-7'], '-': ['0', '5', 'length(u)'], '*': ['0', '1', '-1'] } as const;

/** Operands whose ranges make the result of that type; wider ones come by themselves. */
function arithmetic(operator: string, result: ExpressionType): fc.Arbitrary<string> {
  const operand = {
    integer: [fc.constantFrom('length(t)', '3', 'length(v)'), fc.constantFrom(...narrow[operator as '+'])],
    bigint: [fc.constantFrom('i', 'j', 'length(u)', '2147483647'), fc.constantFrom('i', 'j', '-7')],
    numeric: [fc.constantFrom('b', 'c', 'i'), fc.constantFrom('b', 'c', '9223372036854775807')],
  }[result as 'integer' | 'bigint' | 'numeric'];
  return fc
    .tuple(operand[0] ?? fc.constant('0'), operand[1] ?? fc.constant('0'))
    .map(([a, b]) => `(${a} ${operator} ${b})`);
}

function logicForms(of: Of): Forms {
  const condition = of('boolean');
  const any = fc.constantFrom('region', 'empty', 'missing');
  const some = fc.constantFrom(...equalTypes);
  const boolean = (arbitrary: fc.Arbitrary<string>) => ({ type: 'boolean' as const, arbitrary });
  return {
    and: boolean(fc.tuple(condition, condition).map(([a, b]) => `(${a} and ${b})`)),
    or: boolean(fc.tuple(condition, condition, condition).map(([a, b, c]) => `(${a} or ${b} or ${c})`)),
    not: boolean(condition.map((a) => `(not ${a})`)),
    'is null': boolean(some.chain(of).map((a) => `(${a} is null)`)),
    'is not null': boolean(some.chain(of).map((a) => `(${a} is not null)`)),
    in: boolean(
      some
        .chain((type) => fc.tuple(of(type), literals[type], of(type)))
        .map(([a, x, y]) => `(${a} in (${x}, ${y}))`),
    ),
    'not in': boolean(
      some.chain((type) => fc.tuple(of(type), of(type))).map(([a, x]) => `(${a} not in (${x}, null))`),
    ),
    any: boolean(fc.tuple(of('text'), any).map(([a, name]) => `(${a} = any(attribute('${name}')))`)),
    'case with operand': boolean(
      fc
        .tuple(of('text'), textLiteral, condition)
        .map(([a, x, c]) => `(case ${a} when ${x} then ${c} else true end)`),
    ),
    'order in a condition': boolean(
      fc
        .tuple(fc.constantFrom(...orderedTypes), fc.constantFrom('<', '<=', '>', '>='))
        .chain(([type, operator]) =>
          fc.tuple(of(type), literals[type as 'date']).map(([a, b]) => `(not ${a} ${operator} ${b})`),
        ),
    ),
  };
}

function valueForms(of: Of): Forms {
  const forms: Forms = {};
  for (const type of types) {
    const condition = of('boolean');
    const pair = fc.tuple(of(type), of(type));
    forms[`literal ${type}`] = { type, arbitrary: literals[type] };
    forms[`null ${type}`] = { type, arbitrary: fc.constant(`null::${type}`) };
    forms[`case ${type}`] = {
      type,
      arbitrary: fc.tuple(condition, pair).map(([w, [a, b]]) => `(case when ${w} then ${a} else ${b} end)`),
    };
    forms[`case without else ${type}`] = {
      type,
      arbitrary: fc.tuple(condition, of(type)).map(([w, a]) => `(case when ${w} then ${a} end)`),
    };
    forms[`coalesce ${type}`] = { type, arbitrary: pair.map(([a, b]) => `coalesce(${a}, null, ${b})`) };
  }
  return forms;
}
