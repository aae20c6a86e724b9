-- What every snapshot that was in force was compiled from. Content stands once under its SHA-256, compressed.
CREATE TABLE kept_content (
  digest TEXT PRIMARY KEY,
  body BLOB NOT NULL
) STRICT;

CREATE TABLE kept_snapshot (
  number INTEGER PRIMARY KEY,
  snapshot TEXT NOT NULL,
  -- In force from then on, until the next row's.
  since INTEGER NOT NULL,
  -- The moment that expiry was held against.
  compiled_at INTEGER NOT NULL,
  applied_by TEXT NOT NULL,
  why TEXT NOT NULL,
  source TEXT,
  -- JSON: digests of the files, the catalogs and the people.
  content TEXT NOT NULL
) STRICT;

CREATE INDEX kept_snapshot_since ON kept_snapshot (since);

-- The groups of a principal's latest sign-in, as claimed. issued_at: the token's iat, in seconds.
CREATE TABLE claimed_groups (
  principal TEXT PRIMARY KEY,
  groups TEXT NOT NULL,
  issued_at INTEGER NOT NULL
) STRICT;
