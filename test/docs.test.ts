import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { samplePolicies } from '../src/config/settings.ts';
import { parseWritYaml } from '../src/config/writ-yaml.ts';
import { compileFiles } from '../src/policy/compile.ts';
import { loadPolicyFiles } from '../src/policy/load.ts';
import { sampleCatalog } from './policy/fixture.ts';

// Every YAML example of the documentation is compiled. The policy documents of one page are one policy, with the sample
// company's where the page declares no principals of its own; a block ```yaml error=RULE joins it and must be refused by that
// rule. A piece of a writ.yaml is completed by an issuer. Commands are run by the README check and test/whole/docs.test.ts.

interface Block {
  readonly page: string;
  readonly line: number;
  readonly error: string | undefined;
  readonly text: string;
}

const root = new URL('../', import.meta.url);
const pages = [
  'README.md',
  ...readdirSync(new URL('docs', root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

function blocksOf(page: string): readonly Block[] {
  const text = readFileSync(new URL(page, root), 'utf8');
  return [...text.matchAll(/^```ya?ml(?: error=([\w-]+))?\n([\s\S]*?)^```$/gm)].map((found) => ({
    page,
    line: text.slice(0, found.index).split('\n').length + 1,
    error: found[1],
    text: found[2] ?? '',
  }));
}

const blocks = pages.flatMap(blocksOf);
const isPolicy = (block: Block) => /^kind:/m.test(block.text);

const fileOf = ({ page, line, text }: Block) => ({ path: `${page}:${line}`, text });
const sample = await loadPolicyFiles(samplePolicies);
const errorsOf = async (list: readonly Block[]) => {
  const base = list.some(({ text }) => /^kind: principals$/m.test(text)) ? [] : sample;
  const files = [...base, ...list.map(fileOf)];
  const { findings } = await compileFiles(files, sampleCatalog(), [], Date.UTC(2026, 10, 1));
  return findings.filter((finding) => finding.severity === 'error');
};

describe.each(pages.filter((page) => blocks.some((block) => block.page === page && isPolicy(block))))(
  'policy in %s',
  (page) => {
    const own = blocks.filter((block) => block.page === page && isPolicy(block));
    const good = own.filter((block) => block.error === undefined);

    test('compiles', async () => expect(await errorsOf(good)).toEqual([]));

    for (const block of own.filter((one) => one.error !== undefined))
      test(`line ${block.line} is refused: ${block.error}`, async () => {
        const errors = await errorsOf([...good, block]);
        expect([...new Set(errors.map((finding) => finding.rule))]).toEqual([block.error]);
      });
  },
);

describe('writ.yaml', () => {
  const files = blocks.filter((block) => !isPolicy(block));
  test.each(files.map((block) => [`${block.page}:${block.line}`, block.text]))('%s', (place, text) => {
    const whole = /^issuers:/m.test(text)
      ? text
      : `${text}issuers: [{ issuer: "https://login.example.com" }]\n`;
    expect(() => parseWritYaml(whole, place)).not.toThrow();
  });
});
