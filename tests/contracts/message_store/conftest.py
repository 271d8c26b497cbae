"""Servers for a black-box suite: one in test mode that tests share, one with real rules."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from appliance.auth.tokens import make_token
from tests.contracts.message_store.store import Store
from tests.served import Served, serving

_numbers = count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """In test mode: data is thrown away, namespaces are made on first use."""
    with serving(tmp_path_factory.mktemp("server"), test_mode=True) as server:
        yield server


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """As people run it: tokens count, data stays."""
    with serving(tmp_path_factory.mktemp("strict")) as server:
        yield server


@pytest.fixture
def store(server: Served) -> Store:
    """A namespace of its own for each test, so that tests share a server and nothing else."""
    return Store(server.url, make_token(f"test_{next(_numbers)}", bytes(32)))


@pytest.fixture
def owner(server: Served) -> Store:
    """Namespace `default`, whose token may make and end others."""
    return Store(server.url, server.token)
