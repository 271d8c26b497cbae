"""What every engine does with the small values that rooms and plugins keep beside the log."""

from __future__ import annotations

import pytest

from appliance.errors import Conflict, NotFound
from appliance.model.state import StateChange
from appliance.storage.ports import Engine
from tests.rooms.storage.store import STRANGE_NAMES, Store


class Remembering:
    """Needs `engine` and `store` fixtures."""

    def test_a_value_is_kept_replaced_and_forgotten(self, store: Store) -> None:
        first = store.remember("a", '{"n":1}')
        second = store.remember("a", '{"n":2}')
        found = store.reader.state(store.key, "notes", "a")
        store.remember("a", None)

        assert found is not None
        assert (found.value, found.version, second > first) == ('{"n":2}', second, True)
        assert store.reader.state(store.key, "notes", "a") is None

    def test_values_of_other_owners_and_namespaces_are_not_ours(self, store: Store) -> None:
        other = Store(store.engine, "other")
        store.remember("a", "1")

        assert [
            list(store.remembered()),
            store.reader.state(store.key, "orders", "a"),
            other.reader.state(other.key, "notes", "a"),
            store.reader.states(store.key, "orders"),
            other.reader.states(other.key, "notes"),
            other.reader.count_states(other.key, "notes"),
        ] == [["a"], None, None, [], [], 0]

    def test_a_change_with_an_expected_version_meets_exactly_that(self, store: Store) -> None:
        first = store.remember("a", "1", expected=0)

        with pytest.raises(Conflict) as refused:
            store.remember("a", "2", expected=0)
        second = store.remember("a", "3", expected=first)
        with pytest.raises(Conflict):
            store.remember("a", None, expected=first)

        assert (refused.value.facts["expected"], refused.value.facts["actual"]) == (0, first)
        assert store.remembered() == {"a": ("3", second)}

    def test_a_version_never_returns(self, store: Store) -> None:
        first = store.remember("a", "1")
        store.remember("a", None)
        again = store.remember("a", "1", expected=0)

        assert again > first

    def test_changes_are_made_together_or_not_at_all_and_see_those_before_them(self, store: Store) -> None:
        old = store.remember("old", "1")
        with pytest.raises(Conflict):
            store.change(("new", "1", None), ("old", None, old), ("old", "2", old))

        version = store.change(("new", "1", 0), ("old", None, old), ("old", "2", 0))

        assert store.remembered() == {"new": ("1", version), "old": ("2", version)}

    def test_a_change_of_nothing_leaves_everything(self, store: Store) -> None:
        store.remember("a", "1")
        before = store.remembered()

        store.change()
        store.remember("not there", None)

        assert store.remembered() == before

    def test_values_are_listed_by_key_with_a_prefix_in_pages_and_counted(self, store: Store) -> None:
        keys = ["b/1", "a", "b/2", "b", "b/3", "c", "b%", "b_1"]
        store.change(*[(key, "0", None) for key in keys])
        reader = store.reader

        pages = [
            [row.key for row in reader.states(store.key, "notes", **asked)]
            for asked in ({}, {"prefix": "b/"}, {"prefix": "b/", "after": "b/1", "limit": 1}, {"limit": 2})
        ]

        assert pages == [sorted(keys), ["b/1", "b/2", "b/3"], ["b/2"], ["a", "b"]]
        assert [reader.count_states(store.key, "notes", prefix=prefix) for prefix in ("", "b/", "b%", "z")] == [
            8,
            3,
            1,
            0,
        ]

    def test_keys_are_any_text(self, store: Store) -> None:
        store.change(*[(name, f'"{number}"', None) for number, name in enumerate(STRANGE_NAMES)])

        assert {key: value for key, (value, _) in store.remembered().items()} == {
            name: f'"{number}"' for number, name in enumerate(STRANGE_NAMES)
        }

    def test_state_goes_with_its_namespace_and_outlives_its_events(self, store: Store) -> None:
        other = Store(store.engine, "other")
        for each in (store, other):
            each.put("a-1")
            each.remember("a", "1")

        store.engine.clear_namespace(store.key)
        store.engine.delete_namespace(other.key)

        assert list(store.remembered()) == ["a"]
        assert other.reader.count_states(other.key, "notes") == 0

    def test_state_of_a_missing_namespace_is_not_found(self, engine: Engine) -> None:
        with pytest.raises(NotFound):
            engine.change_state([StateChange(999, "notes", "a", "1")])
