import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { CatalogSnapshot } from '../../src/catalog/model.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import { formatFinding } from '../../src/policy/findings.ts';
import { catalogOf, people, sampleCatalog, sampleTables, table } from './fixture.ts';

const now = Date.parse('2026-03-03T12:00:00Z');
const sample = readFileSync('policies/sample.yaml', 'utf8');

async function lint(text: string, catalog: CatalogSnapshot = sampleCatalog()): Promise<string[]> {
  const { findings: found } = await compileFiles([{ path: 'p.yaml', text }], catalog, [people.nina], now);
  // Most texts here are fragments, which open nothing.
  return found.filter((one) => one.rule !== 'nobody-admitted').map(formatFinding);
}

/** The sample with one text replaced, which must be there. */
function changed(from: string, to: string): string {
  expect(sample).toContain(from);
  return sample.replace(from, to);
}

describe('the sample', () => {
  test('has no findings', async () => {
    expect(await lint(sample)).toEqual([]);
  });

  test.each<[string, string, string, RegExp]>([
    [
      'a table that does not exist',
      'shop.public.customers.email',
      'shop.public.custmers.email',
      /^p.yaml:16:12 error unknown-securable no such table shop\.public\.custmers, did you mean "customers"\?/,
    ],
    [
      'a column that does not exist',
      'shop.public.customers.phone',
      'shop.public.customers.fone',
      /no such column shop\.public\.customers\.fone, did you mean "phone"\?/,
    ],
    [
      'a catalog that does not exist',
      'on: [shop, lake], to: analysts',
      'on: [shop, lakes], to: analysts',
      /error unknown-securable no such catalog lakes, did you mean "lake"\?/,
    ],
    [
      'a schema that does not exist',
      'on: shop.public, to: loaders',
      'on: shop.publik, to: loaders',
      /no such schema shop\.publik, did you mean "public"\?/,
    ],
    [
      'a partition',
      'on: shop.public.orders, to: loaders',
      'on: shop.public.events_2026_01, to: loaders',
      /shop\.public\.events_2026_01 is a partition: name its parent shop\.public\.events/,
    ],
    [
      'an unknown group',
      'to: auditors, privileges: [USE CATALOG]',
      'to: auditor, privileges: [USE CATALOG]',
      /error unknown-principal no such group or service principal "auditor", did you mean "auditors"\?/,
    ],
    [
      'an undeclared service principal',
      'servicePrincipals: { etl: {} }',
      'servicePrincipals: {}',
      /no such group or service principal "etl"/,
    ],
    [
      'an undeclared tag',
      'tags: { pii: phone } }',
      'tags: { pi: phone } }',
      /error unknown-tag no such tag "pi", did you mean "pii"\?/,
    ],
    [
      'an undeclared value',
      'tags: { pii: phone } }',
      'tags: { pii: fone } }',
      /error unknown-tag-value tag pii has no value "fone", did you mean "phone"\?/,
    ],
    [
      'an untagged look-alike',
      'shop.public.customers.phone, tags: { pii: phone }',
      'shop.public.customers.name, tags: { pii: phone }',
      /^p.yaml:20:32 error untagged-look-alike column shop\.public\.customers\.phone looks like "\*phone\*" but has no tag pii/,
    ],
    [
      'a privilege on the wrong level',
      'on: shop.public, to: loaders, privileges: [USE SCHEMA]',
      'on: shop.public, to: loaders, privileges: [USE CATALOG]',
      /error wrong-level USE CATALOG is granted on catalogs, not on the schema shop\.public/,
    ],
    [
      'an unbound name',
      "region = any(attribute('region'))",
      "regions = any(attribute('region'))",
      /^p.yaml:34:52 error expression-unbound "regions" is bound by no "match" \(bound: region\)/,
    ],
    [
      'a refused function',
      'left(value, 1)',
      'lower(value)',
      /^p.yaml:35:53 error expression-refused lower\(\)/,
    ],
    [
      'a mask of another type',
      `"left(value, 1) || '***@***'"`,
      '"length(value)"',
      /error expression-type the masked column takes text, not integer/,
    ],
    [
      'an unknown group in an expression',
      "region = any(attribute('region'))",
      "region = any(attribute('region')) or is_member('steward')",
      /no such group "steward", did you mean "stewards"\?/,
    ],
    [
      'a mask without its column',
      'match: { value: { pii: email } }',
      'match: { column: { pii: email } }',
      /error no-masked-column mask mask_email needs match\.value/,
    ],
    [
      'an attribute of a group',
      'omar@acme.test: { region',
      'analysts: { region',
      /error group-attribute analysts is a group/,
    ],
  ])('%s is found', async (_what, from, to, expected) => {
    expect(await lint(changed(from, to))).toEqual(expect.arrayContaining([expect.stringMatching(expected)]));
  });

  test('everything that is wrong is found at once, in order of place', async () => {
    const broken = changed('left(value, 1)', 'lower(value)').replace('{ pii: phone } }', '{ pi: phone } }');
    const found = await lint(broken);
    expect(found.map((line) => line.split(' ')[2])).toEqual([
      'unknown-tag',
      'untagged-look-alike',
      'expression-refused',
      'idle-policy',
    ]);
  });
});

