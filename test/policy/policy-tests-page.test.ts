import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compileFiles } from '../../src/policy/compile.ts';
import { formatFinding } from '../../src/policy/findings.ts';
import { parsePolicyFiles } from '../../src/policy/parse.ts';
import { runDecisionTests } from '../../src/policy/run-tests.ts';
import { sampleCatalog } from './fixture.ts';

test('the example in docs/policy-tests.md holds for the sample', async () => {
  const page = readFileSync('docs/policy-tests.md', 'utf8');
  const text = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  const files = [
    { path: 'sample.yaml', text: readFileSync('policies/sample.yaml', 'utf8') },
    { path: 'page.yaml', text },
  ];
  const { snapshot, findings, invariants } = await compileFiles(files, sampleCatalog(), [], 0);
  expect(findings.map(formatFinding)).toEqual([]);
  if (snapshot === undefined) throw new Error('it does not compile');
  expect(invariants.map(({ holds }) => holds)).toEqual([true, true, true, true, true]);
  const { documents } = parsePolicyFiles(files);
  expect(runDecisionTests(snapshot, documents.tests).flatMap(({ problems }) => problems)).toEqual([]);
});
