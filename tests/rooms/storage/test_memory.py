"""The in-memory twin passes the suite."""

from __future__ import annotations

import pytest

from appliance.errors import Rejected
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import Engine
from tests.rooms.storage.conformance import EngineConformance


class TestMemoryEngine(EngineConformance):
    @pytest.fixture
    def engine(self) -> Engine:
        return MemoryEngine()


def test_log_in_memory_says_that_it_cannot_be_backed_up(tmp_path):
    with pytest.raises(Rejected):
        MemoryEngine().backup(tmp_path)
