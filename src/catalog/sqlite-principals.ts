import type Database from 'better-sqlite3';
import type { PrincipalName } from '../kernel/principal.ts';
import { sql } from '../kernel/sql.ts';
import type { BoundPrincipal } from './model.ts';
import type { Binding, QuarantinedSubject } from './store.ts';

interface PrincipalRow {
  readonly issuer: string;
  readonly subject: string;
  readonly name: PrincipalName;
  readonly email: string | null;
  readonly bound_at: number;
}

interface QuarantineRow extends Omit<PrincipalRow, 'bound_at'> {
  readonly first_seen: number;
}

/** Who is who: (issuer, subject) ↔ name, one to one. */
export class SqlitePrincipals {
  readonly #database: Database.Database;
  readonly #bySubject: Database.Statement;
  readonly #byName: Database.Statement;
  readonly #insert: Database.Statement;

  constructor(database: Database.Database) {
    this.#database = database;
    this.#bySubject = database.prepare(sql`SELECT * FROM principal WHERE issuer = ? AND subject = ?`.text);
    this.#byName = database.prepare(sql`SELECT * FROM principal WHERE name = ?`.text);
    this.#insert = database.prepare(
      sql`INSERT INTO principal (issuer, subject, name, email, bound_at) VALUES (?, ?, ?, ?, ?)`.text,
    );
  }

  bind(
    subject: { issuer: string; subject: string; name: PrincipalName; email?: string },
    now: number,
  ): Binding {
    // Every sign-in but the first ends here, without a write lock.
    const known = this.#bound(subject);
    if (known !== undefined) return { kind: 'bound', principal: known, first: false };
    return this.#database.transaction(() => this.#bindFirst(subject, now)).immediate();
  }

  moveIssuer(from: string, to: string): number {
    return this.#database
      .prepare(sql`UPDATE OR IGNORE principal SET issuer = ? WHERE issuer = ?`.text)
      .run(to, from).changes;
  }

  all(): readonly BoundPrincipal[] {
    const rows = this.#database.prepare(sql`SELECT * FROM principal ORDER BY name`.text).all();
    return (rows as PrincipalRow[]).map(toBound);
  }

  quarantined(): readonly QuarantinedSubject[] {
    const rows = this.#database.prepare(sql`SELECT * FROM quarantined ORDER BY name, first_seen`.text).all();
    return (rows as QuarantineRow[]).map((row) => ({
      issuer: row.issuer,
      subject: row.subject,
      name: row.name,
      ...(row.email === null ? {} : { email: row.email }),
      firstSeen: row.first_seen,
    }));
  }

  rebind({ issuer, subject }: { issuer: string; subject: string }, now: number): boolean {
    const one = sql`SELECT * FROM quarantined WHERE issuer = ? AND subject = ?`;
    const rebind = this.#database.transaction(() => {
      const row = this.#database.prepare(one.text).get(issuer, subject) as QuarantineRow | undefined;
      if (row === undefined) return false;
      this.#database.prepare(sql`DELETE FROM principal WHERE name = ?`.text).run(row.name);
      // What the one before claimed is not the next one's.
      this.#database.prepare(sql`DELETE FROM claimed_groups WHERE principal = ?`.text).run(row.name);
      this.#insert.run(issuer, subject, row.name, row.email, now);
      this.#release(issuer, subject);
      return true;
    });
    return rebind.immediate();
  }

  #bound({ issuer, subject }: { issuer: string; subject: string }): BoundPrincipal | undefined {
    const row = this.#bySubject.get(issuer, subject) as PrincipalRow | undefined;
    return row === undefined ? undefined : toBound(row);
  }

  #bindFirst(
    subject: { issuer: string; subject: string; name: PrincipalName; email?: string },
    now: number,
  ): Binding {
    const known = this.#bound(subject);
    if (known !== undefined) return { kind: 'bound', principal: known, first: false };
    const holder = this.#byName.get(subject.name) as PrincipalRow | undefined;
    const email = subject.email ?? null;
    if (holder !== undefined) {
      const quarantine = sql`INSERT INTO quarantined (issuer, subject, name, email, first_seen) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (issuer, subject) DO UPDATE SET name = excluded.name, email = excluded.email`;
      this.#database.prepare(quarantine.text).run(subject.issuer, subject.subject, subject.name, email, now);
      return { kind: 'quarantined', holder: toBound(holder) };
    }
    this.#insert.run(subject.issuer, subject.subject, subject.name, email, now);
    this.#release(subject.issuer, subject.subject);
    const principal: BoundPrincipal = {
      name: subject.name,
      issuer: subject.issuer,
      subject: subject.subject,
      ...(subject.email === undefined ? {} : { email: subject.email }),
      boundAt: now,
    };
    return { kind: 'bound', principal, first: true };
  }

  #release(issuer: string, subject: string): void {
    const leave = sql`DELETE FROM quarantined WHERE issuer = ? AND subject = ?`;
    this.#database.prepare(leave.text).run(issuer, subject);
  }
}

function toBound(row: PrincipalRow): BoundPrincipal {
  return {
    name: row.name,
    issuer: row.issuer,
    subject: row.subject,
    ...(row.email === null ? {} : { email: row.email }),
    boundAt: row.bound_at,
  };
}
