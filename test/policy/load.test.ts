import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadPolicyFiles } from '../../src/policy/load.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'writ-policies-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('every YAML file below the folder, sorted, with relative paths', async () => {
  mkdirSync(join(folder, 'b', 'c'), { recursive: true });
  writeFileSync(join(folder, 'z.yml'), 'kind: tags');
  writeFileSync(join(folder, 'b', 'c', 'a.yaml'), 'kind: grants');
  writeFileSync(join(folder, 'README.md'), 'not a policy');
  expect(await loadPolicyFiles(folder)).toEqual([
    { path: 'b/c/a.yaml', text: 'kind: grants' },
    { path: 'z.yml', text: 'kind: tags' },
  ]);
});

test('the sample', async () => {
  expect((await loadPolicyFiles('policies')).map((file) => file.path)).toEqual(['sample.yaml', 'tests.yaml']);
});

test('an empty folder, a missing folder, a file that is no UTF-8, a file that is too large: refused', async () => {
  await expect(loadPolicyFiles(folder)).rejects.toMatchObject({
    code: 'invalid_policy',
    message: /holds no \.yaml file/,
  });
  await expect(loadPolicyFiles(join(folder, 'nowhere'))).rejects.toMatchObject({ message: /cannot be read/ });
  writeFileSync(join(folder, 'a.yaml'), Buffer.from([0x6b, 0xff]));
  await expect(loadPolicyFiles(folder)).rejects.toMatchObject({ message: /no valid UTF-8/ });
  writeFileSync(join(folder, 'a.yaml'), Buffer.alloc(9 * 1024 * 1024, 0x20));
  await expect(loadPolicyFiles(folder)).rejects.toMatchObject({ message: /is over/ });
});
