import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TableInfo } from '../../src/catalog/model.ts';
import { fillScratchLake } from '../../src/dev/scratch-lake.ts';
import { formatSecurableName } from '../../src/kernel/securable-name.ts';

// A catalog's file may come with somebody's pull request, and is run on the machine that tests it.

let root: string;
let lake: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'writ-scratch-lake-'));
  lake = join(root, 'lake');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function table(parts: readonly string[], engineType: string): TableInfo {
  const column = { name: 'a"b', type: 'text', engineType, position: 1, nullable: true, generated: false };
  return { name: formatSecurableName(parts), kind: 'TABLE', columns: [column] } as TableInfo;
}
const fill = (info: TableInfo, rows: readonly Record<string, unknown>[] = []) =>
  fillScratchLake(lake, [], [{ info, rows }]);

test('a table with its rows, and odd names', async () => {
  await fill(table(['lake', 's', "o'dd"], 'VARCHAR'), [{ 'a"b': "it's" }]);
  expect(readdirSync(join(lake, 's', "o'dd"))).toEqual(['rows.parquet']);
});

test('a type that is more than a type writes and reads nothing outside of the lake', async () => {
  const outside = join(root, 'outside.csv');
  const secret = join(root, 'secret.csv');
  writeFileSync(secret, 'secret');
  const types = [
    `int); copy (select 1) to '${outside}'; create or replace table scratch (b int`,
    `int); create or replace table scratch as select * from read_text('${secret}'); select (1`,
    `int); set enable_external_access = true; create or replace table scratch (b int`,
  ];
  for (const type of types)
    await expect(fill(table(['lake', 's', 't'], type))).rejects.toThrow(/disabled|locked/);
  expect(existsSync(outside)).toBe(false);
});

test.each([['..'], ['.'], ['../../out'], ['/out'], ['a\\b']])(
  'a name that is no folder: %j',
  async (name) => {
    await expect(fill(table(['lake', 's', name], 'VARCHAR'))).rejects.toThrow('is the name of no folder');
    await expect(fill(table(['lake', name, 't'], 'VARCHAR'))).rejects.toThrow('is the name of no folder');
    await expect(fillScratchLake(lake, [formatSecurableName(['lake', name])], [])).rejects.toThrow(
      'is the name of no folder',
    );
    expect(readdirSync(root).filter((each) => each !== 'lake')).toEqual([]);
  },
);
