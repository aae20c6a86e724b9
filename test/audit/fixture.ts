import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type AuditLogOptions, type OpenAuditLog, openAuditLog } from '../../src/audit/log.ts';
import type { NewEvent } from '../../src/audit/log-interface.ts';
import { listSegments } from '../../src/audit/segment.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { PrincipalName } from '../../src/kernel/principal.ts';

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'writ-audit-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A log that is closed when the test ends. */
export function testLog(folder: string, options: Partial<AuditLogOptions> = {}): OpenAuditLog {
  const log = openAuditLog({ folder, writer: 'gateway', clock: systemClock, ...options });
  onTestFinished(() => log.close().catch(() => undefined));
  return log;
}

export function begin(n: number): NewEvent {
  return {
    kind: 'statement.begin',
    principal: 'ana@acme.test' as PrincipalName,
    session: 's1',
    statementId: `st-${n}`,
    statement: 'select id from customers where id = ?',
    command: 'SELECT',
    tables: ['shop.public.customers'],
    columns: ['shop.public.customers.id'],
    decision: 'allow',
  };
}

/** A closed log of `count` statements in segments of about `segmentBytes`. @returns its checkpoint and segment paths */
export async function writtenLog(folder: string, count: number, segmentBytes = 2_000) {
  const log = testLog(folder, { segmentBytes });
  for (let i = 1; i <= count; i++) {
    log.append(begin(i));
    log.flush();
  }
  await log.close();
  return { tip: log.tip(), paths: listSegments(folder, 'gateway').map((file) => file.path) };
}

/** The folder as a crash leaves it: a copy, without the live process's lock. */
export function crashCopy(folder: string): string {
  const copy = temporaryFolder();
  cpSync(folder, copy, { recursive: true, filter: (path) => !path.endsWith('writer.lock') });
  return copy;
}

/** Changes the lines of a file; the header is line 0. */
export function editLines(path: string, edit: (lines: string[]) => readonly string[]): void {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  writeFileSync(
    path,
    edit(lines)
      .map((line) => `${line}\n`)
      .join(''),
  );
}
