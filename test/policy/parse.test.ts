import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compileFiles } from '../../src/policy/compile.ts';
import { formatFinding } from '../../src/policy/findings.ts';
import { parsePolicyFiles } from '../../src/policy/parse.ts';
import { sampleCatalog } from './fixture.ts';

const now = Date.parse('2026-03-03T12:00:00Z');

/** Every finding of one file, as it is printed. */
function findings(text: string): string[] {
  return parsePolicyFiles([{ path: 'p.yaml', text }]).findings.map(formatFinding);
}

describe('the sample', () => {
  test('parses without a finding, all kinds kept', () => {
    const text = readFileSync('policies/sample.yaml', 'utf8');
    const { documents, findings: found } = parsePolicyFiles([{ path: 'sample.yaml', text }]);
    expect(found).toEqual([]);
    expect(documents.groups.map((group) => group.name.value)).toEqual([
      'analysts',
      'stewards',
      'platform',
      'auditors',
      'loaders',
    ]);
    expect(documents.policies.map((policy) => [policy.name.value, policy.kind, policy.name.at.line])).toEqual(
      [
        ['own_region', 'row-filter', 34],
        ['mask_email', 'column-mask', 35],
        ['mask_phone', 'column-mask', 36],
      ],
    );
    expect(documents.grants).toHaveLength(6);
    expect(documents.tests.map((one) => one.check.kind)).toEqual(['rows', 'cannot']);
    expect(documents.testTables[0]?.rows[0]).toEqual({ id: 1, email: 'ann@x.io', region: 'EMEA' });
    expect(documents.invariants[0]?.only.map((name) => name.value)).toEqual(['stewards']);
  });
});

