import fc from 'fast-check';

// Rows of hostile values. Dates and times are written with astronomical years of any length (-000043-03-15 is 44 BC), or
// as infinities; each engine spells them in its own way.

export type Row = Readonly<Record<string, string | null>>;

export const hostileTexts: readonly string[] = [
  '',
  ' ',
  'a',
  'A',
  'a ',
  'a  ',
  ' a',
  'EMEA',
  'emea',
  'ß',
  'ss',
  'ẞ',
  'İ',
  'i̇',
  'ı',
  'e\u0301',
  '\u00e9',
  'a\u0301\u0323\u0308',
  '\u202eevil\u202c',
  'مرحبا',
  'שלום',
  '👩‍👩‍👧',
  '🇩🇪',
  '\u{1F600}x',
  '\u{10FFFF}',
  '\uffff',
  '\ufffd',
  '\u200b',
  '\u0001',
  '\u007f',
  '\u0085',
  '\u00a0',
  '\u2028',
  "O'Brien",
  "'; drop table t; --",
  'a\\b',
  '\\',
  '\\x41',
  '%_',
  'a-b-c',
  '-',
  '--',
  'a--b---c',
  'ann@x.io',
  'a@b@c',
  'tab\tand\r\nline',
  'ﬁ',
  'Straße',
  'ǆ',
  'ⅷ',
  'Ω',
  'Ω',
  'ｆｕｌｌ',
  '한글',
  '\u1112\u1161\u11ab',
  '\ufeff',
  '00123',
  '-0',
  'null',
  'NaN',
  '$$',
  '{a,b}',
  "o'neil@acme.test",
  'x'.repeat(300),
  '😀ß'.repeat(5000),
];

const text = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...hostileTexts) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...hostileTexts), fc.constantFrom('-', ' ', '\u0301', 'a'))
      .map((parts) => parts.join('')),
  },
  {
    weight: 2,
    arbitrary: fc.string({ unit: 'binary', maxLength: 12 }).map((value) => value.replaceAll('\0', '')),
  },
);

const big = (low: bigint, high: bigint) =>
  fc.oneof(fc.bigInt({ min: low, max: high }), fc.constantFrom(low, low + 1n, -1n, 0n, 1n, high - 1n, high));
const whole = (bits: bigint) => big(-(2n ** bits), 2n ** bits - 1n).map(String);
const int = fc.oneof(whole(31n), fc.constantFrom('0', '1', '-1', '-0', '7', '42', '5'));
const long = fc.oneof(whole(63n), int);

/** Hundredths as a numeric with two decimals. */
const cents = fc.oneof(
  big(-999999999999n, 999999999999n).map((value) => {
    const digits = `${value < 0n ? -value : value}`.padStart(3, '0');
    return `${value < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
  }),
  fc.constantFrom('-0.00', '0.5', '1.50', '-9999999999.99'),
);
const digits38 = big(-(10n ** 38n - 1n), 10n ** 38n - 1n).map(String);
const digits40 = big(-(10n ** 40n - 1n), 10n ** 40n - 1n).map(String);
const numeric = fc.oneof(
  digits40,
  cents,
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '0.00000000000000000001', '-0', `1${'0'.repeat(120)}`),
);

const dayMilliseconds = 86_400_000;
const day = (number: number) => new Date(number * dayMilliseconds).toISOString().slice(0, -14);
const firstDay = Date.UTC(-4711, 0, 1) / dayMilliseconds;
const lastDay = Date.UTC(270_000, 0, 1) / dayMilliseconds;
const borders = [
  '-000043-03-15',
  '0000-12-31',
  '0000-02-29',
  '0001-01-01',
  '1582-10-14',
  '1900-02-28',
  '1969-12-31',
  '1970-01-01',
  '2000-02-29',
  '2024-03-10',
  '2024-03-31',
  '9999-12-31',
  '+010000-01-01',
  '+099999-12-31',
];
const plainDay = fc.oneof(fc.constantFrom(...borders), fc.integer({ min: firstDay, max: lastDay }).map(day));
const infinity = fc.constantFrom('infinity', '-infinity');
const date = fc.oneof({ weight: 8, arbitrary: plainDay }, { weight: 1, arbitrary: infinity });

const times = ['00:00:00.000000', '02:30:00.000000', '23:59:59.999999', '23:59:59.000001', '12:34:56.700000'];
const moment = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(plainDay, fc.constantFrom(...times)).map((parts) => parts.join(' ')) },
  { weight: 1, arbitrary: infinity },
);

const uuid = fc.oneof(
  fc.constantFrom(
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
    '7fffffff-ffff-ffff-ffff-ffffffffffff',
    '80000000-0000-0000-0000-000000000000',
  ),
  fc.uuid(),
);

const orNull = (arbitrary: fc.Arbitrary<string>) => fc.option(arbitrary, { nil: null, freq: 6 });

const both = {
  t: orNull(text),
  u: orNull(text),
  v: orNull(text),
  i: orNull(int),
  j: orNull(int),
  b: orNull(long),
  c: orNull(long),
  n: orNull(cents),
  m: orNull(digits38),
  f: orNull(fc.constantFrom('true', 'false')),
  d: orNull(date),
  s: orNull(moment),
  z: orNull(moment),
  k: orNull(uuid),
};

/** A row that every engine can hold. */
export const hostileRow: fc.Arbitrary<Row> = fc.record(both);

/** With numerics that only Postgres can hold. */
export const postgresRow: fc.Arbitrary<Row> = fc.record({ ...both, q: orNull(numeric), r: orNull(digits40) });

/** The same rows at every run: for tables that are made once. */
export const fixedRows: readonly Row[] = fc.sample(hostileRow, { numRuns: 150, seed: 7 });
