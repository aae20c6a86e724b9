-- Version 1 of the embedded catalog store. Times are milliseconds since the epoch, UTC; bodies are JSON.
CREATE TABLE catalog (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL,
  -- Hash over what discovery found, estimates left out: tells whether anything changed.
  content TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE catalog_schema (
  name TEXT PRIMARY KEY,
  catalog TEXT NOT NULL REFERENCES catalog (name) ON DELETE CASCADE
) STRICT;

CREATE TABLE catalog_table (
  name TEXT PRIMARY KEY,
  catalog TEXT NOT NULL REFERENCES catalog (name) ON DELETE CASCADE,
  body TEXT NOT NULL
) STRICT;

-- Overloads share a name.
CREATE TABLE catalog_function (
  name TEXT NOT NULL,
  signature TEXT NOT NULL,
  catalog TEXT NOT NULL REFERENCES catalog (name) ON DELETE CASCADE,
  body TEXT NOT NULL,
  PRIMARY KEY (name, signature)
) STRICT;

CREATE TABLE catalog_partition (
  name TEXT PRIMARY KEY,
  parent TEXT NOT NULL,
  catalog TEXT NOT NULL REFERENCES catalog (name) ON DELETE CASCADE
) STRICT;

CREATE INDEX catalog_schema_of ON catalog_schema (catalog);
CREATE INDEX catalog_table_of ON catalog_table (catalog);
CREATE INDEX catalog_function_of ON catalog_function (catalog);
CREATE INDEX catalog_partition_of ON catalog_partition (catalog);

-- A person is (issuer, subject); the name is how the policy files call them.
CREATE TABLE principal (
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  name TEXT NOT NULL UNIQUE,
  email TEXT,
  bound_at INTEGER NOT NULL,
  PRIMARY KEY (issuer, subject)
) STRICT;

-- Subjects that came with a name which another subject holds.
CREATE TABLE quarantined (
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  name TEXT NOT NULL,
  email TEXT,
  first_seen INTEGER NOT NULL,
  PRIMARY KEY (issuer, subject)
) STRICT;

CREATE TABLE credential (
  id TEXT PRIMARY KEY,
  secret_hash TEXT NOT NULL,
  principal TEXT NOT NULL,
  catalog TEXT NOT NULL,
  direct INTEGER NOT NULL CHECK (direct IN (0, 1)),
  login TEXT,
  cluster TEXT,
  issued_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER,
  purpose TEXT,
  ticket TEXT
) STRICT;

CREATE INDEX credential_of ON credential (principal, expires_at);

CREATE TABLE policy_in_force (
  number INTEGER PRIMARY KEY,
  snapshot TEXT NOT NULL,
  applied_at INTEGER NOT NULL,
  applied_by TEXT NOT NULL,
  files TEXT NOT NULL
) STRICT;
