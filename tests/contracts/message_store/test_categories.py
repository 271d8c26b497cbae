"""Scenarios 2B: reading categories, alone and in groups."""

from __future__ import annotations

import hashlib

import pytest

from tests.contracts.message_store.store import Store, message

# Message DB's hash of cardinal ids, and the member each goes to in groups of 2, 3 and 4.
VECTORS = [
    ("1", (0, 0, 2)),
    ("2", (1, 1, 1)),
    ("3", (0, 2, 2)),
    ("123", (1, 1, 3)),
    ("456", (1, 1, 3)),
    ("abc", (0, 2, 0)),
    ("ünï", (1, 0, 3)),
    ("", (0, 2, 0)),
]


def test_category_holds_messages_of_several_streams(store: Store):
    """MDB003_2B_T1"""
    for stream in ("order-1", "other-1", "order-2", "order-1"):
        store.write(stream)

    assert [row[4] for row in store.category("order")] == [1, 3, 4]


def test_messages_of_a_category_name_their_stream(store: Store):
    """MDB003_2B_T2"""
    for stream in ("order-1", "order-2+x", "order"):
        store.write(stream)

    rows = store.category("order")

    assert [row[1] for row in rows] == ["order-1", "order-2+x", "order"]
    assert {len(row) for row in rows} == {8}


@pytest.mark.parametrize("size", [2, 3, 4])
def test_group_partitions_the_streams(store: Store, size: int):
    """MDB003_2B_T3"""
    for id, _ in VECTORS:
        store.write(f"order-{id}", "A", "B")
        store.write(f"order-{id}+copy")

    for member in range(size):
        found = store.category("order", consumerGroup={"member": member, "size": size})
        wanted = {f"order-{id}" for id, members in VECTORS if members[size - 2] == member}
        assert {row[1].partition("+")[0] for row in found} == wanted


def test_members_share_everything_without_overlap(store: Store):
    """MDB003_2B_T4"""
    for number in range(40):
        store.write(f"order-{number}")
    store.write("order")  # has no id and belongs to nobody

    shares = [store.category("order", consumerGroup={"member": member, "size": 3}) for member in range(3)]

    places = sorted(row[4] for rows in shares for row in rows)
    assert places == list(range(1, 41))
    assert min(map(len, shares)) > 0
    first = hashlib.md5(b"0").digest()[:8]
    owner = abs(int.from_bytes(first, "big", signed=True)) % 3
    assert "order-0" in {row[1] for row in shares[owner]}


def test_category_is_narrowed_to_a_correlated_category(store: Store):
    """MDB003_2B_T5"""
    for number, flow in enumerate(("flow-1", "other-1", "flow-2", "flow", "FLOW-1", "flowing-1")):
        store.call("stream.write", f"order-{number}", message(metadata={"correlationStreamName": flow}))
    store.write("order-9")

    assert [row[1] for row in store.category("order", correlation="flow")] == ["order-0", "order-2", "order-3"]


def test_category_is_read_from_a_global_position(store: Store):
    """MDB003_2B_T6"""
    for stream in ("order-1", "other-1", "order-2", "order-3"):
        store.write(stream)

    assert [row[4] for row in store.category("order", position=3)] == [3, 4]
    assert [row[4] for row in store.category("order", position=2, globalPosition=4)] == [4]


def test_category_is_read_up_to_a_limit_which_counts_after_the_filters(store: Store):
    """MDB003_2B_T7"""
    for number in range(10):
        store.write(f"order-{number}")
    mine = store.category("order", consumerGroup={"member": 0, "size": 2})

    limited = store.category("order", batchSize=2, consumerGroup={"member": 0, "size": 2})

    assert limited == mine[:2]
    assert len(store.category("order", batchSize=3)) == 3


def test_empty_category_is_an_empty_array(store: Store):
    """MDB003_2B_T8"""
    store.write("order-1")

    assert store.category("nothing") == []
    assert store.category("order-1") == []


def test_empty_category_name_means_everything(store: Store):
    for stream in ("a-1", "b-1", "c"):
        store.write(stream)

    assert [row[1] for row in store.category("")] == ["a-1", "b-1", "c"]
