import { hasSqlDetails, parseSync } from 'libpg-query';
import { describe, expect, test } from 'vitest';
import { exceededLimit } from '../../src/kernel/sql-complexity.ts';
import { govern, loadParser } from '../gateway/pg/statement/sample.ts';

loadParser();

const nest = (open: string, middle: string, close: string) => (n: number) =>
  `select ${open.repeat(n)}${middle}${close.repeat(n)}`;
const chain = (first: string, more: string) => (n: number) => first + more.repeat(n);

/** Everything that makes a tree deep. */
const deep: Record<string, (n: number) => string> = {
  brackets: nest('(', '1', ')'),
  not: nest('not ', 'true', ''),
  minus: nest('- ', '1', ''),
  'case in then': nest('case when a and b then ', '1', ' end'),
  'case in else': nest('case when f(1,2) or b then 1 else ', '1', ' end'),
  'case in argument': nest('case ', '1', ' when 1 then 1 end'),
  subqueries: nest('(select 1, 2 from t where 1=1 and ', 'true', ')'),
  arrays: nest('array[1, ', '1', ']'),
  calls: nest('coalesce(a or b, ', '1', ')'),
  with: (n) => `${'with a as (values (1,2)), b as ('.repeat(n)}select 1${') select 1'.repeat(n)}`,
  operators: chain('select 1', '+1'),
  casts: chain('select 1', '::int'),
  collations: chain("select 'a'", ' collate x'),
  'time zones': chain('select now()', " at time zone 'x'"),
  tests: chain('select a', ' is null'),
  unions: chain('select 1, 2', ' union all select 1, 2'),
  joins: chain('select 1 from a', ' join b on 1=1 and 2=2'),
  'cross joins': chain('select 1 from a', ' cross join b'),
};

describe('depth is bounded before the parser sees the text', () => {
  test.each(Object.entries(deep))('%s', (_what, text) => {
    expect(exceededLimit(text(40_000))).toBeDefined();
    let most = 1;
    for (let n = 1; exceededLimit(text(n)) === undefined; n = Math.ceil(n * 1.1)) most = n;
    expect(most).toBeGreaterThan(200);
    expect(trapped(text(most))).toBe(false);
    expect(() => govern(text(most))).not.toThrow();
    expect(govern('select 1').refusal).toBeUndefined();
  });

  test('wide texts are not deep', () => {
    const values = Array.from({ length: 20_000 }, (_, i) => `(${i}, 'x')`).join(', ');
    expect(exceededLimit(`insert into t values ${values}`)).toBeUndefined();
    expect(exceededLimit(`select 1 where ${Array(20_000).fill('a = 1').join(' or ')}`)).toBeUndefined();
    expect(
      exceededLimit(`select ${Array(20_000).fill('case when a then b end').join(', ')}`),
    ).toBeUndefined();
    expect(exceededLimit(Array(20_000).fill('select 1').join(';'))).toBeUndefined();
  });

  test('bytes and tokens', () => {
    expect(exceededLimit('x'.repeat(1_048_577))).toBe('bytes');
    expect(exceededLimit('1 '.repeat(250_001))).toBe('tokens');
  });
});

/** A stack that ran out inside the parser; an error that it reports itself is fine. */
function trapped(text: string): boolean {
  try {
    parseSync(text);
    return false;
  } catch (error) {
    return !hasSqlDetails(error);
  }
}
