import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exportJsonl } from '../../src/audit/export.ts';
import type { NewEvent } from '../../src/audit/log-interface.ts';
import { readRecords } from '../../src/audit/read.ts';
import { listSegments } from '../../src/audit/segment.ts';
import { verifyAuditLog } from '../../src/audit/verify.ts';
import { WritError } from '../../src/kernel/errors.ts';
import { begin, crashCopy, temporaryFolder, testLog } from './fixture.ts';

const kinds = (folder: string) => [...readRecords(folder)].map((record) => record.event?.kind);
const lastPath = (folder: string) => listSegments(folder, 'gateway').at(-1)?.path ?? '';

describe('appending', () => {
  test('everything of one turn is written together, in order, and then told', async () => {
    const folder = temporaryFolder();
    const log = testLog(folder);
    const told: number[] = [];
    const places = [1, 2, 3].map((n) => log.append(begin(n)));
    for (const place of places) log.whenWritten(place, () => told.push(place));
    expect(places.map((place) => log.isWritten(place))).toEqual([false, false, false]);
    expect(kinds(folder)).toEqual(['log.open']);
    await log.written(places[2] ?? 0);
    expect(told).toEqual(places);
    expect(places.every((place) => log.isWritten(place))).toBe(true);
    expect(kinds(folder)).toEqual(['log.open', 'statement.begin', 'statement.begin', 'statement.begin']);
    expect(verifyAuditLog(folder)).toMatchObject({ ok: true, records: 4, segments: 1, findings: [] });
  });

  test('flush writes at once; asking for a written place answers at once', () => {
    const folder = temporaryFolder();
    const log = testLog(folder);
    const place = log.append(begin(1));
    log.flush();
    expect(log.isWritten(place)).toBe(true);
    let answered = false;
    log.whenWritten(place, () => {
      answered = true;
    });
    expect(answered).toBe(true);
    expect(log.isWritten(place + 1)).toBe(false);
  });

  test('an end rides along with what comes next, or follows by itself soon; asking for it makes it at once', async () => {
    const folder = temporaryFolder();
    const log = testLog(folder);
    const end: NewEvent = { kind: 'statement.end', statementId: 'st-1', durationMs: 1 };
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    log.append(end);
    const place = log.append(begin(2));
    await turn();
    expect(log.isWritten(place)).toBe(true);
    expect(kinds(folder)).toEqual(['log.open', 'statement.end', 'statement.begin']);
    const alone = log.append(end);
    await expect.poll(() => log.isWritten(alone), { interval: 1, timeout: 500 }).toBe(true);
    await log.written(log.append(end));
    log.append(end);
    await log.close();
    expect(kinds(folder).slice(3)).toEqual(['statement.end', 'statement.end', 'statement.end', 'log.close']);
    expect(verifyAuditLog(folder)).toMatchObject({ ok: true, records: 7 });
  });

  test('only the owner can read it', () => {
    const folder = temporaryFolder();
    testLog(folder);
    expect(statSync(join(folder, 'gateway')).mode & 0o777).toBe(0o700);
    expect(statSync(lastPath(folder)).mode & 0o777).toBe(0o600);
  });

  test('a caller that throws in its callback keeps nobody else waiting', async () => {
    const log = testLog(temporaryFolder());
    const place = log.append(begin(1));
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const surfaced = once(process, 'uncaughtException');
    log.whenWritten(place, () => {
      throw new Error('mine');
    });
    await log.written(place);
    expect((await surfaced)[0]).toMatchObject({ message: 'mine' });
    for (const listener of listeners) process.on('uncaughtException', listener);
  });

  test('segments are rotated by size and continue one chain', async () => {
    const folder = temporaryFolder();
    const log = testLog(folder, { segmentBytes: 1_500 });
    for (let n = 1; n <= 20; n++) await log.written(log.append(begin(n)));
    await log.close();
    expect(listSegments(folder, 'gateway').length).toBeGreaterThan(3);
    const verified = verifyAuditLog(folder);
    expect(verified).toMatchObject({ ok: true, records: 22 });
    expect(verified.tips).toEqual([log.tip()]);
  });

  test('a hook sees every event last', () => {
    const folder = temporaryFolder();
    const log = testLog(folder, { redactHook: (event) => ({ ...event, message: 'seen' }) });
    log.append(begin(1));
    log.flush();
    expect([...exportJsonl(folder)].every((line) => JSON.parse(line).message === 'seen')).toBe(true);
  });
});