describe('what the files say wrongly, each with its place', () => {
  test.each<[string, string, string[]]>([
    ['no kind', 'groups: {}', ['p.yaml:1:1 error missing-key a policy document needs "kind"']],
    [
      'unknown kind',
      'kind: grant',
      ['p.yaml:1:7 error unknown-kind no such kind "grant", did you mean "grants"?'],
    ],
    ['a list', '- a', ['p.yaml:1:1 error wrong-type a policy document must be a map with a "kind"']],
    [
      'unknown key',
      'kind: principals\ngroup: {}',
      ['p.yaml:2:1 error unknown-key principals has no key "group"'],
    ],
    [
      'unknown key in a policy',
      'kind: policies\npolicies:\n  - { name: a, on: metastore, rowfilter: "true", to: [all users] }',
      [
        'p.yaml:3:31 error unknown-key a policy has no key "rowfilter"',
        'p.yaml:3:5 error missing-key a policy needs "rowFilter" or "columnMask", one of both',
      ],
    ],
    [
      'wrong types',
      'kind: grants\ngrants:\n  - { on: 7, to: [a, [b]], privileges: { SELECT: true } }\nowners: x',
      [
        'p.yaml:4:9 error wrong-type owners must be a list',
        'p.yaml:3:22 error wrong-type to must be a text',
        'p.yaml:3:40 error wrong-type privileges must be a text',
      ],
    ],
    [
      'unknown privilege',
      'kind: grants\ngrants:\n  - { on: shop, to: a, privileges: [SELEKT, use_catalog] }',
      ['p.yaml:3:37 error unknown-privilege privileges: unknown privilege "SELEKT"'],
    ],
    [
      'invalid names',
      'kind: grants\nowners:\n  - { on: a.b.c.d.e, owner: x }\n  - { on: "a..b", owner: "" }',
      [
        'p.yaml:3:11 error invalid-name on: invalid securable name "a.b.c.d.e"',
        'p.yaml:4:26 error invalid-name owner: invalid principal name ""',
        'p.yaml:4:11 error invalid-name on: invalid securable name "a..b"',
      ],
    ],
    [
      'a key twice in one map',
      'kind: principals\ngroups:\n  a: { members: [x@y.z] }\n  a: { members: [] }',
      ['p.yaml:4:3 error duplicate-key "a" stands twice in groups'],
    ],
    [
      'a name in two documents',
      'kind: principals\ngroups: { a: { members: [] } }\n---\nkind: principals\nservicePrincipals: { a: {} }',
      ['p.yaml:5:22 error duplicate-name group or service principal "a" is already given at p.yaml:2:11'],
    ],
    [
      'two policies of one name',
      'kind: policies\npolicies:\n  - { name: a, on: metastore, rowFilter: "true", to: x }\n  - { name: a, on: metastore, rowFilter: "true", to: x }',
      ['p.yaml:4:13 error duplicate-name policy "a" is already given at p.yaml:3:13'],
    ],
    [
      'reserved names',
      'kind: principals\ngroups: { all users: { members: [] } }\nservicePrincipals: { operator: {} }',
      [
        'p.yaml:2:11 error reserved-name "all users" is a name of Writ\'s own',
        'p.yaml:3:22 error reserved-name "operator" is a name of Writ\'s own',
      ],
    ],
    [
      'members and a source',
      'kind: principals\ngroups: { a: { members: [], source: claim }, b: {}, c: { source: ldap } }',
      [
        'p.yaml:2:14 error members-and-source group a has members and a source: one of both',
        'p.yaml:2:49 error missing-key group b needs "members" or "source"',
        'p.yaml:2:66 error wrong-type source must be "claim" or "scim"',
      ],
    ],
    [
      'an expiry that is none: it must not become "for ever"',
      'kind: grants\ngrants:\n  - { on: shop, to: a, privileges: [SELECT], expires: tomorrow }\n  - { on: shop, to: a, privileges: [SELECT], expires: 2026-02-30 }',
      [
        'p.yaml:3:55 error wrong-type expires must be a date (2026-12-31) or a time with zone (2026-12-31T18:00:00Z)',
        'p.yaml:4:55 error wrong-type expires must be a date (2026-12-31) or a time with zone (2026-12-31T18:00:00Z)',
      ],
    ],
    [
      'strength on a filter',
      'kind: policies\npolicies: [{ name: a, on: metastore, rowFilter: "true", to: x, strength: 1 }]',
      ['p.yaml:2:74 error unknown-key a row filter has no strength: all row filters must hold'],
    ],
    [
      'a test of nothing',
      'kind: tests\ntests: [{ as: ana@acme.test }, { as: a@b.c, can: SELECT }]',
      [
        'p.yaml:2:9 error missing-key a test needs "query", "can" or "cannot", one of them',
        'p.yaml:2:32 error missing-key a test with "can" needs "on"',
      ],
    ],
  ])('%s', (_what, text, expected) => {
    const found = findings(text).map((line) =>
      line.replace(/ \[.*\]$/, '').replace(/(: invalid securable name "[^"]*"): .*/, '$1'),
    );
    expect(found).toEqual(expect.arrayContaining(expected));
    expect(found).toHaveLength(expected.length);
  });

  test.each([
    ['an open bracket', 'kind: principals\ngroups: { a: { members: [x }', 'p.yaml:2:'],
    ['a tab', 'kind: principals\n\tgroups: {}', 'p.yaml:2:1'],
    ['a bad second document', 'kind: tags\n---\nkind: [', 'p.yaml:3:8'],
  ])('YAML syntax: %s', (_what, text, place) => {
    const found = findings(text);
    expect(found[0]).toMatch(/ error yaml-syntax /);
    expect(found[0]?.startsWith(place)).toBe(true);
  });

  test('a file that is no YAML is blamed for its syntax alone', async () => {
    const text = [
      'kind: grants',
      'grants:',
      '  - { on: shop, to: analysts, privileges: [USE CATALOG] }',
      '---',
      'kind: principals',
      'groups:',
      '  analysts: { members: [ana@acme.test }',
    ].join('\n');
    const other = { path: 'o.yaml', text: 'kind: grants\nowners: [{ on: shop, owner: analysts }]' };
    const { snapshot, findings: found } = await compileFiles(
      [{ path: 'p.yaml', text }, other],
      sampleCatalog(),
      [],
      now,
    );
    expect(snapshot).toBeUndefined();
    expect(found.length).toBeGreaterThan(0);
    expect([...new Set(found.map((one) => `${one.path} ${one.rule}`))]).toEqual(['p.yaml yaml-syntax']);
  });

  test('a broken document does not hide what is wrong in the next file', () => {
    const { findings: found } = parsePolicyFiles([
      { path: 'a.yaml', text: 'kind: [' },
      { path: 'b.yaml', text: 'kind: nothing' },
    ]);
    expect(found.map((finding) => `${finding.path} ${finding.rule}`)).toEqual(
      expect.arrayContaining(['a.yaml yaml-syntax', 'b.yaml unknown-kind']),
    );
  });

  test('an expression is found inside quotes, plain and block scalars', async () => {
    const text = [
      'kind: policies',
      'policies:',
      `  - { name: a, on: metastore, rowFilter: "region = 'x' and now() > z", match: {}, to: all users }`,
      '  - name: b',
      '    on: metastore',
      '    to: all users',
      '    rowFilter: |',
      "      principal() = 'x'",
      '      and md5(principal()) = principal()',
      '  - name: c',
      '    on: metastore',
      '    to: all users',
      '    rowFilter: upper(principal()) = principal()',
    ].join('\n');
    const { findings: found } = await compileFiles([{ path: 'p.yaml', text }], sampleCatalog(), [], now);
    const places = found
      .filter((finding) => finding.rule.startsWith('expression'))
      .map((f) => `${f.line}:${f.column} ${f.rule}`);
    expect(places).toEqual([
      '3:43 expression-unbound',
      '3:60 expression-refused',
      '3:68 expression-unbound',
      '9:11 expression-refused',
      '13:16 expression-refused',
    ]);
  });

  test('hostile YAML neither hangs nor throws', () => {
    const bomb = [
      'kind: tests',
      'tables:',
      '  a: &a [x, x]',
      ...Array.from(
        { length: 30 },
        (_, i) => `  b${i}: &b${i} [*${i === 0 ? 'a' : `b${i - 1}`}, *${i === 0 ? 'a' : `b${i - 1}`}]`,
      ),
    ];
    expect(findings(bomb.join('\n')).length).toBeGreaterThan(0);
    expect(findings('kind: principals\ngroups: &g { a: *g }').length).toBeGreaterThan(0);
    expect(
      findings('kind: principals\ngroups: { __proto__: { members: [] }, constructor: { members: [] } }'),
    ).toEqual([]);
    expect(findings('\ufeffkind: tags')).toEqual([]);
    expect(findings(`kind: ${'['.repeat(20_000)}`).length).toBeGreaterThan(0);
  });
});

describe('aliases', () => {
  test('some are read', () => {
    const text = 'kind: grants\ngrants: [&g { on: shop, to: a, privileges: [SELECT] }, *g]\n';
    expect(parsePolicyFiles([{ path: 'p.yaml', text }]).documents.grants).toHaveLength(2);
  });

  test('a small file does not say very much through them', () => {
    const on = (many: number) => Array.from({ length: many }, (_, i) => `t${i}`).join(', ');
    const file = (names: number, aliases: number) =>
      `kind: grants\ngrants: [&g { on: &n [${on(names)}], to: a, privileges: [SELECT] }${', *g'.repeat(aliases)}]\n`;
    for (const text of [file(5_000, 50), file(3, 3_000)])
      expect(findings(text).filter((each) => each.includes('through aliases'))).toHaveLength(1);
  });
});
