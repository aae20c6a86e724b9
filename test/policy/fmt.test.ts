import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { formatPolicyText } from '../../src/policy/fmt.ts';
import { parsePolicyFiles } from '../../src/policy/parse.ts';

function format(text: string): string {
  const formatted = formatPolicyText(text);
  expect(formatted).toHaveProperty('text');
  return 'text' in formatted ? formatted.text : '';
}

/** What the files say, without the places where they say it. */
const said = (text: string): unknown => {
  const { documents, findings } = parsePolicyFiles([{ path: 'p.yaml', text }]);
  return JSON.parse(
    JSON.stringify(
      [documents, findings.map((one) => one.message.replace(/ at p\.yaml.*/, '')).sort()],
      (key, value) => (key === 'at' ? undefined : value),
    ),
  );
};

test('the sample stays literally as it is', () => {
  const sample = readFileSync('policies/sample.yaml', 'utf8');
  expect(format(sample)).toBe(sample);
});

test.each<[string, string, string]>([
  ['order of keys', 'grants: []\nkind: grants', 'kind: grants\ngrants: []\n'],
  [
    'order of keys in entries, in either style',
    'kind: grants\ngrants:\n  - privileges: [SELECT]\n    on: b # where\n    # who\n    to: a\n  - {to: a,on: b}',
    'kind: grants\ngrants:\n  - on: b # where\n    # who\n    to: a\n    privileges: [SELECT]\n  - { on: b, to: a }\n',
  ],
  [
    'indentation',
    'kind: principals\ngroups:\n    a:\n        members:\n        - x@y.z\n        -   b\n    b: {members: [ ]}',
    'kind: principals\ngroups:\n  a:\n    members:\n      - x@y.z\n      - b\n  b: { members: [] }\n',
  ],
  [
    'a dash on its own line',
    'kind: grants\ngrants:\n-\n  on: a\n  to: b',
    'kind: grants\ngrants:\n  - on: a\n    to: b\n',
  ],
  [
    'blanks in brackets',
    'kind: tests\ntests: [{as: a ,  can: SELECT,on: b}, ]',
    'kind: tests\ntests: [{ as: a, can: SELECT, on: b }]\n',
  ],
  [
    'wide gaps that line up stay, others go',
    'kind: principals\ngroups:\n  ab:  { source:   claim }\n  abc: { source: scim }\n  abcd:   { source: scim }',
    'kind: principals\ngroups:\n  ab:  { source: claim }\n  abc: { source: scim }\n  abcd: { source: scim }\n',
  ],
  [
    'blanks before a comment',
    'tags: {}    # c  \nkind: tags      # why',
    'kind: tags      # why\ntags: {}    # c\n',
  ],
  [
    'documents',
    '---\n\nkind: tags\n\n\n---\n# c\n\n\nkind: grants  \n...\n',
    'kind: tags\n---\n# c\n\nkind: grants\n',
  ],
  [
    'block scalars and what follows',
    'kind: tests\ntests:\n- query: |\n     select\n       1\n\n  as: a   \n  rows: []',
    'kind: tests\ntests:\n  - as: a\n    query: |\n      select\n        1\n    rows: []\n',
  ],
  [
    'lines within brackets',
    'kind: grants\ngrants: [\n {on: a, to: b}, # one\n      { on: c,\n to: d }\n  ]',
    'kind: grants\ngrants: [\n    { on: a, to: b }, # one\n    { on: c,\n      to: d }\n  ]\n',
  ],
  ['Windows', 'kind: tags\r\ntags: {}\r\n', 'kind: tags\ntags: {}\n'],
  ['nothing', '', ''],
])('%s', (_what, text, expected) => {
  expect(format(text)).toBe(expected);
  expect(format(expected)).toBe(expected);
  expect(said(expected)).toEqual(said(text));
});

describe('what is not formatted', () => {
  test.each<[string, string, number]>([
    ['no YAML', 'kind: [a\nb', 2],
    ['YAML that ends too early', 'kind: [', 1],
    ['an explicit key', 'kind: tags\n? a\n: b\n', 2],
    ['an indentation indicator', 'kind: tests\ncomment: |2\n   a\n', 2],
    ['a directive', '%YAML 1.2\n---\nkind: tags\n', 1],
  ])('%s is named with its place', (_what, text, line) => {
    expect(formatPolicyText(text)).toMatchObject({ problem: expect.any(String), line });
  });
});

