import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Company, run, startCompany } from './company.ts';

// Every ```sh block of docs/ is run against the sample company, line by line, in a folder that holds a copy of
// policies/. `# exit N` announces what is not 0. What needs another world (a server of your own) stands in ```console blocks (git-source.test.ts runs those of serve.md).

const docs = new URL('../../docs/', import.meta.url);
const main = join(inject('dist'), 'main.js');

const pages = readdirSync(docs, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name, lines: linesOf(readFileSync(new URL(name, docs), 'utf8')) }))
  .filter(({ lines }) => lines.length > 0);

function linesOf(text: string): readonly { command: string; exit: number }[] {
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
    .flatMap((block) => (block[1] ?? '').split('\n'))
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => ({ command: line, exit: Number(/#.*\bexit (\d+)/.exec(line)?.[1] ?? 0) }));
}

let company: Company;
let folder: string;

beforeAll(async () => {
  company = await startCompany();
  folder = mkdtempSync(join(tmpdir(), 'writ-docs-'));
  cpSync(new URL('../../policies', import.meta.url), join(folder, 'policies'), { recursive: true });
});

afterAll(async () => {
  await company?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe.each(pages)('docs/$name', ({ lines }) => {
  test.each(lines)('$command', async ({ command, exit }) => {
    expect(command).toMatch(/^npx writ /);
    const shell = command.replaceAll('npx writ', `"${process.execPath}" "${main}"`);
    const ran = await run('bash', ['-c', `cd "${folder}" && ${shell}`], {
      ...process.env,
      WRIT_HOME: company.home,
    });
    expect(ran, `${ran.stdout}${ran.stderr}`).toMatchObject({ code: exit });
  });
});
