import { chmodSync, closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { WritError } from '../kernel/errors.ts';

/** One script per version: version n is reached by running script n - 1 on version n - 1. Never edited, only added to. */
const migrations = ['./schema.sql', './policy-source.sql', './kept-snapshots.sql'] as const;

/**
 * Opens the store's file for its owner only (0600; the journal beside it takes the same mode) and brings it up to date.
 * @throws invalid_config when a newer Writ made the file; errors of SQLite
 */
export function openDatabase(file: string): Database.Database {
  if (file !== ':memory:') {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    closeSync(openSync(file, 'a', 0o600));
    chmodSync(file, 0o600);
  }
  const database = new Database(file);
  try {
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = NORMAL');
    database.pragma('foreign_keys = ON');
    database.pragma('busy_timeout = 5000');
    migrate(database, file);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function migrate(database: Database.Database, file: string): void {
  // Immediate: of two processes that start together one migrates and the other finds it done.
  const run = database.transaction(() => {
    const version = Number(database.pragma('user_version', { simple: true }));
    if (version > migrations.length) {
      throw new WritError('invalid_config', {
        message: `the catalog store is of version ${version}, this Writ knows up to ${migrations.length}`,
        detail: file,
        hint: 'use the newer Writ, or another home folder',
      });
    }
    for (const script of migrations.slice(version)) {
      database.exec(readFileSync(new URL(script, import.meta.url), 'utf8'));
    }
    if (version < migrations.length) database.pragma(`user_version = ${migrations.length}`);
  });
  run.immediate();
}
