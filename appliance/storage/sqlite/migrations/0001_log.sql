-- The log. One file for all namespaces, so that one sync per batch serves them all.

CREATE TABLE namespaces (
  key          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again
  id           TEXT NOT NULL UNIQUE,
  description  TEXT NOT NULL,
  created      INTEGER NOT NULL,                   -- microseconds since 1970, like every time here
  newest       INTEGER NOT NULL DEFAULT 0,         -- highest global position ever given
  messages     INTEGER NOT NULL DEFAULT 0,         -- stored now
  streams      INTEGER NOT NULL DEFAULT 0,
  last         INTEGER,                            -- time of the newest event
  widest       INTEGER NOT NULL DEFAULT 0,         -- characters of the largest event
  written      TEXT NOT NULL DEFAULT '0',          -- sum of the digests of all events ever written
  removed      TEXT NOT NULL DEFAULT '0',          -- sum of those that retention removed
  verified     INTEGER NOT NULL DEFAULT 0,         -- global position up to which the next start need not look
  verified_sum TEXT NOT NULL DEFAULT '0'           -- sum of the digests stored up to there
);

CREATE TABLE categories (
  key       INTEGER PRIMARY KEY,
  namespace INTEGER NOT NULL,
  name      TEXT NOT NULL,
  streams   INTEGER NOT NULL DEFAULT 0,
  messages  INTEGER NOT NULL DEFAULT 0,
  oldest    INTEGER NOT NULL DEFAULT 1,            -- global position; retention has removed what was before
  UNIQUE (namespace, name)
);

-- The version of a stream is its last entry in the index on (stream, position): one seek, and nothing to keep in
-- step. A row per stream rewritten with each append doubled the pages a commit has to write.
CREATE TABLE streams (
  key        INTEGER PRIMARY KEY,
  namespace  INTEGER NOT NULL,
  name       TEXT NOT NULL,
  category   INTEGER NOT NULL,
  floor      INTEGER NOT NULL DEFAULT -1,          -- highest position that retention removed: versions never fall
  floor_time INTEGER NOT NULL DEFAULT 0,
  UNIQUE (namespace, name)
);

CREATE TABLE events (
  key         INTEGER PRIMARY KEY,                 -- namespace << 43 | global position
  stream      INTEGER NOT NULL,
  position    INTEGER NOT NULL,
  category    INTEGER NOT NULL,
  cardinal    INTEGER,                             -- hash of the cardinal id; NULL: belongs to no consumer
  correlation TEXT,                                -- category of metadata.correlationStreamName
  type        TEXT NOT NULL,
  id          TEXT NOT NULL,
  data        TEXT NOT NULL,
  metadata    TEXT,
  time        INTEGER NOT NULL,
  digest      BLOB NOT NULL
);
CREATE UNIQUE INDEX events_stream ON events (stream, position);
CREATE UNIQUE INDEX events_id ON events (id, key >> 43);
-- `cardinal` stands in both so that a consumer group is filtered without touching the rows of the others.
CREATE INDEX events_category ON events (category, key, cardinal);
CREATE INDEX events_correlation ON events (category, correlation, key, cardinal) WHERE correlation IS NOT NULL;

CREATE TABLE gaps (                                -- runs of global positions whose events retention removed
  first  INTEGER PRIMARY KEY,                      -- as events.key
  last   INTEGER NOT NULL,
  events INTEGER NOT NULL,
  sum    TEXT NOT NULL                             -- of the removed digests
);

CREATE TABLE receipts (                            -- idempotency keys
  namespace   INTEGER NOT NULL,
  key         TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  first       INTEGER NOT NULL,                    -- global position
  count       INTEGER NOT NULL,
  time        INTEGER NOT NULL,
  PRIMARY KEY (namespace, key)
) WITHOUT ROWID;
CREATE INDEX receipts_time ON receipts (time);

CREATE TABLE tokens (
  id        TEXT PRIMARY KEY,
  hash      BLOB NOT NULL UNIQUE,                  -- SHA-256; the text is nowhere
  namespace INTEGER NOT NULL,
  scopes    TEXT NOT NULL,                         -- separated by blanks
  memories  TEXT NOT NULL,
  name      TEXT NOT NULL,
  created   INTEGER NOT NULL,
  expires   INTEGER,
  revoked   INTEGER
);

CREATE TABLE ledger (                              -- one row; its twin is the high-water mark beside the file
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  batch    INTEGER NOT NULL,
  appended INTEGER NOT NULL,                       -- events ever
  sum      TEXT NOT NULL                           -- of their digests
);
INSERT INTO ledger VALUES (1, 0, 0, '0');
