-- Our table in PostgreSQL: the same columns, the same indexes. `streams` is used by the writers with heads only.

CREATE TABLE streams (
  key       BIGINT PRIMARY KEY,
  namespace BIGINT NOT NULL,
  name      TEXT NOT NULL,
  category  BIGINT NOT NULL,
  version   BIGINT NOT NULL,
  count     BIGINT NOT NULL,
  last      BIGINT NOT NULL,
  UNIQUE (namespace, name)
);

CREATE SEQUENCE global_position;

CREATE TABLE events (
  key         BIGINT PRIMARY KEY DEFAULT (1::bigint << 43) + nextval('global_position'),
  stream      BIGINT NOT NULL,
  position    BIGINT NOT NULL,
  category    BIGINT NOT NULL,
  cardinal    BIGINT,
  correlation TEXT,
  type        TEXT NOT NULL,
  id          UUID NOT NULL,
  data        TEXT NOT NULL,
  metadata    TEXT,
  time        BIGINT NOT NULL,
  digest      BYTEA NOT NULL
);
CREATE UNIQUE INDEX events_stream ON events (stream, position);
CREATE UNIQUE INDEX events_id ON events (id, (key >> 43));
CREATE INDEX events_category ON events (category, key, cardinal);
CREATE INDEX events_correlation ON events (category, correlation, key, cardinal) WHERE correlation IS NOT NULL;

-- Every stream exists, so that the measured statement is the same for every event.
INSERT INTO streams SELECT n, 1, 'bench-' || n, 1, -1, 0, 0 FROM generate_series(0, 9999) n;
