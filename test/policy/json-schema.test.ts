import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { policyDocumentSchema, policyJsonSchema } from '../../src/policy/json-schema.ts';
import { parsePolicyFiles } from '../../src/policy/parse.ts';

test('accepts every document of the sample', () => {
  const documents = parseAllDocuments(readFileSync('policies/sample.yaml', 'utf8')) as { toJS(): unknown }[];
  const results = documents.map((document) => policyDocumentSchema.safeParse(document.toJS()));
  expect(results.map((result) => result.error?.issues ?? [])).toEqual([[], [], [], [], []]);
});

/** What the readers refuse for its shape, the schema refuses too. */
test.each([
  'kind: grant',
  'kind: principals\ngroup: {}',
  'kind: grants\ngrants: [{ on: shop, to: a, privileges: [SELEKT] }]',
  'kind: policies\npolicies: [{ name: a, on: metastore, rowfilter: "true", to: x }]',
  'kind: tags\nassign: [{ tags: { a: b } }]',
])('refuses %j as the readers do', (text) => {
  const [document] = parseAllDocuments(text) as { toJS(): unknown }[];
  expect(policyDocumentSchema.safeParse(document?.toJS()).success).toBe(false);
  expect(parsePolicyFiles([{ path: 'p.yaml', text }]).findings).not.toEqual([]);
});

test('is a JSON Schema with one branch per kind', () => {
  const schema = policyJsonSchema();
  expect(schema).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Writ policy document',
  });
  const branches = (schema['oneOf'] ?? schema['anyOf']) as { properties: { kind: { const: string } } }[];
  expect(branches.map((branch) => branch.properties.kind.const)).toEqual([
    'principals',
    'tags',
    'grants',
    'policies',
    'tests',
  ]);
});

/** The printed schema itself, read back as an editor reads it. */
const printed = () =>
  z.fromJSONSchema(JSON.parse(JSON.stringify(policyJsonSchema())) as Parameters<typeof z.fromJSONSchema>[0]);
const documentsOf = (text: string) =>
  (parseAllDocuments(text) as { toJS(): unknown }[]).map((document) => document.toJS());

test('the printed schema accepts the sample and every passing file of the lint rules', () => {
  const folder = new URL('./lint/', import.meta.url);
  const files = readdirSync(folder).map((rule) => readFileSync(new URL(`${rule}/pass.yaml`, folder), 'utf8'));
  const schema = printed();
  for (const text of [readFileSync('policies/sample.yaml', 'utf8'), ...files])
    for (const document of documentsOf(text))
      expect([document, schema.safeParse(document).error?.issues ?? []]).toEqual([document, []]);
});

/** What the files say themselves, by rules that are about their shape. */
const shapes = 'unknown-kind unknown-key missing-key wrong-type unknown-privilege members-and-source';

test.each(shapes.split(' '))('the printed schema refuses the failing file of %s', (rule) => {
  const text = readFileSync(new URL(`./lint/${rule}/fail.yaml`, import.meta.url), 'utf8');
  const schema = printed();
  expect(documentsOf(text).every((document) => schema.safeParse(document).success)).toBe(false);
});

const filter = 'name: a, on: metastore, to: x, rowFilter: "true"';
test.each([
  'kind: grants\ngrants: [{ on: shop, to: a }]',
  'kind: grants\ngrants: [{ on: shop, to: a, privileges: [SELECT], assume: app }]',
  'kind: policies\npolicies: [{ name: a, on: metastore, to: x }]',
  `kind: policies\npolicies: [{ ${filter}, columnMask: "null" }]`,
  `kind: policies\npolicies: [{ ${filter}, strength: 1 }]`,
  'kind: tests\ntests: [{ as: a }]',
  'kind: tests\ntests: [{ as: a, query: "select 1" }]',
  'kind: tests\ntests: [{ as: a, can: SELECT }]',
  'kind: tests\ntests: [{ as: a, can: SELECT, cannot: SELECT, on: shop }]',
  'kind: tests\ninvariants: [{ forall: { tag: pii } }]',
  'kind: tests\ninvariants: [{ forall: { tag: pii }, on: shop, unmaskedOnlyFor: [a] }]',
  'kind: tests\ninvariants: [{ on: shop, onlyFor: [a] }]',
])('which of several keys an entry has: %j is refused by the printed schema as by the readers', (text) => {
  expect(printed().safeParse(documentsOf(text)[0]).success).toBe(false);
  expect(parsePolicyFiles([{ path: 'p.yaml', text }]).findings).not.toEqual([]);
});

test.each([
  'kind: principals\ngroup: {}',
  'kind: tags\ntags: { pii: { value: [a] } }',
  'kind: grants\ngrants: [{ on: shop, to: a, privileges: [SELECT], expire: 2026-01-01 }]',
  'kind: policies\npolicies: [{ name: a, on: metastore, rowfilter: "true", to: x }]',
  'kind: tests\ntests: [{ as: a, quary: "select 1" }]',
])('the printed schema refuses the unknown key of %j', (text) => {
  expect(printed().safeParse(documentsOf(text)[0]).success).toBe(false);
});

test('every key that the schema names has a description', () => {
  const bare: string[] = [];
  const walk = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return;
    const properties = 'properties' in node ? (node.properties as Record<string, object>) : {};
    for (const [key, value] of Object.entries(properties))
      if (!('description' in value)) bare.push(`${path}.${key}`);
    for (const [key, value] of Object.entries(node)) walk(value, `${path}.${key}`);
  };
  walk(policyJsonSchema(), '');
  expect(bare).toEqual([]);
});
