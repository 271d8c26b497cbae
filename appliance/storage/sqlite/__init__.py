"""The log in one SQLite file: WAL, `synchronous=FULL`, one writing connection, many `query_only` readers."""

from appliance.storage.sqlite.engine import SqliteEngine

__all__ = ["SqliteEngine"]