describe('opening again', () => {
  test('continues the chain in the same segment', async () => {
    const folder = temporaryFolder();
    const first = testLog(folder);
    first.append(begin(1));
    await first.close();
    const second = testLog(folder);
    second.append(begin(2));
    await second.close();
    expect(kinds(folder)).toEqual([
      'log.open',
      'statement.begin',
      'log.close',
      'log.open',
      'statement.begin',
      'log.close',
    ]);
    expect(verifyAuditLog(folder)).toMatchObject({ ok: true, records: 6, segments: 1 });
  });

  test('a torn last line is cut, at every byte, and the cut is recorded', async () => {
    const folder = temporaryFolder();
    const log = testLog(folder);
    log.append(begin(1));
    log.flush();
    const size = statSync(lastPath(folder)).size;
    log.append(begin(2));
    log.flush();
    const full = statSync(lastPath(folder)).size;
    for (let length = size; length < full; length += 37) {
      const copy = crashCopy(folder);
      truncateSync(lastPath(copy), length);
      await testLog(copy).close();
      const [, , opened] = [...readRecords(copy)];
      expect(opened?.event).toMatchObject({
        kind: 'log.open',
        message: length === size ? 'opened' : `opened; ${length - size} torn bytes cut`,
      });
      expect(verifyAuditLog(copy)).toMatchObject({ ok: true, records: 4, findings: [] });
    }
  });

  test('zeros behind the last record, as a power cut leaves them, are cut and kept aside when they hold lines', async () => {
    const folder = temporaryFolder();
    await testLog(folder).close();
    appendFileSync(lastPath(folder), Buffer.concat([Buffer.alloc(100), Buffer.from('\n'), Buffer.alloc(50)]));
    await testLog(folder).close();
    expect(verifyAuditLog(folder)).toMatchObject({ ok: true, records: 4 });
    expect(readFileSync(`${lastPath(folder)}.cut`).length).toBe(151);
  });

  test.each(['', '#writ-au'])('a segment whose header was cut at %j is made again', async (header) => {
    const folder = temporaryFolder();
    const log = testLog(folder);
    await log.close();
    writeFileSync(join(folder, 'gateway', '0000000000000003.log'), header);
    const again = testLog(folder);
    await again.close();
    expect(verifyAuditLog(folder)).toMatchObject({ ok: true, records: 4, segments: 1 });
  });

  test('two logs on one folder are refused; after the first is closed the second may', async () => {
    const folder = temporaryFolder();
    const log = testLog(folder);
    expect(() => testLog(folder)).toThrow(/in use by process/);
    await log.close();
    expect(existsSync(join(folder, 'gateway', 'writer.lock'))).toBe(false);
    testLog(folder);
  });

  test('a lock that a killed process left behind is taken over', () => {
    const folder = temporaryFolder();
    const log = testLog(folder);
    const copy = crashCopy(folder);
    writeFileSync(join(copy, 'gateway', 'writer.lock'), '1 another-boot:17\n');
    testLog(copy);
    expect(log.healthy()).toBe(true);
  });

  test('a whole record whose hash is wrong is left in place for verify to name', async () => {
    const folder = temporaryFolder();
    await testLog(folder).close();
    const path = lastPath(folder);
    writeFileSync(path, readFileSync(path, 'utf8').replace('"log.close"', '"log.clos3"'));
    await testLog(folder).close();
    const { findings } = verifyAuditLog(folder);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ severity: 'broken', line: 3 });
  });
});

describe('when it cannot be written', () => {
  const failing = (folder: string) => {
    let now = 1_000;
    const log = testLog(folder, { clock: { now: () => now } });
    return { log, wait: (ms: number) => (now += ms) };
  };

  test('who waits is told, appending is refused, and writing goes on when it can', async () => {
    const folder = temporaryFolder();
    const { log, wait } = failing(folder);
    const kept = log.append(begin(1));
    log.flush();
    rmSync(join(folder, 'gateway'), { recursive: true });
    writeFileSync(join(folder, 'gateway'), 'no folder');
    const lost = log.append(begin(2));
    await expect(log.written(lost)).rejects.toMatchObject({ code: 'record_not_writable', sqlstate: '58030' });
    expect(log.isWritten(kept)).toBe(true);
    expect(log.isWritten(lost)).toBe(false);
    expect(log.healthy()).toBe(false);
    expect(() => log.append(begin(3))).toThrow(WritError);
    expect(() => log.flush()).toThrow(WritError);
    wait(300);
    expect(() => log.append(begin(4))).toThrow(WritError);

    rmSync(join(folder, 'gateway'));
    expect(log.healthy()).toBe(false);
    wait(300);
    expect(log.healthy()).toBe(true);
    const after = log.append(begin(5));
    await log.written(after);
    expect(log.isWritten(lost)).toBe(false);
    await expect(log.written(lost)).rejects.toThrow(WritError);
    const events = [...readRecords(folder)].map((record) => record.event);
    expect(events[0]).toMatchObject({
      kind: 'log.open',
      message: expect.stringMatching(/^writing again; .*removed/),
    });
    expect(events[1]).toMatchObject({ statementId: 'st-5' });
    // The removed segment is missing, and verify says so.
    expect(verifyAuditLog(folder).findings[0]?.what).toMatch(/segment 1 is missing/);
  });

  test('a segment that somebody shortened while it was open is not written into', async () => {
    const folder = temporaryFolder();
    const { log, wait } = failing(folder);
    log.append(begin(1));
    log.flush();
    truncateSync(lastPath(folder), 200);
    await expect(log.written(log.append(begin(2)))).rejects.toThrow(WritError);
    wait(300);
    await log.written(log.append(begin(3)));
    const { ok, findings } = verifyAuditLog(folder);
    expect(ok).toBe(false);
    expect(findings[0]?.file).toBe(listSegments(folder, 'gateway')[0]?.path);
  });

  test('a closed log refuses', async () => {
    const log = testLog(temporaryFolder());
    await log.close();
    await log.close();
    expect(() => log.append(begin(1))).toThrow(WritError);
    expect(log.healthy()).toBe(false);
  });
});
