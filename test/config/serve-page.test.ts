import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseWritYaml } from '../../src/config/writ-yaml.ts';

const page = readFileSync(new URL('../../docs/serve.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');

test('docs/serve.md has examples', () => {
  expect(examples).toHaveLength(2);
});

test.each(examples)('an example of docs/serve.md is fine: %#', (text) => {
  expect(parseWritYaml(text, 'docs/serve.md').issuers).toHaveLength(1);
});
