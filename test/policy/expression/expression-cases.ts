import fc from 'fast-check';
import type { ExpressionType } from '../../../src/policy/expression/model.ts';
import type { BoundColumns } from '../../../src/policy/expression/parse.ts';

// Random typed expressions as text, and rows of hostile values, for every engine to agree on.

type Row = Readonly<Record<string, string | null>>;

/** Names in expressions; columns of the test table have the same names. */
export const columns: BoundColumns = new Map([
  ['t', { type: 'text' }],
  ['u', { type: 'text' }],
  ['i', { type: 'integer' }],
  ['j', { type: 'integer' }],
  ['b', { type: 'bigint' }],
  ['c', { type: 'bigint' }],
  ['n', { type: 'numeric', digits: { whole: 10, scale: 2 } }],
  ['f', { type: 'boolean' }],
  ['d', { type: 'date' }],
  ['s', { type: 'timestamp' }],
  ['z', { type: 'timestamptz' }],
  ['k', { type: 'uuid' }],
]);

export const hostileTexts: readonly (string | null)[] = [
  null,
  '',
  ' ',
  'a',
  'A',
  'EMEA',
  'ß',
  'İ',
  'ı',
  'e\u0301',
  '\u00e9',
  '\u202eevil\u202c',
  'مرحبا',
  '👩‍👩‍👧',
  '\u{1F600}x',
  "O'Brien",
  "'; drop table t; --",
  'a\\b',
  '%_',
  'a-b-c',
  '-',
  '--',
  'ann@x.io',
  'tab\tand\nline',
  'ﬁ',
  'Straße',
  'ǆ',
  '\ufeff',
  '00123',
  'x'.repeat(300),
];

const pick = (list: readonly (string | null)[], i: number): string | null => list[i % list.length] ?? null;

