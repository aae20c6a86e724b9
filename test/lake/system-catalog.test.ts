import { appendFileSync, cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OpenAuditLog, openAuditLog } from '../../src/audit/log.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { operatorName } from '../../src/kernel/principal.ts';
import type { LakeSession } from '../../src/lake/engine.ts';
import { type GovernedLakeEngine, openLakeEngine } from '../../src/lake/open-engine.ts';
import { systemCatalog, systemSource } from '../../src/lake/system-catalog.ts';
import type { Snapshot } from '../../src/policy/model.ts';
import { people } from '../policy/fixture.ts';
import { rowsOf, sampleSnapshot, system } from './sample.ts';

let folder: string;
let audit: OpenAuditLog;
let engine: GovernedLakeEngine;
let snapshot: Snapshot;
let carla: LakeSession;

const common = { principal: people.ana, session: 's1', credential: 'oidc:x', catalog: 'lake' };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'writ-test-audit-'));
  audit = openAuditLog({ folder, writer: 'test', clock: systemClock });
  const client = { address: '10.0.0.1', application: 'psql' };
  audit.append({ kind: 'session.begin', ...common, client, login: 'l' });
  const begin = { kind: 'statement.begin', ...common, statement: 'select # ?', command: 'SELECT' } as const;
  audit.append({
    ...begin,
    statementId: 'a',
    tables: ['t'],
    columns: ['t.c', 't.d'],
    decision: 'allow',
    reasons: ['r'],
  });
  audit.append({ ...begin, statementId: 'b', tables: [], columns: [] });
  audit.append({ kind: 'statement.end', ...common, statementId: 'a', rows: 7, bytes: 9, durationMs: 1.5 });
  audit.append({ kind: 'session.end', ...common, durationMs: 12, statements: 2 });
  audit.append({ kind: 'policy.apply', principal: operatorName, summary: 'one more', policyVersion: 'p2' });
  audit.append({
    kind: 'credential.issue',
    ...common,
    credentialId: 'c1',
    direct: true,
    expiresAt: 1_800_000_000_000,
  });
  audit.append({ kind: 'credential.revoke', ...common, credentialId: 'c1', direct: true });
  audit.append({ kind: 'sync.drift', cluster: 'main', severity: 'critical', summary: 'a view is gone' });
  audit.flush();
  engine = openLakeEngine({ limits: { spares: 1 } });
  snapshot = await sampleSnapshot({ audit: folder });
  carla = await engine.open(system, people.carla);
}, 60_000);

afterAll(async () => {
  await engine?.close();
  await audit?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('systemCatalog', () => {
  it('says what the .sql files select, in order and type', async () => {
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    for (const table of systemCatalog().tables) {
      const read = await connection.runAndReadAll(systemSource(table.name, folder).text);
      expect(read.columnNames()).toEqual(table.columns.map((column) => column.name));
      expect(read.columnTypes().map(String)).toEqual(table.columns.map((column) => column.engineType));
    }
    connection.closeSync();
  });

  it('reads an audit folder without a segment', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'writ-test-audit-'));
    const none = await sampleSnapshot({ audit: empty });
    const session = await engine.open(system, people.carla);
    expect(await rowsOf(session, none, 'select count(*) from system.access.audit')).toEqual([['0']]);
    rmSync(empty, { recursive: true });
  });
});

describe('system.access', () => {
  it.each([
    [
      "select statement_id, statement, tables, columns, rows, bytes, duration_ms, ended, reasons from system.access.audit where kind = 'statement' order by 1",
      [
        ['a', 'select # ?', '{t}', '{t.c,t.d}', '7', '9', '1.5', 't', '{r}'],
        ['b', 'select # ?', '{}', '{}', null, null, null, 'f', null],
      ],
    ],
    [
      'select principal, source_ip_address, application, duration_ms, statements from access.sessions',
      [['ana@acme.test', '10.0.0.1', 'psql', '12', '2']],
    ],
    [
      'select kind, principal, policy_version, summary from policy_changes',
      [['policy.apply', 'operator', 'p2', 'one more']],
    ],
    [
      'select credential_id, direct, expires_at, revoked_by from "SYSTEM".Access.Credentials',
      [['c1', 't', '2027-01-15 08:00:00+00', 'ana@acme.test']],
    ],
    [
      'select cluster, severity, summary from system . access . drift',
      [['main', 'critical', 'a view is gone']],
    ],
    ['select max(system.access.drift.cluster) from system.access.drift', [['main']]],
    ['select count(*) from audit where event_date = current_date or event_time < now()', [['9']]],
  ])('%s', async (text, rows) => {
    expect(await rowsOf(carla, snapshot, text)).toEqual(rows);
  });

  it('is read live, and a torn last line is no row', async () => {
    const count = async () =>
      Number((await rowsOf(carla, snapshot, 'select count(*) from access.audit'))[0]?.[0]);
    const before = await count();
    audit.append({ kind: 'session.refused', ...common });
    audit.flush();
    expect(await count()).toBe(before + 1);
  });

  it('has no row for a torn last line', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'writ-test-audit-'));
    cpSync(folder, copy, { recursive: true });
    const torn = await sampleSnapshot({ audit: copy });
    const count = async () =>
      Number((await rowsOf(carla, torn, 'select count(*) from access.audit'))[0]?.[0]);
    const before = await count();
    expect(before).toBeGreaterThan(5);
    const segment = readdirSync(join(copy, 'test')).find((name) => name.endsWith('.log')) ?? '';
    appendFileSync(join(copy, 'test', segment), '99\tabc\tdef\tghi\t{"kind":"torn","id":"');
    expect(await count()).toBe(before);
    appendFileSync(join(copy, 'test', segment), '\n100\tabc');
    expect(await count()).toBe(before);
    rmSync(copy, { recursive: true });
  });

  it('is whole for the operator, and nothing else is', async () => {
    const operator = await engine.open(system, operatorName, { asOperator: true });
    expect(
      Number((await rowsOf(operator, snapshot, 'select count(*) from system.access.audit'))[0]?.[0]),
    ).toBeGreaterThan(5);
    const without = await engine.open(system, operatorName);
    expect((await without.prepare('select 1 from system.access.audit', snapshot)).decision.effect).toBe(
      'deny',
    );
  });

  it('is not for pat, who owns it, nor for ana', async () => {
    for (const who of [people.pat, people.ana]) {
      const session = await engine.open(system, who);
      expect((await session.prepare('select 1 from system.access.audit', snapshot)).decision.effect).toBe(
        'deny',
      );
    }
  });
});
