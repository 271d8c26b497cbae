-- Values of state are found and counted by what their owner says of them: a job by its status, a note by its tags.

ALTER TABLE state ADD COLUMN pairs TEXT;           -- JSON, the same (name, value) pairs; NULL: none

CREATE TABLE state_index (                         -- in the order in which they are listed
  namespace INTEGER NOT NULL,
  owner     TEXT NOT NULL,
  name      TEXT NOT NULL,
  value     TEXT NOT NULL,
  key       TEXT NOT NULL,                         -- state.key
  PRIMARY KEY (namespace, owner, name, value, key)
) WITHOUT ROWID;
