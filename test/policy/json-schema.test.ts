import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
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
