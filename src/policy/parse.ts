import { LineCounter, parseAllDocuments } from 'yaml';
import {
  type DocumentKind,
  type DocumentsUnderway,
  documentKinds,
  type Placed,
  type PolicyDocuments,
} from './document.ts';
import { didYouMean, Findings } from './findings.ts';
import type { Finding, PolicyFile } from './model.ts';
import { readGrants } from './parse-grants.ts';
import { readPolicies } from './parse-policies.ts';
import { readPrincipals } from './parse-principals.ts';
import { readTags } from './parse-tags.ts';
import { readTests } from './parse-tests.ts';
import { Source, YamlValue } from './yaml-reader.ts';

/** The rule of findings about YAML itself. */
export const yamlSyntax = 'yaml-syntax';

/**
 * Policy files → one document tree. Reports everything that is wrong with the files themselves (syntax, kinds, keys,
 * types, names given twice), each with file, line and column; what could be read is in the documents all the same.
 */
export function parsePolicyFiles(files: readonly PolicyFile[]): {
  readonly documents: PolicyDocuments;
  readonly findings: readonly Finding[];
} {
  const findings = new Findings();
  const documents = emptyDocuments();
  for (const file of files) readFile(file, documents, findings);
  findDuplicates(documents, findings);
  return { documents, findings: findings.list };
}

function emptyDocuments(): DocumentsUnderway {
  return {
    groups: [],
    servicePrincipals: [],
    attributes: [],
    tags: [],
    assign: [],
    require: [],
    owners: [],
    grants: [],
    policies: [],
    testTables: [],
    tests: [],
    invariants: [],
  };
}

function readFile(file: PolicyFile, into: DocumentsUnderway, findings: Findings): void {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(file.text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    version: '1.2',
    schema: 'core',
    merge: false,
  });
  if (!Array.isArray(parsed)) return;
  const read = parsed.map((document) => ({ document, source: new Source(file, lines, findings, document) }));
  for (const { document, source } of read)
    for (const problem of [...document.errors, ...document.warnings])
      findings.error(yamlSyntax, source.at(problem.pos[0]), problem.message);
  // Half a file would be blamed for what stands in its other half.
  if (parsed.some((document) => document.errors.length > 0)) return;
  for (const { document, source } of read) {
    if (document.contents === null) continue;
    const root = document.contents;
    readDocument(new YamlValue(root, source.place(root, source.at(0)), source), into, findings);
  }
}

function readDocument(root: YamlValue, into: DocumentsUnderway, findings: Findings): void {
  if (!root.isMap) {
    root.wrong('a policy document must be a map with a "kind"');
    return;
  }
  const kind = root.entries('a policy document').find((field) => field.key.value === 'kind');
  if (kind === undefined) {
    findings.error(
      'missing-key',
      root.at,
      'a policy document needs "kind"',
      `one of ${documentKinds.join(', ')}`,
    );
    return;
  }
  const name = kind.value.scalarText('kind');
  if (name === undefined) return;
  if (!isDocumentKind(name)) {
    const hint = `one of ${documentKinds.join(', ')}`;
    const close = didYouMean(name, documentKinds);
    findings.error('unknown-kind', kind.value.at, `no such kind ${JSON.stringify(name)}${close}`, hint);
    return;
  }
  readers[name](root, into, findings);
}

const readers: Record<DocumentKind, (root: YamlValue, into: DocumentsUnderway, findings: Findings) => void> =
  {
    principals: readPrincipals,
    tags: readTags,
    grants: readGrants,
    policies: readPolicies,
    tests: readTests,
  };

function isDocumentKind(name: string): name is DocumentKind {
  return (documentKinds as readonly string[]).includes(name);
}

function findDuplicates(documents: PolicyDocuments, findings: Findings): void {
  const principals = [
    ...documents.groups.map((group) => group.name as Placed<string>),
    ...documents.servicePrincipals,
  ];
  twice('group or service principal', principals, findings);
  twice(
    'tag',
    documents.tags.map((tag) => tag.name),
    findings,
  );
  twice(
    'policy',
    documents.policies.map((policy) => policy.name),
    findings,
  );
  twice(
    'attributes of',
    documents.attributes.map((entry) => entry.principal),
    findings,
  );
  twice(
    'owner of',
    documents.owners.flatMap((entry) => entry.on),
    findings,
  );
}

function twice(what: string, names: readonly Placed<string>[], findings: Findings): void {
  const first = new Map<string, Placed<string>>();
  for (const name of names) {
    const before = first.get(name.value);
    if (before === undefined) {
      first.set(name.value, name);
      continue;
    }
    const where = `${before.at.path}:${before.at.line}:${before.at.column}`;
    findings.error(
      'duplicate-name',
      name.at,
      `${what} ${JSON.stringify(name.value)} is already given at ${where}`,
    );
  }
}