const fixtures = new URL('./lint/', import.meta.url);
const read = (rule: string, name: string) => readFileSync(new URL(`${rule}/${name}.yaml`, fixtures), 'utf8');

test('every file of the lint rules that is YAML can be formatted, twice with one result, and says the same', () => {
  for (const rule of readdirSync(fixtures))
    for (const name of ['fail', 'pass']) {
      const text = read(rule, name);
      if (rule === 'yaml-syntax' && name === 'fail') continue;
      const once = format(text);
      expect(format(once)).toBe(once);
      expect(said(once)).toEqual(said(text));
    }
});

// Values of documents, then their texts in styles and indentations of every kind, with comments strewn in.
const word = fc.constantFrom(
  'shop',
  'a b',
  "it's",
  '2024',
  'true',
  '',
  '#x',
  'a: b',
  'ü',
  '- x',
  'x\ny\n',
  '  z',
  '{',
);
const leaf = fc.oneof(word, fc.integer(), fc.boolean(), fc.constant(null));
const tree = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('on', 'to', 'privileges', 'k k', '1', 'x'), tie('node'), { maxKeys: 4 }),
  ),
})).node;
const entry = fc.record(
  { privileges: tree, to: tree, on: tree, comment: tree, expires: tree },
  { requiredKeys: [] },
);
const document = fc.oneof(
  fc.record({ grants: fc.array(entry, { maxLength: 3 }), kind: fc.constant('grants'), owners: tree }),
  fc.record({ tests: fc.array(entry, { maxLength: 3 }), kind: fc.constant('tests'), tables: tree }),
);
const style = fc.record({
  indent: fc.integer({ min: 1, max: 5 }),
  indentSeq: fc.boolean(),
  collectionStyle: fc.constantFrom('any' as const, 'flow' as const, 'block' as const),
  flowCollectionPadding: fc.boolean(),
  lineWidth: fc.constantFrom(20, 0, 60),
  defaultStringType: fc.constantFrom('PLAIN' as const, 'QUOTE_DOUBLE' as const, 'BLOCK_LITERAL' as const),
});
const noise = fc.array(
  fc.record({ at: fc.nat(), what: fc.constantFrom('  # c', '\n', '\n# d\n', '  ', '\n\n\n') }),
  { maxLength: 4 },
);

/** The text with something strewn in at ends of lines; not YAML any more where a scalar goes on. */
function strewn(text: string, strew: readonly { readonly at: number; readonly what: string }[]): string {
  const lines = text.split('\n');
  for (const { at, what } of strew) lines[at % lines.length] += what;
  return lines.join('\n');
}

const texts = fc
  .tuple(fc.array(document, { minLength: 1, maxLength: 2 }), style, noise)
  .map(([documents, options, strew]) =>
    strewn(documents.map((one) => stringify(one, options)).join('---\n'), strew),
  );

describe('any file', () => {
  test('a problem is placed in the file as it is, also without a newline at its end', () => {
    expect(formatPolicyText('kind: [')).toMatchObject({ problem: expect.any(String), line: 1 });
  });

  test('twice is once, and the file says the same', () => {
    let formatted = 0;
    fc.assert(
      fc.property(texts, (text) => {
        const once = formatPolicyText(text);
        if (!('text' in once)) return;
        formatted++;
        expect(formatPolicyText(once.text)).toEqual(once);
        expect(said(once.text)).toEqual(said(text));
      }),
      { numRuns: 150 },
    );
    expect(formatted).toBeGreaterThan(50);
  });

  test('a text without comments or breaks in odd places is always formatted', () => {
    fc.assert(
      fc.property(document, style, (one, options) => {
        const text = stringify(one, { ...options, indentSeq: true, blockQuote: false });
        expect([text, formatPolicyText(text)]).toEqual([text, { text: expect.any(String) }]);
      }),
      { numRuns: 150 },
    );
  });
});
