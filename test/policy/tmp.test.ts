import { readFileSync } from 'node:fs';
import { test } from 'vitest';
import { parsePolicyFiles } from '../../src/policy/parse.ts';
test('x', () => {
  const { documents, findings } = parsePolicyFiles([{ path: 'sample.yaml', text: readFileSync('policies/sample.yaml', 'utf8') }]);
  console.log(findings, JSON.stringify(documents).slice(0, 3000));
});
