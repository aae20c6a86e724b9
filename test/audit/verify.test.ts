import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { chainOf, eraseLine, formatLine, leafOf, parseLine } from '../../src/audit/chain.ts';
import { formatCheckpoint, parseCheckpoint, verifyAuditLog } from '../../src/audit/verify.ts';
import { editLines, temporaryFolder, writtenLog } from './fixture.ts';

let folder: string;
let paths: readonly string[];
let tip: { writer: string; seq: number; chain: string };
const path = (i: number) => paths.at(i) ?? '';
const broken = () => verifyAuditLog(folder).findings.filter((finding) => finding.severity === 'broken');

beforeEach(async () => {
  folder = temporaryFolder();
  ({ paths, tip } = await writtenLog(folder, 30));
  expect(paths.length).toBeGreaterThan(4);
  expect(verifyAuditLog(folder)).toMatchObject({ ok: true, records: 32, findings: [] });
});

/** Replaces a record by another and makes its own leaf fit, as somebody who knows the format would. */
function forge(line: string, edit: (payload: string) => string): string {
  const record = parseLine(line);
  if (record === undefined) throw new Error('no record');
  const payload = edit(record.payload);
  const leaf = leafOf(Buffer.from(record.salt, 'base64url'), Buffer.from(payload));
  return formatLine({ ...record, payload, leaf }).trimEnd();
}

describe('verify finds and names', () => {
  test('an edited payload: file, line and record', () => {
    editLines(path(1), (lines) => lines.map((line, i) => (i === 2 ? line.replace('ana@', 'bob@') : line)));
    expect(broken()).toEqual([
      expect.objectContaining({
        file: path(1),
        line: 3,
        what: expect.stringMatching(/record \d+ was altered/),
      }),
    ]);
  });

  test('an edit whose leaf was made to fit', () => {
    editLines(path(1), (lines) =>
      lines.map((line, i) => (i === 2 ? forge(line, (payload) => payload.replace('ana@', 'bob@')) : line)),
    );
    expect(broken()).toEqual([
      expect.objectContaining({ file: path(1), line: 3, what: expect.stringMatching(/chain is broken/) }),
    ]);
  });

  test('a whole segment forged with leaf and chain: the next header gives it away', () => {
    editLines(path(1), (lines) => {
      let chain = / previous=(\S+)/.exec(lines[0] ?? '')?.[1] ?? '';
      return lines.map((line, i) => {
        if (i === 0) return line;
        const record = parseLine(forge(line, (payload) => payload.replace('ana@', 'bob@')));
        if (record === undefined) throw new Error('no record');
        chain = chainOf(chain, record.leaf);
        return formatLine({ ...record, chain }).trimEnd();
      });
    });
    expect(broken()[0]).toMatchObject({ file: path(2), line: 1 });
  });

  test('a line taken out of the middle', () => {
    editLines(path(1), (lines) => lines.filter((_, i) => i !== 2));
    expect(broken()[0]).toMatchObject({
      file: path(1),
      line: 3,
      what: expect.stringMatching(/record \d+ is missing/),
    });
  });

  test('a segment cut at its end, though whole lines are left', () => {
    editLines(path(1), (lines) => lines.slice(0, -1));
    expect(broken()[0]?.file).toBe(path(2));
  });

  test('a line cut in a segment that is not the newest', () => {
    writeFileSync(path(1), readFileSync(path(1)).subarray(0, -5));
    expect(broken()[0]).toMatchObject({ file: path(1), what: expect.stringMatching(/cut off/) });
  });

  test('two lines that changed places', () => {
    editLines(path(1), ([header = '', a = '', b = '', ...rest]) => [header, b, a, ...rest]);
    expect(broken().some((finding) => /out of order/.test(finding.what))).toBe(true);
  });

  test('a record that is there twice', () => {
    editLines(path(1), ([header = '', a = '', ...rest]) => [header, a, a, ...rest]);
    expect(broken()[0]).toMatchObject({ file: path(1), line: 3, what: expect.stringMatching(/comes again/) });
  });

  test('a missing segment, in the middle and at the start', () => {
    rmSync(path(2));
    expect(broken()[0]).toMatchObject({ file: path(3), what: expect.stringMatching(/segment 3 is missing/) });
    rmSync(path(0));
    expect(broken()[0]).toMatchObject({ file: path(1), what: expect.stringMatching(/segment 1 is missing/) });
  });

  test('a folder that was given to another writer', () => {
    renameSync(join(folder, 'gateway'), join(folder, 'other'));
    expect(broken()[0]?.what).toMatch(/written by gateway, not by other/);
  });

  test('a header that was edited', () => {
    editLines(path(1), ([, ...rest]) => ['#nothing', ...rest]);
    expect(broken()[0]).toMatchObject({
      file: path(1),
      line: 1,
      what: 'the first line is no segment header',
    });
  });

  test('garbage, and bytes that are no UTF-8', () => {
    editLines(path(1), ([header = '', ...rest]) => [header, 'garbage', ...rest]);
    expect(broken()).toEqual([expect.objectContaining({ file: path(1), line: 2 })]);
  });

  test('any changed byte of any sealed segment', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const before = readFileSync(path(1));
        const after = Buffer.from(before);
        const index = at % after.length;
        after[index] = (after[index] ?? 0) ^ flip;
        writeFileSync(path(1), after);
        const found = broken().length;
        writeFileSync(path(1), before);
        expect(found).toBeGreaterThan(0);
      }),
      { numRuns: 150 },
    );
  });
});

describe('the end', () => {
  test('cut cleanly, it is told only by a checkpoint that was kept elsewhere', () => {
    editLines(path(-1), (lines) => lines.slice(0, -1));
    expect(verifyAuditLog(folder).ok).toBe(true);
    const { ok, findings } = verifyAuditLog(folder, tip);
    expect(ok).toBe(false);
    expect(findings[0]).toMatchObject({ file: path(-1), what: expect.stringMatching(/the end is missing/) });
  });

  test('a checkpoint holds while the log grows; another history of the same length does not pass', async () => {
    expect(verifyAuditLog(folder, parseCheckpoint(formatCheckpoint(tip))).ok).toBe(true);
    const other = temporaryFolder();
    await writtenLog(other, 30);
    expect(verifyAuditLog(other).ok).toBe(true);
    expect(verifyAuditLog(other, tip).findings[0]?.what).toMatch(/not the one that the checkpoint knows/);
  });

  test('torn by a kill, it is a note', () => {
    writeFileSync(path(-1), readFileSync(path(-1)).subarray(0, -5));
    const { ok, findings } = verifyAuditLog(folder);
    expect(ok).toBe(true);
    expect(findings).toEqual([expect.objectContaining({ severity: 'note', file: path(-1) })]);
  });

  test('a writer that is gone', () => {
    rmSync(join(folder, 'gateway'), { recursive: true });
    expect(verifyAuditLog(folder).ok).toBe(true);
    expect(verifyAuditLog(folder, tip)).toMatchObject({ ok: false });
  });

  test.each(['', 'x', '1:short', 'gateway:1'])('no checkpoint: %j', (text) => {
    expect(() => parseCheckpoint(text)).toThrow(/invalid checkpoint/);
  });
});

test('an erased record verifies: seq, leaf and chain are left', () => {
  editLines(path(1), (lines) =>
    lines.map((line, i) => {
      const record = parseLine(line);
      return i === 2 && record !== undefined ? formatLine(eraseLine(record)).trimEnd() : line;
    }),
  );
  expect(verifyAuditLog(folder, tip)).toMatchObject({ ok: true, erased: 1, records: 32 });
});