const integers = [null, '0', '1', '-1', '2147483647', '-2147483648', '7', '42'];
const bigints = [null, '0', '-1', '9223372036854775807', '-9223372036854775808', '10', '2147483648'];
const numerics = [null, '0', '0.01', '-0.01', '9999999999.99', '-9999999999.99', '1.50', '100'];
const booleans = [null, 'true', 'false'];
const dates = [null, '0001-01-01', '1970-01-01', '2000-02-29', '2024-03-10', '9999-12-31'];
const stamps = [
  null,
  '0001-01-01 00:00:00',
  '1969-12-31 23:59:59.999999',
  '2024-03-31 02:30:00',
  '9999-12-31 23:59:59',
];
const uuids = [null, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'];

/** Lists of coprime lengths, turned by the row: all pairs of neighbours meet. */
export const rows: readonly Row[] = Array.from({ length: 90 }, (_, r) => {
  const stamp = pick(stamps, r * 3 + 1);
  return {
    t: pick(hostileTexts, r),
    u: pick(hostileTexts, r * 7 + Math.floor(r / 30)),
    i: pick(integers, r),
    j: pick(integers, r * 3 + 1),
    b: pick(bigints, r),
    c: pick(bigints, r * 2 + Math.floor(r / 7)),
    n: pick(numerics, r),
    f: pick(booleans, r),
    d: pick(dates, r),
    s: pick(stamps, r),
    z: stamp === null ? null : `${stamp}+00`,
    k: pick(uuids, r),
  };
});

export const attributes: Readonly<Record<string, readonly string[]>> = {
  region: ['EMEA', 'a', "O'Brien", 'a\\b'],
  empty: [],
};
export const groups: readonly string[] = ['stewards'];
export const principal = "o'neil@acme.test";

const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const textLiteral = fc
  .constantFrom(...hostileTexts.filter((text) => text !== null))
  .map((text) => (text.includes('\\') ? `E${quote(text.replaceAll('\\', '\\\\'))}` : quote(text)));

const leaves: Partial<Record<ExpressionType, fc.Arbitrary<string>>> = {
  text: fc.oneof(fc.constantFrom('t', 'u', 'principal()'), textLiteral, fc.constant('null::text')),
  integer: fc.oneof(
    fc.constantFrom('i', 'j', '0', '1', '-1', '2147483647', '-2147483648'),
    fc.constant('length(t)'),
  ),
  bigint: fc.constantFrom('b', 'c', '9223372036854775807', 'i::bigint', '5::bigint'),
  numeric: fc.constantFrom('n', '0.5', '-9999999999.99', '1.50', 'b::numeric', '12345678901234567890'),
  boolean: fc.constantFrom(
    'f',
    'true',
    'false',
    "is_member('stewards')",
    "is_member('nobody')",
    'null::boolean',
  ),
  date: fc.constantFrom('d', "date '2024-03-10'", "'0001-01-01'::date"),
  timestamp: fc.constantFrom('s', "timestamp '2024-03-31 02:30:00'"),
  timestamptz: fc.constantFrom(
    'z',
    "timestamptz '2024-03-31 02:30:00+02'",
    "'1970-01-01 00:00:00Z'::timestamptz",
  ),
  uuid: fc.constantFrom('k', "'FFFFFFFF-ffff-ffff-ffff-ffffffffffff'::uuid"),
};

const ordered: readonly ExpressionType[] = [
  'integer',
  'bigint',
  'numeric',
  'date',
  'timestamp',
  'timestamptz',
];
const all: readonly ExpressionType[] = [...ordered, 'text', 'boolean', 'uuid'];

/** Text of a random expression of the type. */
export function expressionOf(type: ExpressionType, depth: number): fc.Arbitrary<string> {
  const leaf = leaves[type] ?? fc.constant('null');
  if (depth === 0) return leaf;
  const deeper = (of: ExpressionType) => expressionOf(of, depth - 1);
  const pair = (of: ExpressionType) => fc.tuple(deeper(of), deeper(of));
  const general = [
    leaf,
    fc
      .tuple(deeper('boolean'), deeper(type), deeper(type))
      .map(([w, a, b]) => `(case when ${w} then ${a} else ${b} end)`),
    fc.tuple(deeper('boolean'), deeper(type)).map(([w, a]) => `(case when ${w} then ${a} end)`),
    pair(type).map(([a, b]) => `coalesce(${a}, ${b})`),
  ];
  if (type === 'boolean') return fc.oneof(...general, ...booleanForms(deeper, pair));
  if (type === 'text') return fc.oneof(...general, ...textForms(deeper, pair));
  return fc.oneof(...general);
}

type Deeper = (type: ExpressionType) => fc.Arbitrary<string>;
type Pair = (type: ExpressionType) => fc.Arbitrary<[string, string]>;

function booleanForms(deeper: Deeper, pair: Pair): fc.Arbitrary<string>[] {
  const comparison = (types: readonly ExpressionType[], operators: readonly string[]) =>
    fc
      .tuple(fc.constantFrom(...types), fc.constantFrom(...operators))
      .chain(([type, operator]) => pair(type).map(([a, b]) => `(${a} ${operator} ${b})`));
  const arithmetic = fc
    .tuple(
      fc.constantFrom('i', 'j', 'b', 'c', '3', 'length(u)'),
      fc.constantFrom('+', '-', '*'),
      fc.constantFrom('i', 'b', '-7'),
    )
    .chain(([a, operator, b]) =>
      fc.constantFrom('=', '<', '>=').map((compare) => `(${a} ${operator} ${b} ${compare} c)`),
    );
  return [
    comparison(all, ['=', '<>']),
    comparison(ordered, ['<', '<=', '>', '>=']),
    arithmetic,
    pair('boolean').map(([a, b]) => `(${a} and ${b})`),
    pair('boolean').map(([a, b]) => `(${a} or ${b})`),
    deeper('boolean').map((a) => `(not ${a})`),
    fc.constantFrom(...all).chain((type) => deeper(type).map((a) => `(${a} is null)`)),
    fc.constantFrom(...all).chain((type) => deeper(type).map((a) => `(${a} is not null)`)),
    fc.tuple(deeper('text'), textLiteral, textLiteral).map(([a, x, y]) => `(${a} in (${x}, ${y}))`),
    fc.tuple(deeper('text'), textLiteral).map(([a, x]) => `(${a} not in (${x}, null))`),
    deeper('integer').map((a) => `(${a} in (0, 1, 2147483648))`),
    fc
      .tuple(deeper('text'), fc.constantFrom('region', 'empty', 'missing'))
      .map(([a, name]) => `(${a} = any(attribute('${name}')))`),
  ];
}

function textForms(deeper: Deeper, pair: Pair): fc.Arbitrary<string>[] {
  const number = fc.constantFrom(0, 1, 2, 3, 5, 1000000);
  const text = deeper('text');
  return [
    pair('text').map(([a, b]) => `(${a} || ${b})`),
    fc.tuple(text, number).map(([a, n]) => `left(${a}, ${n})`),
    fc.tuple(text, number).map(([a, n]) => `right(${a}, ${n})`),
    fc.tuple(text, number).map(([a, n]) => `substring(${a}, ${n + (n === 1000000 ? 0 : 1)})`),
    fc.tuple(text, number, number).map(([a, n, m]) => `substring(${a} from ${Math.max(1, n)} for ${m})`),
    fc
      .tuple(text, fc.constantFrom("'-'", "'--'", "'@'", "'a'"), number)
      .map(([a, by, n]) => `split_part(${a}, ${by}, ${Math.max(1, n)})`),
    fc.constantFrom('i', 'b', 'f', 'k').map((a) => `${a}::text`),
  ];
}

/** Reproducible: the seed is part of the test. */
export function sampleExpressions(
  count: number,
  seed: number,
): readonly { readonly text: string; readonly type: ExpressionType }[] {
  const any = fc
    .constantFrom(...all, 'boolean' as const, 'text' as const)
    .chain((type) => expressionOf(type, 3).map((text) => ({ text, type })));
  return fc.sample(any, { numRuns: count, seed });
}
