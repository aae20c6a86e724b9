import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import type Database from 'better-sqlite3';
import { WritError } from '../kernel/errors.ts';
import type { PrincipalName } from '../kernel/principal.ts';
import { sql } from '../kernel/sql.ts';
import { catalogFromTexts, catalogTexts } from './kept-catalog.ts';
import type { ClaimedGroups, KeptInputs, KeptMoment, NewKept, PolicySource } from './store.ts';

/** Digests, in the order in which they are read back. */
interface ContentIndex {
  readonly files: readonly { readonly path: string; readonly digest: string }[];
  readonly catalogs: readonly string[];
  readonly people: string;
}

interface KeptRow {
  readonly number: number;
  readonly snapshot: string;
  readonly since: number;
  readonly until: number | null;
  readonly compiled_at: number;
  readonly applied_by: PrincipalName;
  readonly why: string;
  readonly source: string | null;
}

/** Who the catalog knew, what they claimed, how clusters were labelled. */
type People = Pick<KeptInputs, 'known' | 'claimed' | 'labels'>;

/** What snapshots of the past were compiled from, and the groups that sign-ins claimed. */
export class SqliteKept {
  readonly #database: Database.Database;

  constructor(database: Database.Database) {
    this.#database = database;
  }

  keep(kept: NewKept): number {
    return this.#database.transaction(() => this.#keep(kept)).immediate();
  }

  begins(number: number, since: number): void {
    this.#database.prepare(sql`UPDATE kept_snapshot SET since = ? WHERE number = ?`.text).run(since, number);
  }

  /** The last that began at that moment or before; without a moment the last of all. */
  at(moment: number = Number.MAX_SAFE_INTEGER): KeptMoment | undefined {
    const last = sql`SELECT k.*, (SELECT n.since FROM kept_snapshot n WHERE n.number > k.number ORDER BY n.number LIMIT 1) AS until
      FROM kept_snapshot k WHERE k.since <= ? ORDER BY k.number DESC LIMIT 1`;
    return toMoment(this.#database.prepare(last.text).get(moment) as KeptRow | undefined);
  }

  first(): number | undefined {
    const first = sql`SELECT min(since) AS since FROM kept_snapshot`;
    const row = this.#database.prepare(first.text).get() as { since: number | null };
    return row.since ?? undefined;
  }

  inputs(number: number): KeptInputs {
    const select = sql`SELECT content FROM kept_snapshot WHERE number = ?`;
    const row = this.#database.prepare(select.text).get(number) as { content: string } | undefined;
    if (row === undefined) throw damaged(`there is no kept snapshot ${number}`);
    const index = JSON.parse(row.content) as ContentIndex;
    const catalog = catalogFromTexts(index.catalogs.map((digest) => this.#content(digest)));
    if (catalog === undefined) throw damaged('the kept catalog is not what its hash says');
    return {
      files: index.files.map(({ path, digest }) => ({ path, text: this.#content(digest) })),
      catalog,
      ...(JSON.parse(this.#content(index.people)) as People),
    };
  }

  claim(principal: PrincipalName, groups: readonly string[], issuedAt: number): void {
    this.#database.transaction(() => this.#claim(principal, groups, issuedAt)).immediate();
  }

  claimed(): readonly ClaimedGroups[] {
    const all = sql`SELECT principal, groups, issued_at FROM claimed_groups ORDER BY principal`;
    return (this.#database.prepare(all.text).all() as ClaimRow[]).map(toClaimed);
  }

  claimedBy(principal: PrincipalName): ClaimedGroups | undefined {
    const one = sql`SELECT principal, groups, issued_at FROM claimed_groups WHERE principal = ?`;
    const row = this.#database.prepare(one.text).get(principal) as ClaimRow | undefined;
    return row === undefined ? undefined : toClaimed(row);
  }

  #claim(principal: PrincipalName, groups: readonly string[], issuedAt: number): void {
    const before = this.claimedBy(principal);
    // "No groups" is kept too: else an older token, shown for the first time, would still count.
    if (before !== undefined && issuedAt < before.issuedAt) return;
    const sorted = [...new Set(groups)].sort();
    const counted =
      issuedAt === before?.issuedAt ? sorted.filter((group) => before.groups.includes(group)) : sorted;
    const put = sql`INSERT INTO claimed_groups (principal, groups, issued_at) VALUES (?, ?, ?)
      ON CONFLICT (principal) DO UPDATE SET groups = excluded.groups, issued_at = excluded.issued_at`;
    this.#database.prepare(put.text).run(principal, JSON.stringify(counted), issuedAt);
  }

  #keep({ inputs, ...kept }: NewKept): number {
    const { known, claimed, labels } = inputs;
    const index: ContentIndex = {
      files: inputs.files.map(({ path, text }) => ({ path, digest: this.#put(text) })),
      catalogs: catalogTexts(inputs.catalog).map((text) => this.#put(text)),
      people: this.#put(JSON.stringify({ known, claimed, labels } satisfies People)),
    };
    const insert = sql`INSERT INTO kept_snapshot (snapshot, since, compiled_at, applied_by, why, source, content)
      VALUES (?, ?, ?, ?, ?, ?, ?)`;
    const source = kept.source === undefined ? null : JSON.stringify(kept.source);
    const { lastInsertRowid } = this.#database
      .prepare(insert.text)
      .run(
        kept.snapshot,
        kept.since,
        kept.compiledAt,
        kept.appliedBy,
        kept.why,
        source,
        JSON.stringify(index),
      );
    return Number(lastInsertRowid);
  }

  #put(text: string): string {
    const digest = sha256(text);
    const known = sql`SELECT 1 FROM kept_content WHERE digest = ?`;
    if (this.#database.prepare(known.text).get(digest) !== undefined) return digest;
    const insert = sql`INSERT INTO kept_content (digest, body) VALUES (?, ?)`;
    this.#database.prepare(insert.text).run(digest, gzipSync(text));
    return digest;
  }

  #content(digest: string): string {
    const select = sql`SELECT body FROM kept_content WHERE digest = ?`;
    const row = this.#database.prepare(select.text).get(digest) as { body: Buffer } | undefined;
    const text = row === undefined ? undefined : unzipped(row.body);
    if (text === undefined || sha256(text) !== digest) throw damaged('a kept text is not what its hash says');
    return text;
  }
}

interface ClaimRow {
  readonly principal: PrincipalName;
  readonly groups: string;
  readonly issued_at: number;
}

function toClaimed({ principal, groups, issued_at }: ClaimRow): ClaimedGroups {
  return { principal, groups: JSON.parse(groups) as string[], issuedAt: issued_at };
}

function toMoment(row: KeptRow | undefined): KeptMoment | undefined {
  if (row === undefined) return undefined;
  return {
    number: row.number,
    snapshot: row.snapshot,
    since: row.since,
    ...(row.until === null ? {} : { until: row.until }),
    compiledAt: row.compiled_at,
    appliedBy: row.applied_by,
    why: row.why,
    ...(row.source === null ? {} : { source: JSON.parse(row.source) as PolicySource }),
  };
}

function unzipped(body: Buffer): string | undefined {
  try {
    return gunzipSync(body).toString('utf8');
  } catch {
    return undefined; // Damaged: the caller says so.
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function damaged(detail: string): WritError {
  return new WritError('conflict', {
    message: 'what the past snapshot was compiled from is damaged, so nothing is answered from it',
    detail,
    hint: 'restore the catalog store from a backup; the audit log has the decisions that were made',
  });
}
