import { describe, expect, test } from 'vitest';
import { redactStatement, redactUnparsable } from '../../../../src/gateway/pg/statement/redact.ts';
import { toBytes } from '../../../../src/gateway/pg/statement/source.ts';

const redact = (text: string) => redactStatement(toBytes(text), 0, toBytes(text).length);

describe('the text for the record', () => {
  test.each([
    ["select 'a', 1.5, $1, E'\\'', $x$ b $x$, b'1'", 'select ?, …, $1, ?, …'],
    ['select \'é\' as ö -- secret\n, /* secret */ "Näme"', 'select ? as ö, "Näme"'],
    ['select a  from\n\tt where b=1', 'select a from t where b=?'],
    ['select * from t where id in (1,2,3, 4)', 'select * from t where id in (?, …)'],
    ["insert into t values (1, 'x'), (2, 'y')", 'insert into t values (?, …), (?, …)'],
    ["alter role x password 'p'", 'alter role x password ?'],
    ["select U&'a' uescape '!'", 'select ? uescape ?'],
  ])('%s', (text, expected) => expect(redact(text).replaceAll(' , ', ', ')).toBe(expected));

  test('one statement of several', () => {
    const text = "select 'é'; select 'x', y";
    expect(redactStatement(toBytes(text), toBytes("select 'é';").length, toBytes(text).length)).toBe(
      'select ?, y',
    );
  });

  test('very long texts are cut, unparsable ones are not shown', () => {
    expect(redact(`select ${'abc + '.repeat(10_000)}d`).length).toBeLessThan(17_000);
    expect(redactUnparsable(7)).toBe('<unparsable, 7 bytes>');
  });
});
