"""The SQLite engine passes the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.storage.ports import Engine
from appliance.storage.sqlite import SqliteEngine
from tests.rooms.storage.conformance import PersistentConformance


class TestSqliteEngine(PersistentConformance):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[list[SqliteEngine]]:
        """The engine in use is the last one."""
        engines = [SqliteEngine.open(tmp_path)]
        yield engines
        engines[-1].close()

    @pytest.fixture
    def engine(self, opened: list[SqliteEngine]) -> Engine:
        return opened[-1]

    @pytest.fixture
    def reopen(self, opened: list[SqliteEngine], tmp_path: Path) -> Callable[[Engine], Engine]:
        def again(engine: Engine) -> Engine:
            engine.close()
            opened.append(SqliteEngine.open(tmp_path))
            return opened[-1]

        return again