describe('files that admit nobody', () => {
  const warning =
    'p.yaml:1:1 warning nobody-admitted nobody may use any catalog [grant USE CATALOG on a catalog to somebody]';
  const grant = (text: string) => `kind: grants\ngrants: [{ ${text} }]`;

  test.each<[string, string, boolean]>([
    ['nothing at all', '', true],
    ['groups alone', 'kind: principals\ngroups: { a: { members: [x@y.z] } }', true],
    ['SELECT alone', grant('on: shop, to: all users, privileges: [SELECT]'), true],
    ['USE CATALOG', grant('on: shop, to: x@y.z, privileges: [USE CATALOG]'), false],
    [
      '… that has expired',
      grant('on: shop, to: x@y.z, privileges: [USE CATALOG], expires: 2026-03-02'),
      true,
    ],
    ['all privileges', grant('on: shop, to: all users, privileges: [ALL PRIVILEGES]'), false],
    ['an owner of the metastore', 'kind: grants\nowners: [{ on: metastore, owner: x@y.z }]', false],
    ['an owner of a schema', 'kind: grants\nowners: [{ on: shop.public, owner: x@y.z }]', true],
  ])('%s', async (_what, text, expected) => {
    const { findings: found } = await compileFiles([{ path: 'p.yaml', text }], sampleCatalog(), [], now);
    expect(found.map(formatFinding).includes(warning)).toBe(expected);
  });

  test('no files at all, whatever the catalog', async () => {
    const { findings: found } = await compileFiles([], sampleCatalog(), [], now);
    expect(found.map(formatFinding)).toEqual([warning.replace('p.yaml', 'policies')]);
    expect((await compileFiles([], catalogOf({}, []), [], now)).findings).toEqual(found);
  });
});

describe('groups', () => {
  const groups = (text: string) => `kind: principals\ngroups:\n${text}`;

  test('a cycle is printed whole', async () => {
    const text = groups(
      '  a: { members: [b] }\n  b: { members: [c, x@y.z] }\n  c: { members: [a] }\n  d: { members: [a] }',
    );
    expect(await lint(text)).toEqual([
      'p.yaml:5:18 error group-cycle groups contain themselves: a → b → c → a',
    ]);
  });

  test('a group in itself', async () => {
    expect(await lint(groups('  a: { members: [a] }'))).toEqual([
      'p.yaml:3:18 error group-cycle groups contain themselves: a → a',
    ]);
  });

  test('a diamond is no cycle', async () => {
    expect(
      await lint(
        groups(
          '  a: { members: [b, c] }\n  b: { members: [d] }\n  c: { members: [d] }\n  d: { members: [] }',
        ),
      ),
    ).toEqual([]);
  });
});

describe('grants', () => {
  const grant = (text: string) => `kind: grants\ngrants:\n  - ${text}`;

  test.each<[string, string[]]>([
    [
      '{ on: shop, to: nina@acme.test, privileges: [SELECT], expires: 2026-03-02 }',
      ['p.yaml:3:68 warning expired-grant this grant has expired and gives nothing'],
    ],
    ['{ on: shop, to: nina@acme.test, privileges: [SELECT], expires: 2026-03-03 }', []],
    [
      '{ on: metastore, to: all users, privileges: [SELECT] }',
      [
        'p.yaml:3:50 error wrong-level SELECT is granted on catalogs and below: grants on the metastore are not inherited, not on the metastore',
      ],
    ],
    [
      '{ on: shop, to: all users, privileges: [CREATE CATALOG] }',
      ['p.yaml:3:45 error wrong-level CREATE CATALOG is granted on the metastore, not on the catalog shop'],
    ],
    [
      '{ on: shop.public.customers.email, to: all users, privileges: [SELECT] }',
      [
        'p.yaml:3:11 error wrong-level grants stand on metastore, catalog, schema, table, function, not on a column',
      ],
    ],
    ['{ on: shop, to: nina@acme.test, assume: shop_app }', []],
    [
      '{ on: lake, to: nina@acme.test, assume: shop_app }',
      ['p.yaml:3:11 error wrong-level roles are assumed on POSTGRES catalogs'],
    ],
    [
      '{ on: shop.public.customer_orders, to: nina@acme.test, privileges: [MODIFY] }',
      [
        'p.yaml:3:73 warning modify-on-view shop.public.customer_orders is a view: MODIFY on it gives nothing',
      ],
    ],
    [
      '{ on: shop, to: operator, privileges: [SELECT] }',
      ['p.yaml:3:21 error reserved-name "operator" is a name of Writ\'s own'],
    ],
  ])('%s', async (text, expected) => {
    expect(await lint(grant(text))).toEqual(expected);
  });
});

