"""What every engine does with a commit: versions, units, ids, keys."""

from __future__ import annotations

import re

import pytest

from appliance.errors import Duplicate, KeyReused, NotFound, VersionConflict
from appliance.model.event import Draft, Event, Unit
from appliance.storage.ports import KEY_LIFETIME_US
from tests.rooms.storage.store import HOUR, NOON, Store, fresh_ids


class Writing:
    """Needs a `store` fixture."""

    # -- writing

    def test_first_event_has_position_0_and_global_position_1(self, store: Store) -> None:
        event = store.put("account-1", "Opened", '{"a":1}', metadata='{"b":2}')

        assert event == Event(store.key, "account-1", "Opened", 0, 1, event.id, '{"a":1}', '{"b":2}', NOON)
        assert store.events() == [event]

    def test_positions_are_gapless_per_stream_and_global_positions_per_namespace(self, store: Store) -> None:
        other = Store(store.engine, "other")

        for number in range(6):
            store.put(f"account-{number % 2}")
            other.put("account-0")

        assert [(e.stream, e.position, e.global_position) for e in store.events()] == [
            ("account-0", 0, 1),
            ("account-1", 0, 2),
            ("account-0", 1, 3),
            ("account-1", 1, 4),
            ("account-0", 2, 5),
            ("account-1", 2, 6),
        ]
        assert [(e.position, e.global_position) for e in other.events()] == [(n, n + 1) for n in range(6)]

    def test_stream_that_exists_refuses_expected_version_minus_1(self, store: Store) -> None:
        store.put("account-1", expected_version=-1)

        with pytest.raises(VersionConflict) as refused:
            store.put("account-1", expected_version=-1)

        assert refused.value.facts == {"stream": "account-1", "expected": -1, "actual": 0}

    def test_absent_stream_refuses_every_expected_version_but_minus_1(self, store: Store) -> None:
        with pytest.raises(VersionConflict) as refused:
            store.put("account-1", expected_version=0)

        assert refused.value.facts == {"stream": "account-1", "expected": 0, "actual": -1}
        assert store.put("account-1", expected_version=-1).position == 0

    def test_right_version_is_written_and_a_stale_or_future_one_is_not(self, store: Store) -> None:
        store.put("account-1")
        store.put("account-1")

        for wrong in (-1, 0, 2):
            with pytest.raises(VersionConflict):
                store.put("account-1", expected_version=wrong)

        assert store.put("account-1", expected_version=1).position == 2

    def test_unit_is_written_whole_or_not_at_all(self, store: Store) -> None:
        store.put("account-1")

        with pytest.raises(VersionConflict):
            store.write(Draft("account-2", "A", "{}"), Draft("account-1", "B", "{}", expected_version=7))

        assert [event.stream for event in store.events()] == ["account-1"]
        assert store.reader.head(store.key, "account-2") is None

    def test_unit_that_conflicts_fails_alone_and_uses_up_no_position(self, store: Store) -> None:
        good, bad, late = (
            store.unit(Draft("account-1", "A", "{}", expected_version=-1)),
            store.unit(Draft("account-9", "B", "{}"), Draft("account-1", "B", "{}", expected_version=-1)),
            store.unit(Draft("account-1", "C", "{}", expected_version=0)),
        )

        first, refused, last = store.commit(good, bad, late)

        assert isinstance(refused, VersionConflict)
        assert [(e.position, e.global_position) for e in (*first, *last)] == [(0, 1), (1, 2)]
        assert [event.type for event in store.events()] == ["A", "C"]

    def test_drafts_of_one_unit_chain_their_expected_versions(self, store: Store) -> None:
        store.write(
            Draft("account-1", "A", "{}", expected_version=-1),
            Draft("account-2", "B", "{}", expected_version=-1),
            Draft("account-1", "C", "{}", expected_version=0),
            Draft("account-1", "D", "{}"),
        )

        with pytest.raises(VersionConflict) as refused:
            store.write(
                Draft("account-1", "E", "{}", expected_version=2), Draft("account-1", "F", "{}", expected_version=2)
            )

        assert refused.value.facts == {"stream": "account-1", "expected": 2, "actual": 3}
        assert [(e.type, e.position) for e in store.events("account-1")] == [("A", 0), ("C", 1), ("D", 2)]

    def test_one_batch_serves_many_namespaces(self, store: Store) -> None:
        other = Store(store.engine, "other")

        mine, theirs = store.commit(
            store.unit(Draft("a-1", "A", "{}")), other.unit(Draft("a-1", "B", "{}", expected_version=-1))
        )

        assert [event.global_position for event in (*mine, *theirs)] == [1, 1]
        assert [event.type for event in other.events()] == ["B"]

    def test_unit_for_a_missing_namespace_fails_alone(self, store: Store) -> None:
        lost, kept = store.commit(Unit(999, (Draft("a-1", "A", "{}"),)), store.unit(Draft("a-1", "B", "{}")))

        assert isinstance(lost, NotFound)
        assert [event.type for event in kept] == ["B"]

    def test_batch_of_nothing_writes_nothing(self, store: Store) -> None:
        assert store.commit() == ()
        assert store.reader.newest(store.key) == 0

    # -- ids

    def test_given_id_is_kept_and_missing_ones_are_made(self, store: Store) -> None:
        mine = "01234567-89ab-4def-8123-456789abcdef"

        given, made = store.write(Draft("a-1", "A", "{}", id=mine), Draft("a-1", "B", "{}"))

        assert given.id == mine
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made.id)
        assert store.reader.find(store.key, mine) == given
        assert store.reader.find(store.key, "01234567-89ab-4def-8123-000000000000") is None

    def test_id_is_unique_in_its_namespace_and_free_in_another(self, store: Store) -> None:
        other, taken = Store(store.engine, "other"), next(fresh_ids(7))
        store.put("a-1", id=taken)

        with pytest.raises(Duplicate) as refused:
            store.put("b-1", id=taken)
        elsewhere = other.put("a-1", id=taken)

        assert refused.value.facts["id"] == taken
        assert store.reader.find(other.key, taken) == elsewhere
        assert store.places() == [1]

    def test_one_id_twice_in_a_unit_or_batch_is_a_duplicate(self, store: Store) -> None:
        one, two = (next(fresh_ids(seed)) for seed in (1, 2))

        inside, first, second = store.commit(
            store.unit(Draft("a-1", "A", "{}", id=one), Draft("a-2", "A", "{}", id=one)),
            store.unit(Draft("a-1", "B", "{}", id=two)),
            store.unit(Draft("a-2", "C", "{}", id=two)),
        )

        assert [type(outcome) for outcome in (inside, first, second)] == [Duplicate, tuple, Duplicate]
        assert [event.type for event in store.events()] == ["B"]

    # -- idempotency keys

    def test_key_with_the_same_fingerprint_gets_the_first_events_again(self, store: Store) -> None:
        drafts = (Draft("a-1", "A", "{}", expected_version=-1), Draft("a-2", "B", "{}"))
        first = store.write(*drafts, key="k", fingerprint=b"1")
        store.now += HOUR

        committed = store.engine.commit(
            [store.unit(*drafts, key="k", fingerprint=b"1")], now_us=store.now, new_ids=store.ids
        )

        assert (committed.outcomes, committed.fresh) == ((first,), ())
        assert store.places() == [1, 2]

    def test_key_repeated_within_one_batch_writes_once(self, store: Store) -> None:
        unit = store.unit(Draft("a-1", "A", "{}"), key="k", fingerprint=b"1")

        first, second, other = store.commit(unit, unit, store.unit(Draft("a-1", "B", "{}"), key="k", fingerprint=b"2"))

        assert first == second
        assert isinstance(other, KeyReused)
        assert store.places() == [1]

    def test_key_with_another_fingerprint_is_refused(self, store: Store) -> None:
        store.write(Draft("a-1", "A", "{}"), key="k", fingerprint=b"1")

        with pytest.raises(KeyReused):
            store.write(Draft("a-1", "B", "{}"), key="k", fingerprint=b"2")

        assert store.places() == [1]

    def test_key_of_a_refused_unit_stays_free(self, store: Store) -> None:
        with pytest.raises(VersionConflict):
            store.write(Draft("a-1", "A", "{}", expected_version=5), key="k", fingerprint=b"1")

        written = store.write(Draft("a-1", "B", "{}"), key="k", fingerprint=b"2")

        assert [event.type for event in written] == ["B"]

    def test_key_is_forgotten_after_24_hours(self, store: Store) -> None:
        store.write(Draft("a-1", "A", "{}"), key="k", fingerprint=b"1")

        store.now += KEY_LIFETIME_US - 1
        with pytest.raises(KeyReused):
            store.write(Draft("a-1", "B", "{}"), key="k", fingerprint=b"2")
        store.now += 1
        written = store.write(Draft("a-1", "C", "{}"), key="k", fingerprint=b"2")

        assert [event.position for event in written] == [1]

    def test_keys_past_their_time_are_dropped_and_counted(self, store: Store) -> None:
        store.write(Draft("a-1", "A", "{}"), key="old", fingerprint=b"1")
        store.now += HOUR
        store.write(Draft("a-1", "B", "{}"), key="young", fingerprint=b"1")
        store.now += KEY_LIFETIME_US - HOUR

        assert [store.engine.forget_receipts(store.now) for _ in range(2)] == [1, 0]
        with pytest.raises(KeyReused):
            store.write(Draft("a-1", "C", "{}"), key="young", fingerprint=b"2")

    def test_key_belongs_to_its_namespace(self, store: Store) -> None:
        other = Store(store.engine, "other")
        store.write(Draft("a-1", "A", "{}"), key="k", fingerprint=b"1")

        written = other.write(Draft("a-1", "B", "{}"), key="k", fingerprint=b"2")

        assert [event.type for event in written] == ["B"]
