import { describe, expect, test } from 'vitest';
import { parseSecurableName } from '../../../src/kernel/securable-name.ts';
import { outOfScope } from '../../../src/policy/source/scope.ts';

const delegations = [
  { paths: ['policies/shop/**'], signers: ['shop'], on: [parseSecurableName('shop')] },
  { paths: ['policies/shop/lake/**'], signers: ['lake'], on: ['shop', 'lake'].map(parseSecurableName) },
  { paths: ['policies/free/**'], signers: ['free'] },
];
const found = (path: string, text: string) => outOfScope([{ path, text }], 'policies', delegations);
const grant = (on: string) =>
  `kind: grants\ngrants:\n  - { on: ${on}, to: analysts, privileges: [SELECT] }\n`;

describe('what files of a delegated folder speak of', () => {
  test.each([
    ['shop/a.yaml', grant('shop.public.orders')],
    ['shop/a.yaml', grant('[shop, SHOP.public]')],
    ['shop/a.yaml', 'kind: tests\ntests: [{ as: ana@acme.test, can: SELECT, on: lake.sales.x }]\n'],
    ['shop/lake/a.yaml', grant('[shop, lake.sales]')],
    ['free/a.yaml', grant('metastore')],
    ['a.yaml', grant('metastore')],
  ])('allowed: %s %j', (path, text) => {
    expect(found(path, text)).toEqual([]);
  });

  test.each([
    ['another catalog', 'shop/a.yaml', grant('[shop, lake.sales]')],
    ['everything', 'shop/a.yaml', grant('metastore')],
    ['a name that only begins alike', 'shop/a.yaml', grant('shopping.public')],
    ['a second document', 'shop/a.yaml', `${grant('shop')}---\n${grant('lake')}`],
    ['an owner', 'shop/a.yaml', 'kind: grants\nowners: [{ on: lake, owner: analysts }]\n'],
    ['a group', 'shop/a.yaml', 'kind: principals\ngroups: { stewards: { members: [eve@acme.test] } }\n'],
    ['attributes', 'shop/a.yaml', 'kind: principals\nattributes: { eve@acme.test: { region: [EMEA] } }\n'],
    ['a service principal', 'shop/a.yaml', 'kind: principals\nservicePrincipals: { bot: {} }\n'],
    [
      'a role of the cluster',
      'shop/a.yaml',
      'kind: grants\ngrants: [{ on: shop, to: analysts, assume: billing_app }]\n',
    ],
    ['a tag', 'shop/a.yaml', 'kind: tags\ntags: { pii: {} }\n'],
    ['a tag elsewhere', 'shop/a.yaml', 'kind: tags\nassign: [{ on: lake.sales, tags: { pii: email } }]\n'],
    [
      'a policy elsewhere',
      'shop/a.yaml',
      'kind: policies\npolicies: [{ name: p, on: lake, rowFilter: "true", to: [all users] }]\n',
    ],
  ])('refused: %s', (_, path, text) => {
    expect(found(path, text)).toEqual([
      expect.stringMatching(/^policies\/shop\/a\.yaml:\d+:\d+: .*; this folder is delegated for shop$/),
    ]);
  });
});

const mask = (name: string, on: string, strength: number) =>
  `kind: policies\npolicies: [{ name: ${name}, on: ${on}, columnMask: value, match: { value: { pii: email } }, to: [all users], strength: ${strength} }]\n`;

describe('a mask of a delegated folder does not take off what others put on', () => {
  const masks = (central: string, delegated: string) =>
    outOfScope(
      [
        { path: 'a.yaml', text: central },
        { path: 'shop/b.yaml', text: delegated },
        { path: 'shop/c.yaml', text: mask('own', 'shop', -9) },
      ],
      'policies',
      delegations,
    );
  const refused = [
    expect.stringMatching(
      /^policies\/shop\/b\.yaml:2:\d+: its mask would win over central, which stands outside/,
    ),
  ];

  test.each([
    ['stronger, and the other is set higher up', 'metastore', 1, 'shop', 2],
    ['stronger, below the other', 'shop', 0, 'shop.public', 1],
    ['set higher up', 'shop.public', 0, 'shop', 0],
  ])('refused: %s', (_, there, strength, here, own) => {
    expect(masks(mask('central', there, strength), mask('mine', here, own))).toEqual(refused);
  });

  test.each([
    ['as strong, below the other', 'metastore', 0, 'shop', 0],
    ['weaker', 'shop', 5, 'shop.public', 1],
    ['of another catalog', 'lake', 0, 'shop', 9],
    ['over one of the same folder', 'lake', 0, 'shop', 0],
  ])('allowed: %s', (_, there, strength, here, own) => {
    expect(masks(mask('central', there, strength), mask('mine', here, own))).toEqual([]);
  });
});
