"""The contract of `storage.ports` in code: every engine must pass it, unchanged.

Subclass `EngineConformance` and give it an `engine` fixture. What an engine keeps over a restart is asked
by `PersistentConformance`, which needs `reopen` beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.storage.ports import Engine
from tests.rooms.storage.contract_finding import Finding
from tests.rooms.storage.contract_keeping import Keeping
from tests.rooms.storage.contract_reading import Reading
from tests.rooms.storage.contract_restart import Restarting
from tests.rooms.storage.contract_state import Remembering
from tests.rooms.storage.contract_units import Together
from tests.rooms.storage.contract_writing import Writing
from tests.rooms.storage.store import Store

__all__ = ["EngineConformance", "PersistentConformance"]


class EngineConformance(Writing, Reading, Keeping, Remembering, Finding, Together):
    """What every engine does."""

    @pytest.fixture
    def engine(self) -> Engine:
        raise NotImplementedError("a conformance class brings its engine")

    @pytest.fixture
    def store(self, engine: Engine) -> Store:
        return Store(engine)


class PersistentConformance(EngineConformance, Restarting):
    """And what an engine on disk does besides."""

    @pytest.fixture
    def reopen(self) -> Callable[[Engine], Engine]:
        raise NotImplementedError("a conformance class brings its way to restart")
