"""What every engine answers: queries, ready pages, heads and counts."""

from __future__ import annotations

import json

import pytest

from appliance.clock import stamp
from appliance.model.event import Group, Head, Page, Query
from appliance.storage.ports import NamespaceStats
from tests.rooms.storage.store import HOUR, NOON, STRANGE_NAMES, Store, imported


class Reading:
    """Needs a `store` fixture."""

    # -- queries

    @pytest.fixture
    def filled(self, store: Store) -> Store:
        """Places 1-8: account-1, order-1, account-2, order-1, account-1, account, order-2, account-1."""
        for stream in ("account-1", "order-1", "account-2", "order-1", "account-1", "account", "order-2", "account-1"):
            store.put(stream)
        return store

    def test_everything_is_read_in_log_order(self, filled: Store) -> None:
        assert filled.places() == [1, 2, 3, 4, 5, 6, 7, 8]

    def test_stream_is_read_from_a_position_inclusive(self, filled: Store) -> None:
        wanted = {position: filled.positions("account-1", position=position) for position in (-5, 0, 1, 2, 3)}

        assert wanted == {-5: [0, 1, 2], 0: [0, 1, 2], 1: [1, 2], 2: [2], 3: []}

    def test_stream_is_read_from_and_through_a_global_position_inclusive(self, filled: Store) -> None:
        assert filled.places("account-1", global_position=5) == [5, 8]
        assert filled.places("account-1", global_position=2, through=7) == [5]
        assert filled.places("account-1", global_position=2, through=1) == []

    def test_category_holds_its_streams_and_the_one_without_a_dash(self, filled: Store) -> None:
        assert filled.places(categories=("account",)) == [1, 3, 5, 6, 8]
        assert filled.places(categories=("order",), global_position=4) == [4, 7]
        assert filled.places(categories=("account",), global_position=3, through=5) == [3, 5]

    def test_several_categories_are_read_in_one_log_order(self, filled: Store) -> None:
        assert filled.places(categories=("order", "account", "nothing"), through=4) == [1, 2, 3, 4]

    def test_category_with_a_dash_or_unknown_matches_nothing(self, filled: Store) -> None:
        assert filled.places(categories=("account-1",)) == []
        assert filled.places(categories=("Account",)) == []
        assert filled.places("nothing-1") == []

    def test_limit_counts_and_0_means_none(self, filled: Store) -> None:
        counts = {limit: filled.places(limit=limit) for limit in (0, 1, 3, 100)}

        assert counts == {0: [], 1: [1], 3: [1, 2, 3], 100: [1, 2, 3, 4, 5, 6, 7, 8]}
        assert filled.positions("account-1", limit=2) == [0, 1]
        assert filled.places("account-1", limit=0) == []

    def test_correlation_is_the_category_of_the_named_stream(self, store: Store) -> None:
        for metadata in (
            '{"correlationStreamName":"flow-1"}',
            '{"correlationStreamName":"flow"}',
            '{"correlationStreamName":"flower-1"}',
            '{"correlationStreamName":7}',
            '{"x":{"correlationStreamName":"flow-1"}}',
            None,
            '{"correlationStreamName":"FLOW-1"}',
        ):
            store.put("a-1", metadata=metadata)
        store.put("b-1", metadata='{"correlationStreamName":"flow-9"}')

        assert store.places(categories=("a",), correlation="flow") == [1, 2]
        assert store.places(categories=("a",), correlation="flow", limit=1, global_position=2) == [2]
        assert store.places(correlation="flow") == [1, 2, 8]
        assert store.places(categories=("a",), correlation="flow-1") == []

    def test_consumer_groups_follow_message_db(self, store: Store) -> None:
        owners = {
            "1": (0, 0, 2),
            "2": (1, 1, 1),
            "3": (0, 2, 2),
            "123": (1, 1, 3),
            "456": (1, 1, 3),
            "abc": (0, 2, 0),
            "ünï": (1, 0, 3),
            "": (0, 2, 0),
        }
        for cardinal in owners:
            store.put(f"a-{cardinal}")

        got = {
            cardinal: tuple(
                member
                for size in (2, 3, 4)
                for member in range(size)
                if f"a-{cardinal}" in [e.stream for e in store.events(categories=("a",), group=Group(member, size))]
            )
            for cardinal in owners
        }

        assert got == owners

    def test_streams_of_one_cardinal_id_have_one_owner_and_those_without_id_none(self, store: Store) -> None:
        for stream in ("a-123", "a-123+x", "a-123+y", "a"):
            store.put(stream)

        shares = [store.places(categories=("a",), group=Group(member, 2)) for member in (0, 1)]

        assert shares == [[], [1, 2, 3]]
        assert store.places(categories=("a",), group=Group(0, 1)) == [1, 2, 3]

    def test_limit_counts_after_the_filters(self, store: Store) -> None:
        for number in range(20):
            store.put(f"a-{number}", metadata='{"correlationStreamName":"c-1"}' if number % 3 else None)

        group, every = Group(1, 2), store.places(categories=("a",), correlation="c", group=Group(1, 2))

        assert len(every) > 3
        assert store.places(categories=("a",), correlation="c", group=group, limit=3) == every[:3]

    def test_namespace_that_is_missing_reads_as_empty(self, store: Store) -> None:
        reader = store.reader

        assert reader.events(Query(999)) == []
        assert reader.page(Query(999)) == Page("", 0)
        assert (reader.newest(999), reader.oldest(999)) == (0, 1)
        assert reader.stats(999) == NamespaceStats(0, 0, None)
        assert (reader.head(999, "a-1"), reader.heads(999), reader.categories(999)) == (None, [], [])

    # -- pages

    def test_page_of_a_stream_is_ready_json(self, store: Store) -> None:
        first = store.put("a-1", "Tüpe", '{"big":12345678901234567890,"one":1.0,"z":1,"a":2}', metadata='{"m":"ö"}')
        second = store.put("a-1", "B", "{}")

        page = store.page("a-1")

        assert page.text == (
            f'["{first.id}","Tüpe",0,1,{{"big":12345678901234567890,"one":1.0,"z":1,"a":2}},{{"m":"ö"}},"{stamp(NOON)}"],'
            f'["{second.id}","B",1,2,{{}},null,"{stamp(NOON)}"]'
        )
        assert (page.count, page.position, page.global_position, page.cut) == (2, 1, 2, False)

    def test_page_of_a_category_names_the_stream(self, store: Store) -> None:
        event = store.put('a-"1"', "B", '{"x":[1,2]}')

        expected = f'["{event.id}","a-\\"1\\"","B",0,1,{{"x":[1,2]}},null,"{stamp(NOON)}"]'

        assert store.page(categories=("a",)).text == expected
        assert store.page().text == expected

    def test_page_and_events_agree_whatever_the_names_and_times(self, store: Store) -> None:
        for number, name in enumerate(STRANGE_NAMES):
            store.now = number * 86_400_000_001 - 5_000_000
            store.put(name, type=name, data=json.dumps({"name": name}, ensure_ascii=False))

        elements = json.loads(f"[{store.page().text}]")

        assert elements == [
            [e.id, e.stream, e.type, e.position, e.global_position, {"name": e.stream}, None, stamp(e.time)]
            for e in store.events()
        ]
        assert [element[1] for element in elements] == list(STRANGE_NAMES)

    def test_page_reaches_as_far_as_its_limit(self, filled: Store) -> None:
        page = filled.page(categories=("account",), limit=3)

        assert (page.count, page.global_position) == (3, 5)
        assert filled.page(categories=("account",), global_position=6, limit=3).global_position == 8

    def test_page_of_nothing_is_empty(self, filled: Store) -> None:
        assert filled.page("nothing-1") == Page("", 0)
        assert filled.page(limit=0) == Page("", 0)

    # -- last, heads, counts

    def test_last_is_the_newest_of_the_stream_or_of_its_type(self, store: Store) -> None:
        for type in ("A", "B", "A", "C"):
            store.put("a-1", type)

        last = {type: store.reader.last(store.key, "a-1", type) for type in ("", "A", "B", "D")}

        assert {type: event and event.position for type, event in last.items()} == {"": 3, "A": 2, "B": 1, "D": None}
        assert store.reader.last(store.key, "a-2") is None

    def test_head_tells_version_count_and_time(self, store: Store) -> None:
        store.put("a-1")
        store.now += HOUR
        store.put("a-1")

        assert store.reader.head(store.key, "a-1") == Head("a-1", version=1, time=NOON + HOUR)
        assert store.reader.head(store.key, "a-2") is None

    def test_heads_come_in_byte_order(self, store: Store) -> None:
        names = ["b-1", "B-1", "a", "a-1", "é-1", "z-1", "_-1", "🧪-1", "\uffee-1", "a\x7f"]
        for name in names:
            store.put(name)

        assert [head.stream for head in store.reader.heads(store.key)] == sorted(names, key=str.encode)

    def test_prefix_is_literal_and_case_sensitive(self, store: Store) -> None:
        for name in ("a_1", "ab1", "a%1", "A_1", "a_", "ü-1", "u-1"):
            store.put(name)

        found = {
            prefix: [head.stream for head in store.reader.heads(store.key, prefix=prefix)]
            for prefix in ("a_", "a%", "A", "ü", "nothing")
        }

        assert found == {"a_": ["a_", "a_1"], "a%": ["a%1"], "A": ["A_1"], "ü": ["ü-1"], "nothing": []}

    def test_heads_are_paged_by_the_last_name_seen(self, store: Store) -> None:
        for number in range(25):
            store.put(f"a-{number:02}")
        store.put("b-1")

        pages, after = [], ""
        while found := store.reader.heads(store.key, prefix="a-", after=after, limit=10):
            pages.append(len(found))
            after = found[-1].stream

        assert (pages, after) == ([10, 10, 5], "a-24")
        assert [head.stream for head in store.reader.heads(store.key, after="a-23x", limit=2)] == ["a-24", "b-1"]

    def test_categories_count_streams_and_messages(self, filled: Store) -> None:
        assert filled.reader.categories(filled.key) == [("account", 3, 5), ("order", 2, 3)]

    def test_stats_are_true_counts(self, filled: Store) -> None:
        other = Store(filled.engine, "other")

        assert filled.reader.stats(filled.key) == NamespaceStats(messages=8, streams=5, last=NOON)
        assert other.reader.stats(other.key) == NamespaceStats(messages=0, streams=0, last=None)

    def test_newest_and_oldest_of_an_untouched_log(self, filled: Store) -> None:
        assert filled.reader.newest(filled.key) == 8
        assert (filled.reader.oldest(filled.key), filled.reader.oldest(filled.key, "account")) == (1, 1)

    def test_newest_of_categories_is_the_last_event_in_any_of_them(self, filled: Store) -> None:
        asked = {("account",): 8, ("order",): 7, ("order", "account"): 8, ("nothing",): 0, ("nothing", "order"): 7}

        found = {categories: filled.reader.newest(filled.key, categories) for categories in asked}

        assert found == asked

    def test_any_name_is_kept_letter_for_letter(self, store: Store) -> None:
        for name in STRANGE_NAMES:
            store.put(name, type=name)

        assert [event.type for name in STRANGE_NAMES for event in store.events(name)] == list(STRANGE_NAMES)
        assert {head.stream for head in store.reader.heads(store.key)} == set(STRANGE_NAMES)

    def test_reader_that_is_open_sees_later_commits(self, store: Store) -> None:
        reader = store.reader
        before = reader.events(Query(store.key))

        event = store.put("a-1")

        assert (before, reader.events(Query(store.key))) == ([], [event])

    def test_position_at_a_time_is_the_first_event_then_or_later(self, store: Store) -> None:
        for minute in (0, 1, 1, 5):
            store.now = NOON + minute * HOUR // 60
            store.put("a-1")
        store.take(imported(20, "a-1", 9, time=NOON + HOUR))

        found = [store.reader.position_at(store.key, NOON + minute * HOUR // 60) for minute in (-1, 0, 1, 2, 6, 61)]

        assert found == [1, 1, 2, 4, 20, 21]
        assert store.reader.position_at(999, NOON) == 1
