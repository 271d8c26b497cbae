"""The log in one SQLite file: WAL, `synchronous=FULL`, one writing connection, many `query_only` readers."""

from appliance.storage.sqlite.engine import SqliteEngine
from appliance.storage.sqlite.proof import prove, tally

__all__ = ["SqliteEngine", "prove", "tally"]
