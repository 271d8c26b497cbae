"""What an engine on disk keeps over a restart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.errors import KeyReused
from appliance.model.event import Draft
from appliance.storage.ports import Engine
from tests.rooms.storage.store import NOON, STRANGE_NAMES, Store, imported


class Restarting:
    """Needs `engine` and `reopen`, which closes an engine and opens it again."""

    def test_everything_is_there_after_a_restart(self, engine: Engine, reopen: Callable[[Engine], Engine]) -> None:
        store = Store(engine)
        written = [store.put(name, metadata='{"m":1}') for name in STRANGE_NAMES]
        heads, tokens = store.reader.heads(store.key), store.reader.tokens()

        again = Store(reopen(engine), seed=1)

        assert again.events() == written
        assert (again.reader.heads(again.key), again.reader.tokens()) == (heads, tokens)
        assert (again.engine.recovery.events, again.engine.recovery.lost) == (len(written), 0)
        assert again.put("Ω", expected_version=0).global_position == len(written) + 1

    def test_idempotency_key_survives_a_restart(self, engine: Engine, reopen: Callable[[Engine], Engine]) -> None:
        store = Store(engine)
        first = store.write(Draft("a-1", "A", "{}"), Draft("b-1", "B", "{}"), key="k", fingerprint=b"1")
        store.put("a-1")

        again = Store(reopen(engine), seed=1)

        assert again.write(Draft("a-1", "A", "{}"), Draft("b-1", "B", "{}"), key="k", fingerprint=b"1") == first
        with pytest.raises(KeyReused):
            again.write(Draft("a-1", "A", "{}"), key="k", fingerprint=b"2")

    def test_retention_and_emptied_streams_survive_a_restart(
        self, engine: Engine, reopen: Callable[[Engine], Engine]
    ) -> None:
        store = Store(engine)
        for _ in range(5):
            store.put("old-1")
        store.put("new-1")
        store.engine.retain(store.key, "old", NOON + 1, 3)
        store.engine.retain(store.key, "old", NOON + 1, 3)

        again = Store(reopen(engine), seed=1)

        assert (again.places(), again.reader.oldest(again.key), again.engine.recovery.lost) == ([6], 6, 0)
        assert again.put("old-1", expected_version=4).global_position == 7

    def test_numbers_of_deleted_namespaces_stay_used_after_a_restart(
        self, engine: Engine, reopen: Callable[[Engine], Engine]
    ) -> None:
        store = Store(engine)
        gone = store.create("gone")
        store.engine.delete_namespace(gone.key)

        again = Store(reopen(engine), seed=1)

        assert again.create("next").key > gone.key

    def test_cleared_namespace_and_import_survive_a_restart(
        self, engine: Engine, reopen: Callable[[Engine], Engine]
    ) -> None:
        store = Store(engine)
        store.put("a-1")
        store.engine.clear_namespace(store.key)
        store.take(imported(10, "a-1", 3), imported(5, "a-1", 1))

        again = Store(reopen(engine), seed=1)

        assert (again.positions("a-1"), again.engine.recovery.lost) == ([1, 3], 0)
        assert (again.put("a-1").position, again.reader.newest(again.key)) == (4, 11)

    def test_state_and_the_order_of_its_versions_survive_a_restart(
        self, engine: Engine, reopen: Callable[[Engine], Engine]
    ) -> None:
        store = Store(engine)
        store.remember("gone", "1")
        store.remember("a", '{"n":1}')
        highest = store.remember("gone", None)
        before = store.remembered()

        again = Store(reopen(engine), seed=1)

        assert again.remembered() == before
        assert again.remember("gone", "1", expected=0) > highest

    def test_values_and_what_they_are_found_by_survive_a_restart_and_change_on(
        self, engine: Engine, reopen: Callable[[Engine], Engine]
    ) -> None:
        store = Store(engine)
        store.write(
            Draft("a-1", "A", "{}"), changes=(store.value("a", "1", ("tag", "x")), store.value("b", "1", ("tag", "x")))
        )
        version = store.remembered()["a"][1]

        again = Store(reopen(engine), seed=1)
        found = again.found(("tag", "x"))
        again.write(
            checks=(again.check("b", version),), changes=(again.value("a", "2", ("tag", "y"), expected=version),)
        )

        assert (found, again.engine.recovery.lost) == (["a", "b"], 0)
        assert (again.found(("tag", "x")), again.found(("tag", "y"))) == (["b"], ["a"])

    def test_key_of_a_unit_of_changes_survives_a_restart(
        self, engine: Engine, reopen: Callable[[Engine], Engine]
    ) -> None:
        store = Store(engine)
        store.write(key="k", fingerprint=b"1", changes=(store.value("a", "1"),))
        store.remember("a", "2")

        again = Store(reopen(engine), seed=1)

        assert again.write(key="k", fingerprint=b"1", changes=(again.value("a", "1"),)) == ()
        assert [value for value, _ in again.remembered().values()] == ["2"]
