"""What every engine does with a unit that has events and changes of state: all of it, or nothing."""

from __future__ import annotations

import pytest

from appliance.errors import Conflict, Duplicate, KeyReused, NotFound, VersionConflict
from appliance.model.event import Draft, Unit
from appliance.model.state import StateChange
from appliance.storage.ports import Engine
from tests.rooms.storage.store import Store, fresh_ids

NOTED = Draft("note-1", "Noted", "{}")


class Together:
    """Needs `engine` and `store` fixtures."""

    def test_events_and_changes_of_a_unit_are_there_together(self, store: Store) -> None:
        (event,) = store.write(NOTED, changes=(store.value("a", '{"n":1}'), store.value("b", "2")))

        assert store.events() == [event]
        assert {key: value for key, (value, _) in store.remembered().items()} == {"a": '{"n":1}', "b": "2"}

    def test_unit_of_changes_alone_is_a_unit(self, store: Store) -> None:
        committed = store.engine.commit(
            [store.unit(changes=(store.value("a", "1"),))], now_us=store.now, new_ids=store.ids
        )
        store.engine.seal(committed.mark)

        assert (committed.outcomes, committed.fresh, store.events()) == (((),), (), [])
        assert store.found() == ["a"]
        assert store.put("note-1").global_position == 1

    @pytest.mark.parametrize(
        ("draft", "refusal"),
        [
            (Draft("note-1", "Noted", "{}", expected_version=7), VersionConflict),
            (Draft("note-1", "Noted", "{}", id=next(fresh_ids(5))), Duplicate),
        ],
    )
    def test_unit_whose_event_is_refused_changes_nothing(
        self, store: Store, draft: Draft, refusal: type[Exception]
    ) -> None:
        store.put("other-1", id=next(fresh_ids(5)))
        store.remember("a", "1")
        before = store.remembered()

        with pytest.raises(refusal):
            store.write(draft, changes=(store.value("a", "2"), store.value("b", "2", ("tag", "x"))))

        assert (store.remembered(), store.found(("tag", "x")), store.places()) == (before, [], [1])

    def test_unit_whose_change_or_check_is_refused_writes_nothing_and_its_neighbours_go_on(self, store: Store) -> None:
        version = store.remember("a", "1")

        first, stale, checked, last = store.commit(
            store.unit(NOTED),
            store.unit(NOTED, Draft("new-1", "Noted", "{}"), changes=(store.value("a", "2", expected=version + 1),)),
            store.unit(NOTED, changes=(store.value("b", "2"),), checks=(store.check("a", version - 1),)),
            store.unit(NOTED, changes=(store.value("c", "3"),), checks=(store.check("a", version),)),
        )

        assert [type(outcome) for outcome in (first, stale, checked, last)] == [tuple, Conflict, Conflict, tuple]
        assert [event.global_position for event in (*first, *last)] == [1, 2]
        assert checked.facts == {"owner": "notes", "key": "a", "expected": version - 1, "actual": version}
        assert store.found() == ["a", "c"]
        assert store.reader.head(store.key, "new-1") is None

    def test_check_of_what_is_not_there_holds_until_it_is(self, store: Store) -> None:
        unit = store.unit(changes=(store.value("a", "1"),), checks=(store.check("a", 0),))

        once, twice = store.commit(unit, unit)
        (later,) = store.commit(unit)

        assert [type(outcome) for outcome in (once, twice, later)] == [tuple, Conflict, Conflict]

    def test_checks_are_of_the_values_before_the_changes_of_their_own_unit(self, store: Store) -> None:
        version = store.remember("a", "1")

        store.write(
            checks=(store.check("a", version), store.check("b", 0)),
            changes=(store.value("a", "2"), store.value("b", "2")),
        )

        assert {key: value for key, (value, _) in store.remembered().items()} == {"a": "2", "b": "2"}

    def test_unit_sees_what_the_units_before_it_in_the_batch_have_changed(self, store: Store) -> None:
        version = store.remember("a", "1")

        outcomes = store.commit(
            store.unit(changes=(store.value("a", "2", expected=version),)),
            store.unit(changes=(store.value("a", "3", expected=version),)),  # what two readers do at once
            store.unit(changes=(store.value("a", None),)),
            store.unit(changes=(store.value("a", "4", expected=0), store.value("b", "1", expected=0))),
            store.unit(changes=(store.value("b", "2", expected=0),)),
        )

        assert [isinstance(outcome, Conflict) for outcome in outcomes] == [False, True, False, False, True]
        assert {key: value for key, (value, _) in store.remembered().items()} == {"a": "4", "b": "1"}

    def test_refused_unit_is_not_seen_by_the_next_one(self, store: Store) -> None:
        refused, written = store.commit(
            store.unit(changes=(store.value("a", "1"), store.value("b", "1", expected=7))),
            store.unit(changes=(store.value("a", "2", expected=0),), checks=(store.check("b", 0),)),
        )

        assert (type(refused), type(written)) == (Conflict, tuple)
        assert {key: value for key, (value, _) in store.remembered().items()} == {"a": "2"}

    def test_one_value_changed_twice_in_a_unit_is_what_it_was_changed_to_last(self, store: Store) -> None:
        store.remember("kept", "0")
        store.write(
            changes=(
                store.value("kept", None),
                store.value("kept", "1", ("tag", "x"), expected=0),
                store.value("fleeting", "1", ("tag", "x")),
                store.value("fleeting", None),
            )
        )

        assert {key: value for key, (value, _) in store.remembered().items()} == {"kept": "1"}
        assert store.found(("tag", "x")) == ["kept"]

    def test_versions_rise_with_each_commit_whoever_makes_it(self, store: Store) -> None:
        versions = []
        for number in range(3):
            store.write(NOTED, changes=(store.value("a", str(number)),))
            versions.append(store.remembered()["a"][1])
            versions.append(store.remember("a", "again"))

        assert versions == sorted(set(versions))

    def test_repeated_key_answers_with_the_first_events_and_changes_nothing(self, store: Store) -> None:
        first = store.write(NOTED, key="k", fingerprint=b"1", changes=(store.value("a", "1"),))
        store.remember("a", "2")
        before = store.remembered()
        unit = store.unit(NOTED, key="k", fingerprint=b"1", changes=(store.value("a", "1"),), checks=())

        outcomes = store.commit(unit, unit)

        assert (outcomes, store.remembered()) == ((first, first), before)

    @pytest.mark.parametrize("changed", [True, False])
    def test_key_of_a_unit_without_events_is_remembered(self, store: Store, changed: bool) -> None:
        changes = (store.value("a", "1"),) if changed else ()
        store.write(key="k", fingerprint=b"1", changes=changes)
        store.remember("a", "2")

        again = store.write(key="k", fingerprint=b"1", changes=changes)
        with pytest.raises(KeyReused):
            store.write(NOTED, key="k", fingerprint=b"2")

        assert (again, store.events()) == ((), [])
        assert [value for value, _ in store.remembered().values()] == ["2"]

    def test_key_of_a_unit_whose_check_failed_stays_free(self, store: Store) -> None:
        with pytest.raises(Conflict):
            store.write(NOTED, key="k", fingerprint=b"1", checks=(store.check("a", 3),))

        assert len(store.write(NOTED, key="k", fingerprint=b"2", checks=(store.check("a", 0),))) == 1

    def test_unit_for_a_missing_namespace_changes_nothing_anywhere(self, store: Store) -> None:
        here, there = store.commit(
            Unit(store.key, (NOTED,), changes=(store.value("a", "1"), StateChange(999, "notes", "a", "1"))),
            Unit(999, (), changes=(store.value("b", "1"),)),
        )

        assert (type(here), type(there)) == (NotFound, NotFound)
        assert (store.remembered(), store.events()) == ({}, [])

    def test_changes_that_are_all_refused_are_no_commit(self, engine: Engine, store: Store) -> None:
        committed = engine.commit(
            [store.unit(NOTED, checks=(store.check("a", 3),))], now_us=store.now, new_ids=store.ids
        )

        assert (committed.fresh, committed.mark) == ((), None)

    def test_many_changes_of_one_unit_are_all_made(self, store: Store) -> None:
        keys = [f"{number:04}" for number in range(500)]
        store.write(changes=tuple(store.value(key, key, ("all", ""), ("last", key[-1])) for key in keys))
        found = store.found(("all", ""), limit=1000), store.found(("last", "7"), limit=1000)

        store.write(changes=tuple(store.value(key, None) for key in keys[::2]))

        assert found == (keys, keys[7::10])
        assert (store.found(limit=1000), store.count(("last", "7")), store.count(("last", "8"))) == (keys[1::2], 50, 0)
