import fc from 'fast-check';
import { scanSync } from 'libpg-query';
import { describe, expect, test } from 'vitest';
import { fromBytes, toBytes } from '../../src/gateway/pg/statement/source.ts';
import { blankComments, Lexer, nameEnd } from '../../src/kernel/sql-lexer.ts';
import { loadParser } from '../gateway/pg/statement/sample.ts';

loadParser();

// Pieces that fool lexers that only nearly know Postgres' rules.
const pieces = [
  ...[
    "'a'",
    "''",
    "'a''b'",
    "'a\\'",
    "E'a\\'b'",
    "e'\\\\'",
    "b'01'",
    "X'1f'",
    "N'x'",
    "U&'d\\0061t'",
    "'a'\n'b'",
  ],
  ...[
    "'a' --c\n 'b'",
    "'a' 'b'",
    "'a'\n--c\n'b'",
    "E'a'\n'\\''",
    '$$a$$',
    '$x$ $$ $x$',
    '$x$a$y$x$',
    '$1',
    '$12',
  ],
  ...['"a"', '"a""b"', 'U&"a"', 'u&"a\\0061"', '"é"', 'é', 'a$b', '_x', 'select', 'b', 'e', 'x', 'u', 'n'],
  ...[
    '1',
    '1.5',
    '.5',
    '1.',
    '1e5',
    '1.5e-3',
    '0x1F',
    '0b01',
    '0o17',
    '1_000',
    '1..2',
    '- 1',
    '--c\n',
    '--c\r',
  ],
  ...[
    '/* a */',
    '/* /* */ */',
    "/* ' */",
    '+',
    '-',
    '*',
    '/',
    '@>',
    '->>',
    '||',
    '<=',
    '::',
    ':=',
    '=>',
    '?',
    '&',
  ],
  ...['(', ')', ',', '.', ';', '[', ']', ' ', '\n', '\t', '\f', '\v', '\r'],
];

/** The parser's own scanner: what is a literal, and what is a name. `N'x'` is a word and a literal to it. */
function scanned(text: string): string[] | undefined {
  try {
    return scanSync(text).tokens.flatMap((token) => {
      const kind = {
        258: 'name',
        259: 'name',
        260: 'constant',
        261: 'constant',
        262: 'constant',
        263: 'constant',
        264: 'constant',
        266: 'constant',
      }[token.tokenType];
      return kind === undefined ? [] : [`${kind} ${token.start}-${token.end}`];
    });
  } catch {
    return undefined;
  }
}

function lexed(text: string): string[] {
  const lexer = new Lexer(toBytes(text));
  const found: string[] = [];
  while (lexer.next())
    if (lexer.kind === 'constant') found.push(`constant ${lexer.start}-${lexer.end}`);
    else if (lexer.kind === 'quoted') found.push(`name ${lexer.start}-${lexer.end}`);
    else if (lexer.kind === 'word') found.push(`word ${lexer.start}-${lexer.end}`);
  return found;
}

describe('the lexer', () => {
  test('agrees with the parser’s own scanner on literals and names', () => {
    const text = fc
      .array(fc.constantFrom(...pieces), { maxLength: 12 })
      .chain((parts) =>
        fc
          .array(fc.constantFrom('', ' '), { minLength: parts.length, maxLength: parts.length })
          .map((gaps) => parts.map((part, i) => part + (gaps[i] ?? '')).join('')),
      );
    fc.assert(
      fc.property(text, (sql) => {
        const truth = scanned(sql);
        fc.pre(truth !== undefined && sql !== '' && !/--[^\n\r]*[\n\r]\s*(--[^\n\r]*[\n\r]\s*)*'/.test(sql));
        const ours = new Set(lexed(sql));
        for (const token of truth ?? []) {
          const either = [token, token.replace(/^name/, 'word')].some((one) => ours.has(one));
          expect(either, `${JSON.stringify(sql)}: ${token} not in ${[...ours].join(', ')}`).toBe(true);
        }
        const constants = (tokens: Iterable<string>) =>
          [...tokens].filter((token) => token.startsWith('constant'));
        expect(constants(ours)).toEqual(constants(truth ?? []));
      }),
      { numRuns: 5_000 },
    );
  });

  test('a comment within a continued string: as Postgres, which the scanner of libpg-query refuses', () => {
    expect(lexed("'a' --c\n 'b'")).toEqual(['constant 0-12']);
    expect(lexed("E'a'--c\n'\\'' x")).toEqual(['constant 0-12', 'word 13-14']);
  });

  test.each([
    ["select 'é--' -- é\n, /* ' */ a", "select 'é--'      \n,         a"],
    ['a', 'a'],
    ['-- x', '    '],
  ])('comments blanked: %s', (text, blanked) => {
    expect(fromBytes(blankComments(toBytes(text)))).toBe(blanked);
  });

  test('never fails and always ends', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const lexer = new Lexer(toBytes(text));
        let steps = 0;
        while (lexer.next()) expect(++steps).toBeLessThanOrEqual(Buffer.byteLength(text));
      }),
    );
  });

  test.each([
    ['a', 1, 'a'],
    ['a.b rest', 2, 'a.b'],
    ['a . /* . */ "b.c" x', 2, 'a . /* . */ "b.c"'],
    ['a--x\n.b', 2, 'a--x\n.b'],
    [`U&"a!0062" uescape '!'.b`, 2, `U&"a!0062" uescape '!'.b`],
    [`U&"a" uescape`, 1, 'U&"a"'],
    ['a b', 2, undefined],
    ['1', 1, undefined],
    ['a.*', 2, undefined],
  ])('the end of a name: %s', (text, parts, name) => {
    const end = nameEnd(text, 0, parts);
    expect(end === undefined ? undefined : text.slice(0, end)).toBe(name);
  });
});
