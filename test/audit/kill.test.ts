import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readRecords } from '../../src/audit/read.ts';
import { verifyAuditLog } from '../../src/audit/verify.ts';
import { compileAuditRoom, startWriting } from './child.ts';
import { temporaryFolder, testLog } from './fixture.ts';

let room: string;
beforeAll(() => {
  room = compileAuditRoom();
});
afterAll(() => rmSync(room, { recursive: true, force: true }));

/** Counts how often each statement is recorded. */
function recorded(folder: string): Set<number> {
  const numbers = [...readRecords(folder)].flatMap(({ event }) =>
    event?.kind === 'statement.begin' ? [Number(event.statementId)] : [],
  );
  return new Set(numbers);
}

describe('kill -9 under load', () => {
  test.each([3, 17, 40, 90, 150, 260])(
    'after %i ms: what was released is recorded, and the chain goes on',
    async (ms) => {
      const folder = temporaryFolder();
      const child = startWriting(room, folder);
      await child.heard('ready');
      await sleep(ms);
      await child.kill();
      const kept = recorded(folder);
      expect(child.released.filter((number) => !kept.has(number))).toEqual([]);
      await testLog(folder).close();
      expect(verifyAuditLog(folder)).toMatchObject({ ok: true, findings: [] });
    },
  );
});

describe.runIf(process.platform === 'linux')('the disk is full', () => {
  test('statements are refused, no half record stays, and writing goes on when there is room', async () => {
    const folder = temporaryFolder();
    // The limit of a file's size fails a write as a full disk does: first in part, then wholly.
    const child = startWriting(room, folder, "trap '' XFSZ; ulimit -S -f 64;");
    await child.heard('refused');
    expect(verifyAuditLog(folder)).toMatchObject({ ok: true, findings: [] });
    spawnSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited']);
    const before = child.released.length;
    await expect.poll(() => child.released.length, { timeout: 10_000 }).toBeGreaterThan(before + 500);
    await child.kill();
    const kept = recorded(folder);
    expect(child.released.filter((number) => !kept.has(number))).toEqual([]);
    await testLog(folder).close();
    expect(verifyAuditLog(folder)).toMatchObject({ ok: true, findings: [] });
    const messages = [...readRecords(folder)].map(({ event }) => event?.message ?? '');
    expect(
      messages.some((message) => /^writing again; nothing could be recorded since .*EFBIG/.test(message)),
    ).toBe(true);
  });
});
