"""How every engine finds and counts values by what their owner says of them."""

from __future__ import annotations

from appliance.model.state import StateChange
from tests.rooms.storage.store import STRANGE_NAMES, Store


class Finding:
    """Needs a `store` fixture."""

    def test_values_are_found_and_counted_by_what_they_are_filed_under(self, store: Store) -> None:
        store.write(
            changes=(
                store.value("1", "1", ("status", "failed"), ("tag", "x"), ("tag", "y")),
                store.value("2", "2", ("status", "done"), ("tag", "x")),
                store.value("3", "3", ("status", "failed")),
                store.value("4", "4"),
            )
        )

        found = [
            (store.found(*where), store.count(*where))
            for where in (
                [],
                [("status", "failed")],
                [("tag", "x")],
                [("tag", "x"), ("status", "failed")],
                [("tag", "x"), ("tag", "y")],
                [("tag", "z")],
                [("status", "x")],
                [("status", "done"), ("tag", "y")],
            )
        ]

        assert found == [
            (["1", "2", "3", "4"], 4),
            (["1", "3"], 2),
            (["1", "2"], 2),
            (["1"], 1),
            (["1"], 1),
            ([], 0),
            ([], 0),
            ([], 0),
        ]

    def test_index_is_replaced_with_its_value_and_goes_with_it(self, store: Store) -> None:
        store.write(changes=(store.value("a", "1", ("status", "pending"), ("type", "T")),))
        store.write(changes=(store.value("a", "2", ("status", "running"), ("type", "T")),))
        running = store.found(("status", "pending")), store.found(("status", "running"), ("type", "T"))
        store.write(changes=(store.value("a", "3"),))
        bare = store.found(("status", "running")), store.found(("type", "T")), store.found()
        store.write(changes=(store.value("a", "4", ("type", "T")),))
        store.remember("a", None)

        assert running == ([], ["a"])
        assert bare == ([], [], ["a"])
        assert (store.found(("type", "T")), store.count(("type", "T"))) == ([], 0)

    def test_pair_that_is_named_twice_counts_once(self, store: Store) -> None:
        store.write(changes=(store.value("a", "1", ("tag", "x"), ("tag", "x")),))

        assert (store.found(("tag", "x"), ("tag", "x")), store.count(("tag", "x"))) == (["a"], 1)

    def test_pages_go_forward_and_back_with_and_without_conditions(self, store: Store) -> None:
        keys = [f"k/{number:02}" for number in range(10)]
        store.write(
            changes=(
                *[store.value(key, "0", ("parity", str(number % 2)), ("all", "")) for number, key in enumerate(keys)],
                store.value("j", "0", ("all", "")),
                store.value("l", "0", ("all", "")),
            )
        )

        for where in ([], [("all", "")]):
            assert store.found(*where, prefix="k/", limit=3) == keys[:3]
            assert store.found(*where, prefix="k/", after=keys[2], limit=3) == keys[3:6]
            assert store.found(*where, prefix="k/", newest_first=True, limit=3) == keys[:6:-1]
            assert store.found(*where, prefix="k/", newest_first=True, after=keys[7], limit=3) == keys[6:3:-1]
            assert store.found(*where, prefix="k/", after="a") == keys
            assert store.found(*where, prefix="k/", after="z") == []
            assert store.found(*where, prefix="k/", newest_first=True, after="z") == keys[::-1]
            assert store.found(*where, prefix="k/", newest_first=True, after="a") == []
            assert store.found(*where, newest_first=True, limit=2) == ["l", keys[-1]]
            assert store.found(*where, limit=0) == []
            assert store.count(*where, prefix="k/") == 10
        assert store.found(("all", ""), ("parity", "1"), newest_first=True, limit=2) == [keys[9], keys[7]]
        assert store.count(("parity", "1"), ("all", ""), prefix="k/0") == 5

    def test_common_and_rare_conditions_hold_together_in_any_order(self, store: Store) -> None:
        changes = [
            store.value(f"{number:04}", "0", ("common", ""), ("rare", str(number % 150))) for number in range(600)
        ]
        store.write(changes=tuple(changes))

        for where in ([("common", ""), ("rare", "7")], [("rare", "7"), ("common", "")]):
            assert store.found(*where, newest_first=True) == ["0457", "0307", "0157", "0007"]
            assert store.count(*where) == 4

    def test_prefix_is_taken_letter_for_letter_up_to_the_last_one_there_is(self, store: Store) -> None:
        keys = ["a", "a%", "a_", "a\ud7ff", "a\ue000", "a\U0010ffff", "a\U0010ffffz", "b", "\U0010ffff", "\U0010ffffx"]
        store.write(changes=tuple(store.value(key, "0", ("all", "")) for key in keys))

        for where in ([], [("all", "")]):
            for prefix in ("", *keys, "a\ud7ffx"):
                wanted = sorted(key for key in keys if key.startswith(prefix))
                assert store.found(*where, prefix=prefix) == wanted
                assert store.found(*where, prefix=prefix, newest_first=True) == wanted[::-1]
                assert store.count(*where, prefix=prefix) == len(wanted)

    def test_names_and_values_are_any_text(self, store: Store) -> None:
        for name in STRANGE_NAMES:
            store.write(changes=(store.value(name, "0", (name, ""), ("is", name)),))

        for name in STRANGE_NAMES:
            assert store.found((name, "")) == store.found(("is", name)) == [name]

    def test_index_belongs_to_its_owner_and_namespace(self, store: Store) -> None:
        other = Store(store.engine, "other")
        pair = (("tag", "x"),)
        store.write(changes=(store.value("a", "1", *pair), StateChange(store.key, "orders", "b", "1", None, pair)))
        other.write(changes=(other.value("c", "1", *pair),))

        assert (store.found(*pair), other.found(*pair)) == (["a"], ["c"])
        assert store.reader.count_states(store.key, "orders", where=pair) == 1

    def test_index_goes_with_its_namespace_and_outlives_its_events(self, store: Store) -> None:
        other = Store(store.engine, "other")
        for each in (store, other):
            each.write(changes=(each.value("a", "1", ("tag", "x")),))

        store.engine.clear_namespace(store.key)
        store.engine.delete_namespace(other.key)

        assert store.found(("tag", "x")) == ["a"]
        assert (other.found(("tag", "x")), other.count(("tag", "x"))) == ([], 0)
