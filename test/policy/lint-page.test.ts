import { expect, test } from 'vitest';
import { lintPage } from '../../src/policy/lint-page.ts';
import { listLintRules } from '../../src/policy/lint-rules.ts';

test('docs/lint.md says what the code does', async () => {
  await expect(lintPage()).toMatchFileSnapshot('../../docs/lint.md');
});

test('every row is one line of a Markdown table', () => {
  for (const { id, what, fix } of listLintRules())
    expect([id, /[|\n]/.test(what + fix)]).toEqual([id, false]);
});
