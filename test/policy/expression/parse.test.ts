import { describe, expect, test } from 'vitest';
import { identifier, literal, sql } from '../../../src/kernel/sql.ts';
import type { ExpressionType } from '../../../src/policy/expression/model.ts';
import { type BoundColumns, initParser, parseExpression } from '../../../src/policy/expression/parse.ts';
import { printDuckdb } from '../../../src/policy/expression/print-duckdb.ts';
import { printPostgres } from '../../../src/policy/expression/print-postgres.ts';
import { printTrino } from '../../../src/policy/expression/print-trino.ts';
import type { PrintContext } from '../../../src/policy/expression/printer.ts';
import { columns } from './expression-cases.ts';

await initParser();

const context: PrintContext = {
  column: identifier,
  principal: () => sql`(select writ.principal())`,
  isMember: (group) => sql`(select writ.is_member(${literal(group)}))`,
  attribute: (name) => sql`(select writ.attribute(${literal(name)}))`,
};

/** Name of the column → text at the place of the first problem, and the message. */
function refusal(text: string, wanted: ExpressionType = 'boolean'): string {
  const { expression, problems } = parseExpression(text, columns, wanted);
  const [first] = problems;
  expect(expression === undefined).toBe(first !== undefined);
  return first === undefined ? 'accepted' : `${first.offset} ${first.rule} ${first.message}`;
}

