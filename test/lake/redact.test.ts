import { describe, expect, it } from 'vitest';
import { splitStatements } from '../../src/lake/lex.ts';
import { redactLiterals } from '../../src/lake/redact.ts';

describe('redactLiterals', () => {
  it.each([
    ["select 'a' || 'it''s', 1, 2.5e3, 0xFF, $1", 'select ? || ?, ?, ?, ?, $1'],
    ["select e'a\\'b', $$secret$$, $x$se$$cret$x$, x'AB'", 'select ?, ?, ?, ?'],
    ['select a -- secret\n, b /* secret /* nested */ secret */ from t', 'select a  \n, b   from t'],
    ['select "col 1", t1.a2 from "T"', 'select "col 1", t1.a2 from "T"'],
    ["select 'not ended", 'select ?…'],
    ['select /* not ended secret', 'select ?…'],
    ['select $tag$ not ended', 'select ?…'],
    ['', ''],
  ])('%s', (text, redacted) => {
    expect(redactLiterals(text)).toBe(redacted);
  });
});

describe('splitStatements', () => {
  it.each([
    ['select 1; select 2', ['select 1', ' select 2']],
    ['select \';\'; select $$;$$, ";" -- ;\n', ["select ';'", ' select $$;$$, ";" -- ;\n']],
    [' ; ;; -- x', []],
    ['/* ; */ select 1;', ['/* ; */ select 1']],
  ])('%s', (text, pieces) => {
    expect(splitStatements(text).map((piece) => piece.text)).toEqual(pieces);
  });
});
