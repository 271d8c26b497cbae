"""Scenarios 2A: writing to streams and reading them."""

from __future__ import annotations

import re

import pytest

from tests.contracts.message_store.store import Failed, Store, message


def test_what_is_written_is_read_back(store: Store):
    """MDB003_2A_T1"""
    store.call("stream.write", "account-1", message("Opened", data={"amount": 5, "big": 2**60 + 1}))

    ((id, type, position, place, data, metadata, time),) = store.get("account-1")

    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id)
    assert (type, position, place, data, metadata) == ("Opened", 0, 1, {"amount": 5, "big": 2**60 + 1}, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time)


def test_positions_returned_are_those_of_the_stored_messages(store: Store):
    """MDB003_2A_T2"""
    receipts = store.write("account-1", "A", "B") + store.write("account-2", "C") + store.write("account-1", "D")

    assert receipts == [{"position": p, "globalPosition": g} for p, g in ((0, 1), (1, 2), (0, 3), (2, 4))]
    assert [row[2:4] for row in store.get("account-1")] == [[0, 1], [1, 2], [2, 4]]


def test_right_expected_version_succeeds(store: Store):
    """MDB003_2A_T3"""
    store.write("account-1", expectedVersion=-1)

    assert store.write("account-1", expectedVersion=0)[0]["position"] == 1


def test_wrong_expected_version_conflicts_and_writes_nothing(store: Store):
    """MDB003_2A_T4"""
    store.write("account-1")

    with pytest.raises(Failed, match="VERSION") as failed:
        store.write("account-1", expectedVersion=5)

    assert failed.value.details == {"expected": 5, "actual": 0}
    assert len(store.get("account-1")) == 1


def test_stream_is_read_from_a_position(store: Store):
    """MDB003_2A_T5"""
    store.write("account-1", *"ABCDE")

    assert [row[1] for row in store.get("account-1", position=2)] == ["C", "D", "E"]


def test_stream_is_read_up_to_a_limit(store: Store):
    """MDB003_2A_T6"""
    store.write("account-1", *"ABCDE")

    assert [row[1] for row in store.get("account-1", batchSize=2)] == ["A", "B"]


def test_last_message_also_by_type(store: Store):
    """MDB003_2A_T7"""
    store.write("account-1", "A", "B", "A", "C")

    assert store.call("stream.last", "account-1")[1:3] == ["C", 3]
    assert store.call("stream.last", "account-1", {"type": "A"})[1:3] == ["A", 2]


def test_version_of_a_stream(store: Store):
    """MDB003_2A_T8"""
    store.write("account-1", "A", "B")

    assert store.call("stream.version", "account-1") == 1
    assert store.call("stream.version", "account-2") is None


def test_empty_stream_is_an_empty_array(store: Store):
    """MDB003_2A_T9"""
    assert store.get("account-1") == []


def test_metadata_is_preserved(store: Store):
    """MDB003_2A_T10"""
    metadata = {"correlationStreamName": "flow-1", "nested": {"list": [1, None, "ü"]}}

    store.call("stream.write", "account-1", message(metadata=metadata))

    assert store.get("account-1")[0][5] == metadata


def test_everything_is_answered_however_long(store: Store):
    """More than one page, streamed."""
    unit = [{"stream": f"account-{number % 7}", **message(data={"n": number})} for number in range(5000)]
    receipts = store.call("stream.writeMany", unit)

    rows = store.category("account", batchSize=-1)

    assert [row[5]["n"] for row in rows] == list(range(5000))
    assert [one["globalPosition"] for one in receipts] == list(range(1, 5001))
    assert store.get("account-1", batchSize=0) == []
    assert len(store.get("account-1")) == 714 + 1


def test_message_of_a_megabyte_is_stored_whole(store: Store):
    store.call("stream.write", "blob-1", message(data={"text": "x" * 1_200_000}))

    assert len(store.get("blob-1")[0][4]["text"]) == 1_200_000