describe('what engines answer differently, what reads a setting, what can fail: refused with its place', () => {
  test.each<[string, ExpressionType, RegExp]>([
    ['7/2 = i', 'boolean', /^1 expression-refused operator \/ is refused: division differs/],
    ['i % 2 = 0', 'boolean', /^2 expression-refused operator % is refused/],
    ["t like 'a%'", 'boolean', /^2 expression-refused .*LIKE's default escape/],
    ["t not like 'a%'", 'boolean', /^2 expression-refused .*LIKE/],
    ["t ilike 'a%'", 'boolean', /^2 expression-refused .*locale/],
    ["t ~ 'a'", 'boolean', /^2 expression-refused .*regular expressions/],
    ["t similar to 'a'", 'boolean', /^2 expression-refused .*regular expressions/],
    ["upper(t) = 'SS'", 'boolean', /^0 expression-refused upper\(\) is refused: it follows the locale/],
    ['lower(t)', 'text', /^0 expression-refused lower\(\)/],
    ['substring(t, -1, 3)', 'text', /^0 expression-type substring\(\) takes a literal number from 1/],
    ['substring(t, 0, 3)', 'text', /^0 expression-type substring\(\)/],
    ['substring(t, i)', 'text', /^0 expression-type substring\(\) takes a literal/],
    ['left(t, -1)', 'text', /^0 expression-type left\(\) takes a literal number from 0/],
    ["split_part(t, '', 1)", 'text', /^0 expression-type split_part\(\) takes a literal separator/],
    ["split_part(t, '-', 0)", 'text', /^0 expression-type split_part\(\)/],
    ["date_trunc('day', z) = z", 'boolean', /^0 expression-refused date_trunc\(\)/],
    ['extract(year from d) = 1', 'boolean', /^0 expression-refused extract\(\)/],
    ['now() > z', 'boolean', /^0 expression-refused now\(\) is refused: it is not immutable/],
    ['current_date = d', 'boolean', /^0 expression-refused SQLValueFunction/],
    ['current_user = t', 'boolean', /^0 expression-refused .*write principal\(\)/],
    ['session_user', 'text', /^0 expression-refused/],
    ['z::text', 'text', /^1 expression-refused a cast from timestamptz to text/],
    ['d::text', 'text', /^1 expression-refused a cast from date to text/],
    ['t::integer', 'integer', /^1 expression-refused a cast from text to integer .*can fail/],
    ['b::integer', 'integer', /^1 expression-refused a cast from bigint to integer/],
    ['t::varchar(3)', 'text', /^1 expression-refused a cast to varchar/],
    ["t::regclass = 'x'", 'boolean', /expression-refused a cast to regclass/],
    ['md5(t)', 'text', /^0 expression-refused md5\(\) is refused: a plain hash is no mask/],
    ['sha256(t)', 'text', /a plain hash is no mask/],
    [
      "t < 'm'",
      'boolean',
      /^2 expression-type < does not take text: the order of text follows the collation/,
    ],
    ["t between 'a' and 'b'", 'boolean', /write a >= x and a <= y/],
    ['f < true', 'boolean', /^2 expression-type < does not take boolean/],
    ['k < k', 'boolean', /< does not take uuid/],
    ['n + 1 > 2', 'boolean', /^2 expression-type \+ takes integer and bigint only, not numeric/],
    ['b * c * b > 2', 'boolean', /not numeric and bigint/],
    ['12345678901234567890123456789012345678901 > n', 'boolean', /at most 38 digits/],
    ['1e5 > n', 'boolean', /at most 38 digits and no exponent/],
    ['n = 0.1234567890123456789012345678901234567', 'boolean', /more than 38 digits/],
    ["z > '2024-01-01'", 'boolean', /^2 expression-type "2024-01-01" is no timestamptz with its zone/],
    ["z > '2024-01-01 00:00:00'", 'boolean', /is no timestamptz/],
    ["d > '2024-02-30'", 'boolean', /"2024-02-30" is no date/],
    ["d > 'today'", 'boolean', /"today" is no date/],
    ["z < 'now'", 'boolean', /"now" is no timestamptz/],
    ['t collate "C" = \'x\'', 'boolean', /collations differ/],
    ['(select true)', 'boolean', /a subquery reads other tables/],
    ['exists (select 1)', 'boolean', /a subquery reads other tables/],
    ['$1 = t', 'boolean', /no parameters/],
    ["pg_read_file('/etc/passwd') = t", 'boolean', /not in the language/],
    ["public.left(t, 1) = 'a'", 'boolean', /only functions of the language/],
    ["t operator(public.=) 'a'", 'boolean', /is refused/],
    ['greatest(i, j) = 1', 'boolean', /greatest and least/],
    ['nullif(t, u)', 'text', /case when a = b/],
    ['t is distinct from u', 'boolean', /is null/],
    ["concat(t, 'x')", 'text', /it hides NULL/],
    ['count(*) over () = 1', 'boolean', /aggregates nor windows/],
    ["t = any(array['a'])", 'boolean', /arrays come from attribute/],
    ["i = any(attribute('x'))", 'boolean', /any\(\) takes text, not integer/],
    ['t = any(attribute(t))', 'boolean', /attribute\(\) takes one text literal/],
    ["attribute('x') is null", 'boolean', /never NULL/],
    ["t <> all(attribute('x'))", 'boolean', /write not/],
    ['is_member(t)', 'boolean', /is_member\(\) takes one text literal/],
    ['- i = 1', 'boolean', /write 0 - x/],
    ['i = t', 'boolean', /^2 expression-type = takes one type, not integer and text/],
    ['t || i', 'text', /\|\| takes text, not integer/],
    ['t', 'boolean', /this place takes boolean, not text/],
    ['i', 'text', /the masked column takes text, not integer/],
    ['i + 1', 'integer', /the masked column takes integer, not bigint/],
    ['length(t) + 1', 'integer', /takes integer, not bigint/],
    ['region = t', 'boolean', /^0 expression-unbound "region" is bound by no "match"/],
    ['hostile.t = u', 'boolean', /^0 expression-unbound "hostile\.t"/],
    ['ctid = t', 'boolean', /^0 expression-unbound "ctid"/],
    ['t.*', 'text', /^0 expression-unbound/],
  ])('%s', (text, wanted, message) => {
    expect(refusal(text, wanted)).toMatch(message);
  });
});

describe('one expression and nothing else', () => {
  test.each([
    '',
    ' ',
    '-- nothing',
    't = ',
    "t = 'a') or (true",
    "t = 'a' from pg_class",
    "t = 'a'; drop table hostile",
    "t = 'a', true",
    "t = 'a' as x",
    "t = 'a' where true",
    "t = 'a' limit 1",
    "t = 'a' union select true",
    "t = 'a' for update",
    'distinct t',
    'true into temp x',
    "t = 'a\0b'",
    't = \ud800',
  ])('%j is refused', (text) => {
    expect(refusal(text)).toMatch(/expression-syntax/);
  });

  test.each([
    ['brackets', `${'('.repeat(100_000)}f${')'.repeat(100_000)}`],
    ['brackets that never close', '('.repeat(4000)],
    ['not', `${'not '.repeat(2000)}f`],
    ['not, too long as well', `${'not '.repeat(250_000)}f`],
    ['signs', `i = ${'- '.repeat(4000)}1`],
    ['case', `${'case when f then true else '.repeat(250)}f${' end'.repeat(250)}`],
    ['operators', `t = ${'t || '.repeat(1500)}t`],
    ['sums', `${'i + '.repeat(1900)}1 = 1`],
    ['casts', `f${'::boolean'.repeat(900)}`],
    ['subscripts', `t${'[1]'.repeat(2500)} = 'a'`],
    ['arrays', `t = ${'array['.repeat(1300)}`],
  ])('nested too deeply: %s', (_, text) => {
    expect(refusal(text)).toMatch(/^\d+ expression-(too-deep|refused) /);
    expect(refusal('f')).toBe('accepted');
  });

  test.each([
    ['a literal', `t = '${'x'.repeat(1_000_000)}'`],
    ['just over', `t = '${'x'.repeat(8187)}'`],
    ['a list', `i in (${Array(300_000).fill('1').join(',')})`],
  ])('too long: %s', (_, text) => {
    expect(refusal(text)).toMatch(/^8192 expression-too-long an expression has at most 8192 characters/);
    expect(refusal('f')).toBe('accepted');
  });

  test('as long and as deep as may be', () => {
    expect(refusal(`t = '${'x'.repeat(8186)}'`)).toBe('accepted');
    expect(refusal(`${'('.repeat(4000)}f${')'.repeat(4000)}`)).toMatch(/too-deep/);
    expect(refusal(`${'not '.repeat(190)}f`)).toBe('accepted');
    expect(refusal(`f${' or f'.repeat(1600)}`)).toBe('accepted');
    expect(refusal(`case${' when i = 1 then f'.repeat(400)} end`)).toBe('accepted');
  });

  test('the place counts characters, not bytes', () => {
    expect(refusal("t = '👩‍👩‍👧é' and upper(t) = 'X'")).toMatch(/^20 expression-refused upper/);
    expect(refusal("t = '👩é' and )")).toMatch(/^14 expression-syntax/);
  });

  test('every problem is reported, not only the first', () => {
    const { problems } = parseExpression("upper(t) = 'A' and lower(u) = 'b' or x", columns, 'boolean');
    expect(problems.map((problem) => problem.offset)).toEqual([0, 19, 37]);
  });
});

describe('a mask fits its column', () => {
  const bound: BoundColumns = new Map([
    ['value', { type: 'integer', small: true }],
    ['other', { type: 'integer' }],
    ['t', { type: 'text' }],
    ['n', { type: 'numeric', digits: { whole: 3, scale: 2 } }],
    ['w', { type: 'numeric', digits: { whole: 3, scale: 3 } }],
    ['q', { type: 'numeric' }],
  ]);
  const problemsOf = (text: string, name: string) => {
    const masked = bound.get(name);
    if (masked === undefined) throw new Error('no such column');
    const columnsOf = new Map([...bound, ['value', masked] as const]);
    return parseExpression(text, columnsOf, masked.type, masked).problems.map((one) => one.message);
  };
  const tooWide = ['the mask can have values that its column cannot hold'];

  test.each([
    ['value', 'value', true],
    ['32767', 'value', true],
    ['-32768', 'value', true],
    ['32768', 'value', false],
    ['null', 'value', true],
    ['other', 'value', false],
    ['length(t)', 'value', false],
    ['case when other = 1 then value else 0 end', 'value', true],
    ['coalesce(value, 70000)', 'value', false],
    ['length(t)', 'other', true],
    ['value', 'n', true],
    ['0.5', 'n', true],
    ['999.99', 'n', true],
    ['1000', 'n', false],
    ['999.999', 'n', false],
    ['99.999', 'n', true],
    ['w', 'n', false],
    ['n', 'w', true],
    ['q', 'n', false],
    ['w', 'q', true],
    ['other', 'n', false],
    ['left(t, 1000)', 't', true],
  ])('%s on %s: %s', (text, name, fits) => {
    expect(problemsOf(text, name)).toEqual(fits ? [] : tooWide);
  });
});

describe('how each engine says it', () => {
  test.each<[string, ExpressionType, string, string, string]>([
    [
      "t = any(attribute('region'))",
      'boolean',
      `("t" OPERATOR(pg_catalog.=) ANY (((select writ.attribute('region')))::pg_catalog.text[]))`,
      `(len((select writ.attribute('region'))) > 0 AND CASE WHEN "t" IS NOT NULL THEN list_contains((select writ.attribute('region')), "t") END)`,
      `(cardinality((select writ.attribute('region'))) > 0 AND CASE WHEN "t" IS NOT NULL THEN contains((select writ.attribute('region')), "t") END)`,
    ],
    [
      "left(t, 1) || '***@***'",
      'text',
      `(pg_catalog."left"("t", 1) OPERATOR(pg_catalog.||) '***@***'::pg_catalog.text)`,
      `(left("t", 1) || CAST('***@***' AS VARCHAR))`,
      `(substr("t", 1, 1) || CAST('***@***' AS VARCHAR))`,
    ],
    [
      "'***' || right(t, 2)",
      'text',
      `('***'::pg_catalog.text OPERATOR(pg_catalog.||) pg_catalog."right"("t", 2))`,
      `(CAST('***' AS VARCHAR) || right("t", 2))`,
      `(CAST('***' AS VARCHAR) || substr("t", greatest(length("t") - 2 + 1, 1)))`,
    ],
    [
      "E'a\\\\b''' = t",
      'boolean',
      `(E'a\\\\b'''::pg_catalog.text OPERATOR(pg_catalog.=) "t")`,
      `(CAST(E'a\\\\b''' AS VARCHAR) = "t")`,
      `(CAST('a\\b''' AS VARCHAR) = "t")`,
    ],
    [
      'i + 1 > 0',
      'boolean',
      `((("i")::pg_catalog.int8 OPERATOR(pg_catalog.+) '1'::pg_catalog.int8) OPERATOR(pg_catalog.>) '0'::pg_catalog.int8)`,
      `(add(CAST("i" AS BIGINT), CAST('1' AS BIGINT)) > CAST('0' AS BIGINT))`,
      `((CAST("i" AS BIGINT) + CAST('1' AS BIGINT)) > CAST('0' AS BIGINT))`,
    ],
    [
      "z >= '2024-01-01 01:30:00+02' and d in ('2024-01-01', null)",
      'boolean',
      `(("z" OPERATOR(pg_catalog.>=) '2023-12-31 23:30:00+00'::pg_catalog.timestamptz) AND ("d" OPERATOR(pg_catalog.=) ANY (ARRAY['2024-01-01'::pg_catalog.date, NULL::pg_catalog.date]::pg_catalog.date[])))`,
      `(("z" >= CAST('2023-12-31 23:30:00+00' AS TIMESTAMPTZ)) AND ("d" IN (CAST('2024-01-01' AS DATE), CAST(NULL AS DATE))))`,
      `(("z" >= TIMESTAMP '2023-12-31 23:30:00 UTC') AND ("d" IN (DATE '2024-01-01', CAST(NULL AS DATE))))`,
    ],
    [
      "case t when 'a' then null else coalesce(u, 'x') end",
      'text',
      `(CASE WHEN ("t" OPERATOR(pg_catalog.=) 'a'::pg_catalog.text) THEN NULL::pg_catalog.text ELSE coalesce("u", 'x'::pg_catalog.text) END)`,
      `(CASE WHEN ("t" = CAST('a' AS VARCHAR)) THEN CAST(NULL AS VARCHAR) ELSE coalesce("u", CAST('x' AS VARCHAR)) END)`,
      `(CASE WHEN ("t" = CAST('a' AS VARCHAR)) THEN CAST(NULL AS VARCHAR) ELSE coalesce("u", CAST('x' AS VARCHAR)) END)`,
    ],
    [
      "is_member('a''b') and not t = principal() and t <> u",
      'boolean',
      `((select writ.is_member('a''b')) AND (NOT ("t" OPERATOR(pg_catalog.=) (select writ.principal()))) AND (("t" COLLATE pg_catalog."C") OPERATOR(pg_catalog.<>) "u"))`,
      `((select writ.is_member('a''b')) AND (NOT ("t" = (select writ.principal()))) AND ("t" <> "u"))`,
      `((select writ.is_member('a''b')) AND (NOT ("t" = (select writ.principal()))) AND ("t" <> "u"))`,
    ],
  ])('%s', (text, wanted, postgres, duckdb, trino) => {
    const { expression, problems } = parseExpression(text, columns, wanted);
    expect(problems).toEqual([]);
    if (expression === undefined) throw new Error('refused');
    expect(printPostgres(expression, context).text).toBe(postgres);
    expect(printDuckdb(expression, context).text).toBe(duckdb);
    expect(printTrino(expression, context).text).toBe(trino);
  });

  test('DuckDB gets an IN list where the values are known', () => {
    const { expression } = parseExpression("t = any(attribute('region'))", columns, 'boolean');
    if (expression === undefined) throw new Error('refused');
    const known = (values: readonly string[]) =>
      printDuckdb(expression, { ...context, attributeValues: () => values }).text;
    expect(known(['EMEA', "O'Brien"])).toBe(`("t" IN ('EMEA', 'O''Brien'))`);
    expect(known([])).toBe("CAST('false' AS BOOLEAN)");
  });
});

describe('token()', () => {
  const bound = new Map([
    ['value', { type: 'text' }],
    ['other', { type: 'text' }],
    ['number', { type: 'integer' }],
  ] as const);
  const masked = { type: 'text' } as const;
  const mask = (text: string) =>
    parseExpression(text, bound, 'text', masked).problems.map((one) => one.message);

  test.each([
    'token(value)',
    "token(left(value, 3) || '-')",
    "coalesce(token(value), 'none')",
    "case when other = 'x' then token(value) else '***' end",
    'token(token(value))',
  ])('%s is a mask', (text) => {
    expect(mask(text)).toEqual([]);
  });

  test.each([
    ['token(other)', /nothing but "value".*guesses/],
    ['token(value || other)', /nothing but "value"/],
    ['token(number::text)', /nothing but "value"/],
    ["token(case when other = 'x' then 'a' else 'b' end)", /nothing but "value"/],
    ['token(value, other)', /takes one argument/],
    ['token()', /takes one argument/],
    ['token(1)', /takes text, not integer/],
    ['writ.token(value)', /qualified function/],
  ])('%s is refused', (text, why) => {
    expect(mask(text)).toEqual([expect.stringMatching(why)]);
  });

  test('a row filter cannot ask for it', () => {
    const { problems } = parseExpression("token(value) = 'x'", bound, 'boolean');
    expect(problems.map((one) => one.message)).toEqual([expect.stringMatching(/refused in a row filter/)]);
  });
});
