import type { ExpressionType } from './model.ts';

// Examples of docs/expressions.md. Each is run in Postgres and in DuckDB by test and gives what stands here.

export interface ExpressionExample {
  readonly what: string;
  readonly expression: string;
  /** Boolean: a row filter. Otherwise a mask of a column of that type. */
  readonly type: Exclude<ExpressionType, 'text[]'>;
  /** Bound names, in the order of the values below. */
  readonly columns: Readonly<Record<string, Exclude<ExpressionType, 'text[]'>>>;
  readonly rows: readonly {
    readonly values: readonly (string | null)[];
    readonly result: string | null;
  }[];
}

/** Who asks in the examples. */
export const exampleReader: {
  readonly principal: string;
  readonly groups: readonly string[];
  readonly attributes: Readonly<Record<string, readonly string[]>>;
} = { principal: 'ana@acme.test', groups: ['analysts'], attributes: { region: ['EMEA'] } };

export const expressionExamples: readonly ExpressionExample[] = [
  {
    what: 'rows of the reader’s own regions; NULL hides the row',
    expression: "region = any(attribute('region'))",
    type: 'boolean',
    columns: { region: 'text' },
    rows: [
      { values: ['EMEA'], result: 'true' },
      { values: ['emea'], result: 'false' },
      { values: [null], result: null },
    ],
  },
  {
    what: 'nothing for whoever lacks the attribute',
    expression: "team = any(attribute('team'))",
    type: 'boolean',
    columns: { team: 'text' },
    rows: [
      { values: ['red'], result: 'false' },
      { values: [null], result: 'false' },
    ],
  },
  {
    what: 'own rows, and all rows for a group',
    expression: "owner = principal() or is_member('stewards')",
    type: 'boolean',
    columns: { owner: 'text' },
    rows: [
      { values: ['ana@acme.test'], result: 'true' },
      { values: ['omar@acme.test'], result: 'false' },
    ],
  },
  {
    what: 'only what is recent and not sensitive',
    expression: "placed >= '2024-01-01' and coalesce(level, 9) < 3",
    type: 'boolean',
    columns: { placed: 'date', level: 'integer' },
    rows: [
      { values: ['2024-01-01', '2'], result: 'true' },
      { values: ['2023-12-31', '2'], result: 'false' },
      { values: ['2024-06-01', null], result: 'false' },
    ],
  },
  {
    what: 'a moment is written with its zone',
    expression: "seen < '2024-03-31 02:30:00+02'",
    type: 'boolean',
    columns: { seen: 'timestamptz' },
    rows: [
      { values: ['2024-03-31 00:29:59+00'], result: 'true' },
      { values: ['2024-03-31 00:30:00+00'], result: 'false' },
    ],
  },
  {
    what: 'the first letter of an address',
    expression: "left(value, 1) || '***@***'",
    type: 'text',
    columns: { value: 'text' },
    rows: [
      { values: ['ann@x.io'], result: 'a***@***' },
      { values: ['ßen@x.io'], result: 'ß***@***' },
      { values: [''], result: '***@***' },
      { values: [null], result: null },
    ],
  },
  {
    what: 'the domain of an address',
    expression: "'***@' || split_part(value, '@', 2)",
    type: 'text',
    columns: { value: 'text' },
    rows: [
      { values: ['ann@x.io'], result: '***@x.io' },
      { values: ['no address'], result: '***@' },
    ],
  },
  {
    what: 'a keyed token: equal values stay equal, in every catalog, and guesses cannot be tried',
    expression: 'token(value)',
    type: 'text',
    columns: { value: 'text' },
    rows: [
      { values: ['ann@x.io'], result: 'f37095f933e3eadd25fed0245dccba98' },
      { values: ['Ann@x.io'], result: '552801fffe6cbf851f3e1ce78e695028' },
      { values: [''], result: 'b613679a0814d9ec772f95d778c35fc5' },
      { values: [null], result: null },
    ],
  },
  {
    what: 'the last two digits, unless the text is too short to hide anything',
    expression: "case when length(value) > 4 then '***' || right(value, 2) else '***' end",
    type: 'text',
    columns: { value: 'text' },
    rows: [
      { values: ['+49 30 123'], result: '***23' },
      { values: ['1234'], result: '***' },
      { values: [null], result: '***' },
    ],
  },
  {
    what: 'a number in coarse steps, without division',
    expression: 'case when value < 1000 then 0 when value < 10000 then 1000 else 10000 end',
    type: 'integer',
    columns: { value: 'integer' },
    rows: [
      { values: ['999'], result: '0' },
      { values: ['9999'], result: '1000' },
      { values: ['-5'], result: '0' },
      { values: [null], result: '10000' },
    ],
  },
  {
    what: 'arithmetic never overflows: operands are widened first',
    expression: 'a * b > 9223372036854775807',
    type: 'boolean',
    columns: { a: 'bigint', b: 'bigint' },
    rows: [
      { values: ['9223372036854775807', '2'], result: 'true' },
      { values: ['-9223372036854775808', '-9223372036854775808'], result: 'true' },
      { values: ['3', '4'], result: 'false' },
    ],
  },
  {
    what: 'NULL, whatever the value was',
    expression: 'null',
    type: 'uuid',
    columns: { value: 'uuid' },
    rows: [{ values: ['00000000-0000-0000-0000-000000000001'], result: null }],
  },
];