describe('policies', () => {
  const tags =
    'kind: tags\ntags: { pii: { values: [email, phone] }, residency: {}, secret: {} }\nassign:\n  - { on: [shop.public.customers.email, shop.public.customers.name], tags: { pii: email, residency: home } }\n  - { on: shop.public.customers.created_at, tags: { secret: time } }\n';
  const people =
    '---\nkind: principals\ngroups: { a: { members: [x@y.z] }, b: { members: [] }, c: { members: [z@y.z] } }\n';
  const policy = (...texts: string[]) =>
    `${tags}${people}---\nkind: policies\npolicies:\n${texts.map((text) => `  - ${text}`).join('\n')}`;
  const mask = (name: string, more: string) =>
    `{ name: ${name}, columnMask: "'x'", match: { value: { pii: email } }, ${more} }`;

  test.each<[string, string, string[]]>([
    [
      'a name that matches several columns',
      policy(
        `{ name: f, on: metastore, rowFilter: "r = 'x'", match: { r: { residency: home } }, to: all users }`,
      ),
      [
        'p.yaml:12:62 error ambiguous-match policy f: r matches several columns of shop.public.customers: name, email',
      ],
    ],
    ['value may match several', policy(mask('m', 'on: metastore, to: all users')), []],
    [
      'equal strength in one scope',
      policy(mask('m', 'on: shop, to: a'), mask('n', 'on: shop, to: b')),
      [
        'p.yaml:13:13 error equal-strength masks m and n have equal strength on shop.public.customers.email and can bind the same person [give one of them a greater strength]',
      ],
    ],
    [
      'a greater strength',
      policy(mask('m', 'on: shop, to: a'), mask('n', 'on: shop, to: b, strength: 1')),
      [],
    ],
    ['set higher up', policy(mask('m', 'on: metastore, to: a'), mask('n', 'on: shop, to: b')), []],
    ['who cannot meet', policy(mask('m', 'on: shop, to: a, except: b'), mask('n', 'on: shop, to: b')), []],
    ['two people', policy(mask('m', 'on: shop, to: x@y.z'), mask('n', 'on: shop, to: z@y.z')), []],
    [
      'no table',
      policy(`{ name: f, on: lake, rowFilter: "r = 'x'", match: { r: { residency: home } }, to: all users }`),
      ['p.yaml:12:13 warning idle-policy policy f applies to no table'],
    ],
    [
      'no table, and wrong all the same',
      policy(
        `{ name: f, on: lake, rowFilter: "now() = r", match: { r: { residency: home } }, to: all users }`,
      ),
      [
        'p.yaml:12:13 warning idle-policy policy f applies to no table',
        'p.yaml:12:38 error expression-refused now() is refused: it is not immutable',
      ],
    ],
    [
      'a mask of the wrong type',
      policy(`{ name: m, on: shop, columnMask: "'x'", match: { value: { secret: time } }, to: all users }`),
      [
        `p.yaml:12:39 error expression-type "x" is no timestamptz with its zone (2026-01-31 12:00:00Z) [on shop.public.customers]`,
      ],
    ],
    [
      'null masks anything',
      policy(`{ name: m, on: shop, columnMask: "null", match: { value: { secret: time } }, to: all users }`),
      [],
    ],
    [
      'nobody',
      policy(mask('m', 'on: shop, to: []')),
      ['p.yaml:12:13 error empty-audience policy m is for nobody'],
    ],
  ])('%s', async (_what, text, expected) => {
    expect(await lint(text)).toEqual(expected);
  });

  test('types outside the matrix cannot be bound', async () => {
    const odd = table('shop.public.odd', { id: 'bigint', price: 'double', padded: 'text' });
    const columns = odd.columns.map((column) =>
      column.name === 'padded' ? { ...column, engineType: 'character(3)' } : column,
    );
    const catalog = catalogOf({ shop: 'POSTGRES' }, [{ ...odd, columns }]);
    const text = `kind: tags\ntags: { t: {} }\nassign: [{ on: [shop.public.odd.price, shop.public.odd.padded], tags: { t: x } }]\n---\nkind: policies\npolicies:\n  - { name: m, on: shop, columnMask: "null", match: { value: { t: true } }, to: all users }`;
    expect(await lint(text, catalog)).toEqual([
      'p.yaml:7:13 error unusable-type policy m: value is bound to shop.public.odd.padded, which is character(3), a type outside the matrix',
      'p.yaml:7:13 error unusable-type policy m: value is bound to shop.public.odd.price, which is double precision, a type outside the matrix',
    ]);
  });

  test('a look-alike in a view is no finding, in a table it is', async () => {
    const catalog = catalogOf({ shop: 'POSTGRES' }, [
      ...sampleTables().filter((one) => one.name.startsWith('shop')),
      table('shop.public.v', { email: 'text' }, 'VIEW'),
    ]);
    const text = 'kind: tags\ntags: { pii: {} }\nrequire: [{ columnsLike: "E?ail", tag: pii }]';
    expect(await lint(text, catalog)).toEqual([
      'p.yaml:3:26 error untagged-look-alike column shop.public.customers.email looks like "E?ail" but has no tag pii [assign pii to it]',
    ]);
  });
});
