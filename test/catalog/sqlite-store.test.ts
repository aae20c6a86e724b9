import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openSqliteStore } from '../../src/catalog/sqlite-store.ts';
import { parsePrincipalName } from '../../src/kernel/principal.ts';
import { parseSecurableName } from '../../src/kernel/securable-name.ts';
import { catalogStoreContract } from './store-contract.ts';

function temporaryFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'writ-catalog-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'home', 'catalog.sqlite');
}

catalogStoreContract('in-memory SQLite', () => openSqliteStore({ file: ':memory:' }));

describe('the file', () => {
  test('only its owner can read it, its journal included', () => {
    const file = temporaryFile();
    const store = openSqliteStore({ file });
    store.putCatalog({ name: parseSecurableName('shop'), kind: 'POSTGRES' });
    for (const path of [file, `${file}-wal`, `${file}-shm`]) expect(statSync(path).mode & 0o777).toBe(0o600);
    store.close();
  });

  test('is found again by the next start', () => {
    const file = temporaryFile();
    const first = openSqliteStore({ file });
    first.putCatalog({ name: parseSecurableName('shop'), kind: 'POSTGRES' });
    const { digest } = first.snapshot();
    first.close();
    const second = openSqliteStore({ file });
    expect(second.snapshot().digest).toBe(digest);
    second.close();
  });

  test('what another process changes is seen', () => {
    const file = temporaryFile();
    const [ours, theirs] = [openSqliteStore({ file }), openSqliteStore({ file })];
    expect(ours.snapshot().catalogs.size).toBe(0);
    theirs.putCatalog({ name: parseSecurableName('shop'), kind: 'POSTGRES' });
    expect(ours.snapshot().catalogs.size).toBe(1);
    const name = parsePrincipalName('ana@acme.test');
    theirs.bindPrincipal({ issuer: 'i', subject: '1', name }, 1);
    expect(ours.bindPrincipal({ issuer: 'i', subject: '2', name }, 1).kind).toBe('quarantined');
    ours.close();
    theirs.close();
  });

  test('made by a newer Writ, it is refused', () => {
    const file = temporaryFile();
    openSqliteStore({ file }).close();
    const database = new Database(file);
    database.pragma('user_version = 99');
    database.close();
    expect(() => openSqliteStore({ file })).toThrow(/version 99/);
  });
});
