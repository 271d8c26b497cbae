"""What every engine does with what it keeps: import, namespaces, tokens, retention."""

from __future__ import annotations

import pytest

from appliance.errors import Conflict, Duplicate, NotFound, VersionConflict
from appliance.model.event import Draft, Group, Head, Imported
from appliance.storage.ports import Engine, NamespaceStats
from tests.rooms.storage.store import HOUR, NOON, Store, fresh_ids, imported, token_row


class Keeping:
    """Needs `engine` and `store` fixtures."""

    # -- import

    def test_import_keeps_positions_ids_and_times(self, store: Store) -> None:
        records = [
            imported(10, "a-1", 3, time=5),
            imported(20, "a-1", 7, time=-1, metadata='{"m":1}'),
            imported(30, "a", 0),
        ]

        taken = store.take(*records)

        assert [(e.global_position, e.stream, e.position, e.id, e.time, e.metadata) for e in taken] == [
            (r.global_position, r.stream, r.position, r.id, r.time, r.metadata) for r in records
        ]
        assert store.events() == list(taken)

    def test_writes_go_on_behind_an_import(self, store: Store) -> None:
        store.take(imported(10, "a-1", 3), imported(20, "b-1", 0))

        event = store.put("a-1", expected_version=3)

        assert (event.position, event.global_position) == (4, 21)
        assert store.reader.head(store.key, "a-1") == Head("a-1", version=4, time=NOON)

    def test_times_of_an_import_may_fall_and_lie_before_1970(self, store: Store) -> None:
        store.take(imported(1, "a-1", 0, time=-20), imported(2, "a-1", 1, time=-10), imported(3, "a-1", 2, time=-30))

        assert store.reader.head(store.key, "a-1") == Head("a-1", version=2, time=-30)
        assert store.reader.stats(store.key).last == -10

    def test_import_may_come_in_any_order_and_fill_gaps(self, store: Store) -> None:
        store.take(imported(10, "a-1", 1), imported(4, "b-1", 0))

        store.take(imported(2, "a-1", 0), imported(12, "a-1", 2))
        event = store.put("a-1")

        assert store.places() == [2, 4, 10, 12, 13]
        assert (event.position, store.positions("a-1")) == (3, [0, 1, 2, 3])
        assert store.reader.stats(store.key).messages == 5

    @pytest.mark.parametrize(
        "clash",
        [imported(1, "z-1", 0), imported(9, "a-1", 0), imported(9, "z-1", 0, id=imported(1, "", 0).id)],
        ids=["global position", "stream position", "id"],
    )
    def test_import_that_meets_a_duplicate_leaves_nothing(self, store: Store, clash: Imported) -> None:
        store.take(imported(1, "a-1", 0))

        with pytest.raises(Duplicate):
            store.take(imported(5, "b-1", 0), imported(6, "a-1", 1), clash)

        assert store.places() == [1]
        assert store.reader.head(store.key, "b-1") is None
        assert store.reader.stats(store.key).messages == 1
        assert (store.put("a-1").position, store.reader.newest(store.key)) == (1, 2)

    def test_import_that_repeats_itself_leaves_nothing(self, store: Store) -> None:
        with pytest.raises(Duplicate):
            store.take(imported(1, "a-1", 0), imported(2, "a-1", 0))

        assert (store.places(), store.reader.newest(store.key)) == ([], 0)

    def test_import_into_one_namespace_leaves_another_alone(self, store: Store) -> None:
        other = Store(store.engine, "other")
        store.take(imported(1, "a-1", 0))

        other.take(imported(1, "a-1", 0))

        assert (store.places(), other.places()) == ([1], [1])

    def test_import_into_a_missing_namespace_is_not_found(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.engine.import_batch(999, [imported(1, "a-1", 0)])

    def test_imported_events_are_found_by_every_filter(self, store: Store) -> None:
        store.take(imported(3, "a-123", 0, metadata='{"correlationStreamName":"c-1"}'), imported(4, "a", 0))

        assert store.places(categories=("a",), correlation="c") == [3]
        assert store.places(categories=("a",), group=Group(1, 2)) == [3]
        assert store.reader.categories(store.key) == [("a", 2, 2)]

    def test_import_of_nothing_is_nothing(self, store: Store) -> None:
        assert store.take() == ()

    # -- namespaces and tokens

    def test_namespace_is_created_once_with_its_token(self, engine: Engine) -> None:
        made = engine.create_namespace("tenant", "about", token_row("t"), NOON)

        with pytest.raises(Duplicate):
            engine.create_namespace("tenant", "again", token_row("u"), NOON)

        assert engine.reader().namespaces() == [made]
        assert (made.id, made.description, made.created) == ("tenant", "about", NOON)
        assert [(row.id, row.namespace) for row in engine.reader().tokens()] == [("t", made.key)]

    def test_new_engine_has_no_namespace(self, engine: Engine) -> None:
        assert (engine.reader().namespaces(), engine.reader().tokens()) == ([], [])

    def test_namespaces_that_differ_in_punctuation_are_distinct(self, engine: Engine) -> None:
        keys = {
            engine.create_namespace(id, "", token_row(id), NOON).key for id in ("a-b", "a_b", "a.b", "A-b", "ä/../b")
        }

        assert len(keys) == 5

    def test_deleted_namespace_takes_everything_with_it_and_its_number_never_returns(self, store: Store) -> None:
        other = Store(store.engine, "other")
        other.write(Draft("a-1", "A", "{}"), key="k", fingerprint=b"1")
        other.put("a-1")
        store.put("a-1")

        removed = store.engine.delete_namespace(other.key)
        again = Store(store.engine, "other", seed=1)

        assert (removed, store.places()) == (2, [1])
        assert again.key not in (other.key, store.key)
        assert (again.places(), again.reader.newest(again.key)) == ([], 0)
        assert other.events() == []
        assert {row.namespace for row in store.reader.tokens()} == {store.key, again.key}

    def test_number_of_the_last_namespace_is_not_used_again_either(self, store: Store) -> None:
        last = Store(store.engine, "last")
        store.engine.delete_namespace(last.key)

        assert store.create("next").key > last.key

    def test_unit_for_a_deleted_namespace_is_not_found(self, store: Store) -> None:
        gone = Store(store.engine, "gone")
        store.engine.delete_namespace(gone.key)

        with pytest.raises(NotFound):
            gone.put("a-1")
        with pytest.raises(NotFound):
            store.engine.delete_namespace(gone.key)

    def test_cleared_namespace_starts_again_and_keeps_its_tokens(self, store: Store) -> None:
        taken = next(fresh_ids(7))
        store.write(Draft("a-1", "A", "{}", id=taken), key="k", fingerprint=b"1")
        store.put("a-1")

        removed = store.engine.clear_namespace(store.key)

        assert (removed, store.places(), store.reader.heads(store.key), store.reader.categories(store.key)) == (
            2,
            [],
            [],
            [],
        )
        assert store.reader.stats(store.key) == NamespaceStats(0, 0, None)
        again = store.write(Draft("a-1", "B", "{}", id=taken, expected_version=-1), key="k", fingerprint=b"2")
        assert [(e.position, e.global_position) for e in again] == [(0, 1)]
        assert len(store.reader.tokens()) == 1

    def test_clearing_a_missing_namespace_is_not_found(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.engine.clear_namespace(999)

    def test_token_is_inserted_and_replaced_by_its_id(self, store: Store) -> None:
        row = token_row(
            "phone", namespace=store.key, scopes=("read", "write"), name="Anna's phone", memories=("m", "n")
        )
        store.engine.put_token(row)
        revoked = token_row("phone", namespace=store.key, scopes=("read",), created=1, expires=2, revoked=3)

        before = [token for token in store.reader.tokens() if token.id == "phone"]
        store.engine.put_token(revoked)

        assert before == [row]
        assert [token for token in store.reader.tokens() if token.id == "phone"] == [revoked]

    # -- retention

    @pytest.fixture
    def aged(self, store: Store) -> Store:
        """One event an hour: old-1 at 1, 3, 5, 7, 9 and keep-1 at 2, 4, 6, 8, 10."""
        for hour in range(10):
            store.now = NOON + hour * HOUR
            store.put("keep-1" if hour % 2 else "old-1")
        return store

    def test_retention_goes_in_slices_and_leaves_other_categories_alone(self, aged: Store) -> None:
        cut = NOON + 6 * HOUR

        slices = [aged.engine.retain(aged.key, "old", cut, 2) for _ in range(3)]

        assert slices == [2, 1, 0]
        assert aged.places() == [2, 4, 6, 7, 8, 9, 10]

    def test_retention_never_lowers_a_version_or_a_position(self, aged: Store) -> None:
        aged.engine.retain(aged.key, "old", NOON + 100 * HOUR, 100)

        event = aged.put("old-1", expected_version=4)

        assert (event.position, event.global_position) == (5, 11)
        assert aged.positions("old-1") == [5]

    def test_retention_lowers_counts_and_raises_oldest(self, aged: Store) -> None:
        removed = aged.engine.retain(aged.key, "old", NOON + 4 * HOUR, 100)
        reader = aged.reader

        assert removed == 2
        assert reader.head(aged.key, "old-1") == Head("old-1", version=4, time=NOON + 8 * HOUR)
        assert reader.stats(aged.key) == NamespaceStats(messages=8, streams=2, last=NOON + 9 * HOUR)
        assert reader.categories(aged.key) == [("keep", 1, 5), ("old", 1, 3)]
        assert [reader.oldest(aged.key, category) for category in ("old", "keep", "nothing")] == [4, 1, 1]
        assert reader.oldest(aged.key) == 4

    def test_stream_that_retention_emptied_is_still_known(self, aged: Store) -> None:
        aged.engine.retain(aged.key, "old", NOON + 100 * HOUR, 100)
        reader = aged.reader

        assert reader.head(aged.key, "old-1") == Head("old-1", version=4, time=NOON + 8 * HOUR)
        assert reader.last(aged.key, "old-1") is None
        assert [head.stream for head in reader.heads(aged.key)] == ["keep-1", "old-1"]
        assert reader.categories(aged.key) == [("keep", 1, 5)]
        with pytest.raises(VersionConflict):
            aged.put("old-1", expected_version=-1)

    def test_retention_can_take_the_newest_event_and_positions_go_on(self, store: Store) -> None:
        store.put("old-1")
        store.engine.retain(store.key, "old", NOON + 1, 10)

        assert (store.reader.newest(store.key), store.places()) == (1, [])
        assert store.put("old-1").global_position == 2

    def test_id_of_a_removed_event_is_free_again(self, store: Store) -> None:
        taken = next(fresh_ids(7))
        store.put("old-1", id=taken)
        store.engine.retain(store.key, "old", NOON + 1, 10)

        assert store.reader.find(store.key, taken) is None
        assert store.put("old-1", id=taken).position == 1

    def test_key_whose_events_retention_removed_writes_nothing(self, store: Store) -> None:
        unit = (Draft("old-1", "A", "{}"), Draft("new-1", "B", "{}"))
        store.write(*unit, key="k", fingerprint=b"1")
        store.put("new-1")
        store.engine.retain(store.key, "old", NOON + 1, 10)

        with pytest.raises(Duplicate) as refused:
            store.write(*unit, key="k", fingerprint=b"1")

        assert (refused.value.facts["key"], store.places()) == ("k", [2, 3])

    def test_retention_of_an_unknown_category_removes_nothing(self, aged: Store) -> None:
        assert aged.engine.retain(aged.key, "nothing", NOON + 100 * HOUR, 100) == 0
        assert aged.engine.retain(aged.key, "old-1", NOON + 100 * HOUR, 100) == 0

    def test_refusals_are_conflicts_with_a_hint(self, store: Store) -> None:
        store.put("a-1")

        with pytest.raises(Conflict) as refused:
            store.put("a-1", expected_version=9)

        assert refused.value.hint
