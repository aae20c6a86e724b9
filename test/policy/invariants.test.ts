import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CatalogSnapshot } from '../../src/catalog/model.ts';
import type { GroupName, PrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { compileFiles } from '../../src/policy/compile.ts';
import { formatCounterexample } from '../../src/policy/invariants.ts';
import { catalogOf, sampleCatalog, sampleTables, table } from './fixture.ts';

const now = Date.parse('2026-03-03T12:00:00Z');
const sample = readFileSync('policies/sample.yaml', 'utf8');

async function prove(text: string, catalog: CatalogSnapshot = sampleCatalog()) {
  const compiled = await compileFiles([{ path: 'p.yaml', text }], catalog, [], now);
  return {
    compiles: compiled.snapshot !== undefined,
    words: compiled.invariants.map(({ words }) => words),
    broken: compiled.invariants.flatMap(({ counterexamples }) => counterexamples.map(formatCounterexample)),
    results: compiled.invariants,
    findings: compiled.findings.map(({ rule, message, line }) => ({ rule, message, line })),
  };
}

const edited = (...edits: [string, string][]) =>
  edits.reduce((text, [from, to]) => {
    expect(text).toContain(from);
    return text.replace(from, to);
  }, sample);

const withInvariant = (invariant: string, text = sample) =>
  text.replace(/^invariants: .*$/m, `invariants: [${invariant}]`);

describe('unmaskedOnlyFor', () => {
  test('the sample holds, and says of how much', async () => {
    const proof = await prove(sample);
    expect(proof).toMatchObject({ compiles: true, broken: [], findings: [] });
    expect(proof.words).toEqual(['columns tagged pii (3 columns, 2 tables) unmasked only for stewards']);
  });

  test.each([
    [
      'somebody excepted who reads',
      [
        [
          'value: { pii: email } }, to: [all users], except: [stewards]',
          'value: { pii: email } }, to: [all users], except: [stewards, analysts]',
        ],
      ],
      'anyone in analysts (now ana@acme.test, omar@acme.test) reaches shop.public.customers.email: not bound by mask_email',
    ],
    [
      'a mask that hands the value on',
      [["left(value, 1) || '***@***'", 'value']],
      'anyone in analysts (now ana@acme.test, omar@acme.test) reaches shop.public.customers.email: mask mask_email hands the value on',
    ],
    [
      'a mask that hands it on to members of a group',
      [["left(value, 1) || '***@***'", "case when is_member('loaders') then value else '***' end"]],
      'anyone in loaders and analysts reaches shop.public.customers.email: mask mask_email hands the value on',
    ],
    [
      'the tag of another column: no mask is on it',
      [
        [
          'shop.public.customers.phone, tags: { pii: phone }',
          'shop.public.customers.name, tags: { pii: other }',
        ],
        ['values: [email, phone]', 'values: [email, phone, other]'],
        [
          '  - { columnsLike: ["*email*", "*phone*"], tag: pii }',
          '  - { columnsLike: ["*email*"], tag: pii }',
        ],
      ],
      'anyone in analysts (now ana@acme.test, omar@acme.test) reaches shop.public.customers.name: no mask is on it',
    ],
    [
      'acting as a role of the database',
      [['grants:\n', 'grants:\n  - { on: shop, to: platform, assume: shop_app }\n']],
      'anyone in platform (now pat@acme.test) reaches shop.public.customers: outside filters and masks',
    ],
    [
      'a named owner of the table',
      [
        ['owners: [', 'owners: [{ on: shop.public.customers, owner: pat@acme.test }, '],
        [
          'to: [all users], except: [stewards] }\n  - { name: mask_phone',
          'to: [analysts], except: [stewards] }\n  - { name: mask_phone',
        ],
      ],
      'pat@acme.test reaches shop.public.customers.email: not bound by mask_email',
    ],
  ] as [string, [string, string][], string][])('broken: %s', async (_, edits, message) => {
    const proof = await prove(edited(...edits));
    expect(proof.compiles).toBe(false);
    expect(proof.broken.join('\n')).toContain(message);
    expect(proof.findings.map(({ rule }) => rule)).toContain('invariant');
  });

  // A mask may read the columns that \`match\` binds beside \`value\`.
  test.each([
    [
      'the column itself under another name',
      [
        ['match: { value: { pii: email } }', 'match: { value: { pii: email }, mail: { pii: email } }'],
        ["left(value, 1) || '***@***'", 'mail'],
      ],
      'reaches shop.public.customers.email: mask mask_email hands the value on',
    ],
    [
      'a tagged column beside it',
      [
        ['match: { value: { pii: email } }', 'match: { value: { pii: email }, phone: { pii: phone } }'],
        ["left(value, 1) || '***@***'", "'tel:' || phone"],
      ],
      'reaches shop.public.customers.phone: mask mask_email shows it in email',
    ],
    [
      'pieces that are all of it together',
      [["left(value, 1) || '***@***'", 'left(value, 1) || substring(value, 2)']],
      'reaches shop.public.customers.email: mask mask_email hands the value on',
    ],
    [
      'so much of it that it is mostly all',
      [["left(value, 1) || '***@***'", 'left(value, 100)']],
      'reaches shop.public.customers.email: mask mask_email hands the value on',
    ],
  ] as [string, [string, string][], string][])('a mask shows %s', async (_, edits, message) => {
    const proof = await prove(edited(...edits));
    expect(proof.compiles).toBe(false);
    expect(proof.broken.join('\n')).toContain(message);
  });

  test('a piece of a tagged column beside it, and a column that carries no such tag, are not shown', async () => {
    // Where all of `match` is found: a lake's table without a phone would go without the mask.
    const beside = (match: string, mask: string) =>
      edited(
        ['match: { value: { pii: email } }', `match: { value: { pii: email }, ${match} }`],
        ["left(value, 1) || '***@***'", mask],
        [', lake.sales.orders_history.customer_email]', ']'],
        [
          '  - { columnsLike: ["*email*", "*phone*"], tag: pii }',
          '  - { columnsLike: ["*phone*"], tag: pii }',
        ],
      );
    const pieces = beside('phone: { pii: phone }', "'tel:' || right(phone, 2)");
    const region = beside('region: { residency: region }', "region || '***'");
    expect((await prove(pieces)).broken).toEqual([]);
    expect((await prove(region)).broken).toEqual([]);
  });

  test('a group without members counts: whoever joins later would see', async () => {
    const text = edited(
      ['servicePrincipals', '  visitors: { members: [] }\nservicePrincipals'],
      [
        'grants:\n',
        'grants:\n  - { on: shop, to: visitors, privileges: [USE CATALOG, USE SCHEMA, SELECT] }\n',
      ],
      [
        'to: [all users], except: [stewards] }\n  - { name: mask_phone',
        'to: [analysts], except: [stewards] }\n  - { name: mask_phone',
      ],
    );
    expect((await prove(text)).broken).toEqual([
      'anyone in visitors reaches shop.public.customers.email: not bound by mask_email',
    ]);
  });

  test('gates from several groups add up in one person', async () => {
    const text = edited(
      ['grants:\n', 'grants:\n  - { on: shop, to: auditors, privileges: [SELECT] }\n'],
      [
        'to: [all users], except: [stewards] }\n  - { name: mask_phone',
        'to: [all users], except: [stewards, auditors] }\n  - { name: mask_phone',
      ],
    );
    const { broken } = await prove(text);
    expect(broken[0]).toMatch(/^anyone in (auditors and|.* and auditors|.*auditors)/);
  });

  test('through a view whose reader may not read the table', async () => {
    const text = edited(
      ['grants:\n', 'grants:\n  - { on: shop.public.customer_orders, to: loaders, privileges: [SELECT] }\n'],
      [
        'to: [all users], except: [stewards] }\n  - { name: mask_phone',
        'to: [all users], except: [stewards, loaders] }\n  - { name: mask_phone',
      ],
    );
    const { broken } = await prove(text);
    expect(broken).toContain(
      'anyone in loaders (now etl) reaches shop.public.customers.email through shop.public.customer_orders: not bound by mask_email',
    );
  });

  test('a tag on a table is on all its columns', async () => {
    const text = edited(['assign:\n', 'assign:\n  - { on: shop.public.countries, tags: { pii: email } }\n']);
    const { broken, words } = await prove(text);
    expect(words).toEqual(['columns tagged pii (5 columns, 3 tables) unmasked only for stewards']);
    expect(broken[0]).toMatch(/shop\.public\.countries\.code: no mask is on it$/);
  });

  test('of one value of the tag; a tag that nothing carries is no invariant', async () => {
    expect(
      (await prove(withInvariant('{ forall: { tag: pii, value: phone }, unmaskedOnlyFor: stewards }'))).words,
    ).toEqual(['columns tagged pii: phone (1 column, 1 table) unmasked only for stewards']);
    const idle = edited(['tags: { pii:', 'tags: { secret: {}, pii:']);
    const { findings } = await prove(
      withInvariant('{ forall: { tag: secret }, unmaskedOnlyFor: stewards }', idle),
    );
    expect(findings.map(({ rule }) => rule)).toEqual(['idle-invariant']);
  });
});

describe('the other forms', () => {
  test.each([
    ['{ forall: { tag: residency }, filteredExceptFor: [stewards, loaders] }', []],
    [
      '{ forall: { tag: residency }, filteredExceptFor: stewards }',
      [
        'anyone in loaders and analysts reaches shop.public.customers: not bound by own_region',
        'anyone in loaders (now etl) reaches shop.public.orders: not bound by own_region',
        'anyone in analysts and loaders reaches lake.sales.orders_history: not bound by own_region',
      ],
    ],
    ['{ forall: { tag: pii }, readableOnlyBy: analysts }', []],
    [
      '{ forall: { tag: residency }, readableOnlyBy: analysts }',
      ['anyone in loaders (now etl) reaches shop.public.orders: nothing keeps them from reading it'],
    ],
    ['{ on: shop, privilege: MODIFY, onlyFor: loaders }', []],
    [
      '{ on: shop.public.orders, privilege: MODIFY, onlyFor: [] }',
      ['anyone in loaders (now etl) reaches shop.public.orders: nothing keeps them from MODIFY'],
    ],
    ['{ on: [shop, lake, system], privilege: MANAGE, onlyFor: platform }', []],
    [
      '{ on: lake, privilege: MANAGE, onlyFor: analysts }',
      [
        'anyone in platform (now pat@acme.test) reaches lake: nothing keeps them from MANAGE',
        'anyone in platform (now pat@acme.test) reaches lake.sales: nothing keeps them from MANAGE',
        'anyone in platform (now pat@acme.test) reaches lake.sales.orders_history: nothing keeps them from MANAGE',
      ],
    ],
  ] as [string, string[]][])('%s', async (invariant, broken) => {
    expect((await prove(withInvariant(invariant))).broken).toEqual(broken);
  });

  test('a filter that lets every row through is none', async () => {
    const text = edited(["region = any(attribute('region'))", 'true']);
    const { broken } = await prove(
      withInvariant('{ forall: { tag: residency }, filteredExceptFor: [stewards, loaders] }', text),
    );
    expect(broken[0]).toMatch(/^anyone in analysts .*: filter own_region lets every row through$/);
  });

  test.each([
    '1 < 2',
    "principal() = 'ana@acme.test' or region = 'EMEA'",
    'region is null or region is not null',
  ])('a filter that asks nothing of a row is none: %s', async (filter) => {
    const text = edited(["region = any(attribute('region'))", filter]);
    const { broken } = await prove(
      withInvariant('{ forall: { tag: residency }, filteredExceptFor: [stewards, loaders] }', text),
    );
    expect(broken[0]).toMatch(/^anyone in analysts .*: filter own_region lets every row through$/);
  });

  test.each([
    ['{ forall: { tag: pii } }', 'missing-key'],
    ['{ unmaskedOnlyFor: stewards }', 'missing-key'],
    ['{ forall: { tag: pii }, unmaskedOnlyFor: stewards, readableOnlyBy: analysts }', 'missing-key'],
    ['{ forall: { tag: pii }, on: shop, readableOnlyBy: analysts }', 'unknown-key'],
    ['{ on: shop, onlyFor: analysts }', 'missing-key'],
    ['{ on: shop, privilege: SELEKT, onlyFor: analysts }', 'unknown-privilege'],
    ['{ on: shpo, privilege: SELECT, onlyFor: analysts }', 'unknown-securable'],
    ['{ on: shop, privilege: SELECT, onlyFor: analyst }', 'unknown-principal'],
    ['{ forall: { tag: pij }, unmaskedOnlyFor: stewards }', 'unknown-tag'],
    ['{ forall: { tag: pii, value: mail }, unmaskedOnlyFor: stewards }', 'unknown-tag-value'],
    ['{ forall: { tag: pii }, unmaskedOnlyFor: stewards, by: gateway }', 'wrong-type'],
  ])('what is wrong with %s', async (invariant, rule) => {
    const { findings, compiles } = await prove(withInvariant(invariant));
    expect(findings.map((one) => one.rule)).toEqual([rule]);
    expect(compiles).toBe(false);
  });
});

describe('against everybody, by hand', () => {
  const groups = ['a', 'b', 'c', 'd'];
  const names = fc.constantFrom(...groups, 'all users', 'named@x.test');
  const some = fc.uniqueArray(names, { maxLength: 2 });
  const policy = fc.record({
    nested: fc.option(fc.constantFrom(['a', 'b'], ['b', 'c'], ['a', 'd'])),
    grants: fc.array(
      fc.tuple(
        fc.constantFrom('s', 's.p', 's.p.t', 's.p.v'),
        names,
        fc.constantFrom('USE CATALOG', 'USE SCHEMA', 'SELECT', 'ALL PRIVILEGES'),
      ),
      { maxLength: 7 },
    ),
    owner: fc.option(
      fc.tuple(fc.constantFrom('s', 's.p', 's.p.t'), fc.constantFrom(...groups, 'named@x.test')),
    ),
    masks: fc.array(
      fc.record({
        to: fc.uniqueArray(names, { minLength: 1, maxLength: 2 }),
        except: some,
        text: fc.constantFrom("'***'", 'value', "case when is_member('c') then value else 'x' end"),
      }),
      { maxLength: 2 },
    ),
    only: some,
  });
  const list = (values: readonly string[]) => JSON.stringify(values);
  const catalog = catalogOf({ s: 'POSTGRES' }, [
    table('s.p.t', { id: 'bigint', secret: 'text' }),
    table('s.p.v', { secret: 'text' }, 'VIEW', {
      reads: [parseSecurableName('s.p.t')],
      definition: 'SELECT',
    }),
  ]);
  /** One person for every set of groups, and the one whom rules name. */
  const strangers = Array.from({ length: 16 }, (_, i) => `p${i}@x.test`);

  test('holds exactly when no member of any groups breaks it', async () => {
    await fc.assert(
      fc.asyncProperty(policy, fc.nat(15), async ({ nested, grants, owner, masks, only }, own) => {
        const inSet = (i: number, g: number) => ((i >> g) & 1) === 1;
        const members = (name: string, g: number) => [
          ...strangers.filter((_, i) => inSet(i, g)),
          ...(inSet(own, g) ? ['named@x.test'] : []),
          ...(nested !== null && nested[1] === name ? [nested[0] ?? ''] : []),
        ];
        const text = [
          'kind: principals\ngroups:',
          ...groups.map((name, g) => `  ${name}: { members: ${list(members(name, g))} }`),
          '---\nkind: tags\ntags: { pii: {} }\nassign: [{ on: s.p.t.secret, tags: { pii: x } }]',
          '---\nkind: grants',
          ...(owner === null ? [] : [`owners: [{ on: ${owner[0]}, owner: ${owner[1]} }]`]),
          'grants:',
          '  - { on: s, to: nobody@x.test, privileges: [BROWSE] }',
          ...grants
            .filter(
              ([on, , what]) =>
                what === 'SELECT' ||
                what === 'ALL PRIVILEGES' ||
                on === (what === 'USE CATALOG' ? 's' : 's.p'),
            )
            .map(([on, to, what]) => `  - { on: ${on}, to: ${to}, privileges: [${what}] }`),
          masks.length === 0 ? '' : '---\nkind: policies\npolicies:',
          ...masks.map(
            ({ to, except, text: mask }, i) =>
              `  - { name: m${i}, on: metastore, strength: ${i}, columnMask: ${JSON.stringify(mask)}, match: { value: { pii: true } }, to: ${list(to)}, except: ${list(except)} }`,
          ),
          `---\nkind: tests\ninvariants: [{ forall: { tag: pii }, unmaskedOnlyFor: ${list(only)} }]`,
        ].join('\n');
        const proof = await compileFiles([{ path: 'p.yaml', text }], catalog, [], now);
        const [result] = proof.invariants;
        const bare = text.slice(0, text.lastIndexOf('---'));
        const { snapshot } = await compileFiles([{ path: 'p.yaml', text: bare }], catalog, [], now);
        if (snapshot === undefined || result === undefined) throw new Error(text);
        const breaks = (person: PrincipalName) => {
          const reads = ['s.p.t', 's.p.v'].some(
            (name) => snapshot.decide(person, 'SELECT', parseSecurableName(name)).effect === 'allow',
          );
          const mask = snapshot.boundRules(person, parseSecurableName('s.p.t')).masks.get('secret');
          const shows =
            mask === undefined ||
            mask.text === 'value' ||
            (mask.text?.startsWith('case') === true &&
              [...snapshot.groupsOf(person)].some((group) => group === 'c'));
          const allowed = only.some(
            (name) => name === person || [...snapshot.groupsOf(person)].some((group) => group === name),
          );
          return reads && shows && !allowed;
        };
        const people = [...strangers, 'named@x.test'] as PrincipalName[];
        // The named person is imagined in any groups; here they are in one set of them.
        const strangersBreak = (strangers as PrincipalName[]).some(breaks);
        if (result.holds) expect(people.filter(breaks)).toEqual([]);
        else if (!strangersBreak && !people.some(breaks))
          expect(result.counterexamples.every(({ who }) => who.startsWith('named@x.test'))).toBe(true);
      }),
      { numRuns: 300, seed: 7 },
    );
  }, 60_000);
});

test('sign-ins and expiry cannot break a proof: it asks for nobody who exists', async () => {
  const text = edited([
    'grants:\n',
    'grants:\n  - { on: shop, to: auditors, privileges: [USE CATALOG], expires: 2026-03-02 }\n',
  ]);
  const files = [{ path: 'p.yaml', text }];
  const catalog = catalogOf({ shop: 'POSTGRES', lake: 'LAKE', system: 'SYSTEM' }, sampleTables());
  const before = await compileFiles(files, catalog, [], now - 30 * 86_400_000);
  const after = await compileFiles(files, catalog, ['new@acme.test' as PrincipalName], now);
  expect([before.snapshot, after.snapshot].map((one) => one !== undefined)).toEqual([true, true]);
});

test('what somebody claims today is no part of a proof: without it they would break it', async () => {
  const text = edited(
    ['stewards: { members: [sam@acme.test] }', 'stewards: { source: claim }'],
    ['  - { on: [shop, lake], to: analysts', '  - { on: [shop, lake], to: [analysts, sue@acme.test]'],
    [
      'to: [all users], except: [stewards] }\n  - { name: mask_phone',
      'to: [analysts], except: [stewards] }\n  - { name: mask_phone',
    ],
  );
  const files = [{ path: 'p.yaml', text }];
  const sue = 'sue@acme.test' as PrincipalName;
  const claimed = new Map([[sue, ['stewards' as GroupName]]]);
  const messages = async (claims?: typeof claimed) =>
    (await compileFiles(files, sampleCatalog(), [], now, undefined, claims)).findings
      .filter(({ rule }) => rule === 'invariant')
      .map(({ message }) => message);
  const found = await messages(claimed);
  expect(found).toHaveLength(2);
  expect(found[1]).toContain('sue@acme.test reaches shop.public.customers.email');
  expect(await messages()).toEqual(found);
});
