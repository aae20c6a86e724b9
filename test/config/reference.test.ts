import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { resolveReference } from '../../src/config/reference.ts';

describe('references to secrets', () => {
  const folder = mkdtempSync(join(tmpdir(), 'writ-reference-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is the value itself, an environment variable, or a file beside the configuration', () => {
    writeFileSync(join(folder, 'secret'), 'from file\n');
    expect(resolveReference('plain', {}, folder)).toBe('plain');
    expect(resolveReference({ env: 'X' }, { X: 'from env' }, folder)).toBe('from env');
    expect(resolveReference({ file: 'secret' }, {}, folder)).toBe('from file');
  });

  it('names what is missing', () => {
    writeFileSync(join(folder, 'empty'), ' \n');
    expect(() => resolveReference({ env: 'X' }, {}, folder)).toThrow('environment variable X is not set');
    expect(() => resolveReference({ file: 'none' }, {}, folder)).toThrow('none cannot be read');
    expect(() => resolveReference({ file: 'empty' }, {}, folder)).toThrow('empty is empty');
  });
});
