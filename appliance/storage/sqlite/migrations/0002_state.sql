-- Small values that rooms and plugins keep beside the log, for instance who may sign in.

CREATE TABLE state (
  namespace INTEGER NOT NULL,
  owner     TEXT NOT NULL,                         -- the room or plugin whose it is
  key       TEXT NOT NULL,
  value     TEXT NOT NULL,                         -- JSON
  version   INTEGER NOT NULL,                      -- the ledger's batch that wrote it: it rises, and never returns
  PRIMARY KEY (namespace, owner, key)
) WITHOUT ROWID;
