import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Snapshot } from '../../src/policy/model.ts';
import { type GovernedShop, governedShop, outcome } from './rolesync-shop.ts';

// A mask has its column's type, whatever it yields: longer texts are cut, nothing is an error. Columns of hostile types
// and collations, as an application may declare them.

let company: GovernedShop;
let snapshot: Snapshot;
let application: pg.Client;
let ana: pg.Client;
let sam: pg.Client;

const table = `create table contacts (
  id integer primary key,
  code varchar(5) not null,
  note text collate "und-x-icu",
  label varchar(40) collate "C",
  size smallint,
  price numeric(4,2),
  seen timestamp(0),
  region text not null
)`;

const rows = `insert into contacts values
  (1, 'ann@x', 'ß-İ', 'A', 7, 99.99, '2024-01-01 12:00:00', 'EMEA'),
  (2, '😀', '', null, null, null, 'infinity', 'EMEA'),
  (3, '', null, '', -32768, -99.99, '0044-03-15 00:00:00 BC', 'EMEA'),
  (4, 'x', 'y', 'z', 0, 0, null, 'APAC')`;

/** The sample's own e-mail mask on a varchar(5), and masks of the other types. */
const policy = (text: string): string =>
  text
    .replace('email, phone]', 'email, phone, note, label, size, price, seen]')
    .replace(
      'assign:\n',
      `assign:
  - { on: shop.public.contacts.code, tags: { pii: email } }
${['note', 'label', 'size', 'price', 'seen'].map((name) => `  - { on: shop.public.contacts.${name}, tags: { pii: ${name} } }\n`).join('')}  - { on: shop.public.contacts.region, tags: { residency: region } }
`,
    )
    .replace(
      'policies:\n',
      `policies:
  - { name: mixed, on: metastore, columnMask: "value || split_part(coalesce(value, other), '-', 2)", match: { value: { pii: note }, other: { pii: label } }, to: [all users], except: [stewards] }
  - { name: cut, on: metastore, columnMask: "value || '${'-'.repeat(50)}'", match: { value: { pii: label } }, to: [all users], except: [stewards] }
  - { name: small, on: metastore, columnMask: "case when value > 0 then 32767 else value end", match: { value: { pii: size } }, to: [all users], except: [stewards] }
  - { name: digits, on: metastore, columnMask: "coalesce(value, 99.99)", match: { value: { pii: price } }, to: [all users], except: [stewards] }
  - { name: moment, on: metastore, columnMask: "case when value < timestamp '2024-01-01 00:00:00' then timestamp '9999-12-31 23:59:59.999999' else value end", match: { value: { pii: seen } }, to: [all users], except: [stewards] }
`,
    );

beforeAll(async () => {
  company = await governedShop();
  application = await company.application('shop_app');
  await application.query(table);
  await application.query(rows);
  snapshot = await company.snapshot(policy);
  await company.apply(snapshot);
  ana = await company.login(snapshot, 'ana@acme.test', 'direct');
  sam = await company.login(snapshot, 'sam@acme.test', 'direct');
}, 60_000);
afterAll(() => company?.stop());

const shown = `select id, code, note, label, size, price::text, seen::text from contacts order by id`;

describe('the governed view', () => {
  test('cuts, rounds and never fails', async () => {
    expect(await outcome(ana, shown)).toEqual([
      {
        id: 1,
        code: 'a***@',
        note: 'ß-İİ',
        label: `A${'-'.repeat(39)}`,
        size: 32767,
        price: '99.99',
        seen: '2024-01-01 12:00:00',
      },
      { id: 2, code: '😀***@', note: '', label: null, size: null, price: '99.99', seen: 'infinity' },
      {
        id: 3,
        code: '***@*',
        note: null,
        label: '-'.repeat(40),
        size: -32768,
        price: '-99.99',
        seen: '10000-01-01 00:00:00',
      },
    ]);
    expect(await outcome(sam, 'select code from contacts order by id')).toEqual(
      ['ann@x', '😀', '', 'x'].map((code) => ({ code })),
    );
  });

  test('has the types of the table', async () => {
    const types = (relation: string) =>
      company
        .admin()
        .then((admin) =>
          admin.query(
            `select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = '${relation}'::regclass and attnum > 0 order by attnum`,
          ),
        );
    expect((await types('writ_public_direct.contacts')).rows).toEqual((await types('public.contacts')).rows);
  });

  test('takes predicates, joins and writes down to no error', async () => {
    for (const text of [
      `select count(*) from contacts a join contacts b on a.code = b.code and a.note = b.label`,
      `select distinct note, label from contacts where note > 'a' order by note, label`,
      `select code from contacts where code like 'a%' and size + 1 > 0 and price < 1`,
      `select note from contacts union select label from contacts`,
    ])
      expect(await outcome(ana, text), text).toBeInstanceOf(Array);
  });
});

test('a column that gets a nondeterministic collation is not shown by the old rules', async () => {
  const admin = await company.admin();
  await admin.query(
    `create collation public.folded (provider = icu, locale = 'und-u-ks-level1', deterministic = false)`,
  );
  await application.query('alter table contacts alter column region type text collate public.folded');
  expect(await outcome(ana, shown)).toMatch(/42P01|42501/);
  const { rows } = await admin.query(
    `select state, reason from writ.compiled_view where base_name = 'contacts' and view_schema = 'writ_public_direct'`,
  );
  expect(rows).toEqual([{ state: 'withdrawn', reason: expect.stringContaining('the column region') }]);
  await expect(company.snapshot(policy)).rejects.toThrow(/region is bound to shop\.public\.contacts\.region/);
});
