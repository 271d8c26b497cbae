-- Streams are found through a table of their own, filled in bulk and in order. Kept up to date with each append, an
-- index of streams has another page to write for nearly every event, and those were most of what a commit wrote.

CREATE TABLE places (                              -- of the events up to namespaces.verified, of none behind
  stream   INTEGER NOT NULL,
  position INTEGER NOT NULL,
  event    INTEGER NOT NULL,                       -- events.key
  PRIMARY KEY (stream, position)
) WITHOUT ROWID;

INSERT INTO places
SELECT e.stream, e.position, e.key FROM events e JOIN namespaces n ON n.key = e.key >> 43
WHERE e.key & 0x7FFFFFFFFFF <= n.verified ORDER BY e.stream, e.position;

DROP INDEX events_stream;
