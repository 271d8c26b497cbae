"""Scenarios 3B: many writers, many namespaces, one server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance.auth.tokens import make_token
from tests.contracts.message_store.store import Failed, Store, message
from tests.served import Served


def alike(store: Store) -> Store:
    """A client of the same namespace with a connection of its own."""
    return Store(store.url, store.token)


def test_concurrent_writes_to_different_streams_all_succeed(store: Store):
    """MDB003_3B_T1"""

    def fill(number: int) -> list[int]:
        return [receipt["position"] for receipt in alike(store).write(f"order-{number}", *"ABCDE")]

    with ThreadPoolExecutor(8) as pool:
        positions = list(pool.map(fill, range(8)))

    assert positions == [[0, 1, 2, 3, 4]] * 8
    assert [row[4] for row in store.category("order")] == list(range(1, 41))


def test_of_concurrent_writers_with_one_expected_version_exactly_one_wins(store: Store):
    """MDB003_3B_T2"""

    def compete(version: int) -> str:
        try:
            alike(store).write("order-1", expectedVersion=version)
        except Failed as failed:
            return failed.code
        return "won"

    with ThreadPoolExecutor(8) as pool:
        rounds = [list(pool.map(compete, [version] * 8)) for version in range(-1, 9)]

    assert [sorted(outcomes) for outcomes in rounds] == [["STREAM_VERSION_CONFLICT"] * 7 + ["won"]] * 10
    assert store.call("stream.version", "order-1") == 9


def test_namespaces_do_not_leak(server: Served, owner: Store):
    """MDB003_3B_T3"""
    tokens = {name: owner.call("ns.create", name)["token"] for name in ("leak_a", "leak_b")}
    one, two = (Store(server.url, token) for token in tokens.values())
    with two.subscribe(all="true") as pokes:
        one.write("secret-1", "A")
        two.write("own-1", "B")
        heard = pokes.take(1)

    assert heard == [{"stream": "own-1", "position": 0, "globalPosition": 1}]
    assert two.get("secret-1") == []
    assert [row[2] for row in two.category("")] == ["B"]
    assert [row["stream"] for row in two.call("ns.streams")] == ["own-1"]
    with pytest.raises(Failed, match="AUTH_UNAUTHORIZED"):
        two.call("ns.info", "leak_a")


def test_namespace_is_made_on_first_use_in_test_mode(server: Served, owner: Store):
    """MDB003_3B_T4"""
    Store(server.url, make_token("first_use", b"\x01" * 32)).write("a-1")

    assert owner.call("ns.info", "first_use")["messageCount"] == 1


def test_namespace_can_be_deleted_and_its_token_ends(server: Served, owner: Store):
    """MDB003_3B_T5"""
    token = owner.call("ns.create", "brief_life")["token"]
    store = Store(server.url, token)
    store.write("a-1", "A", "B")

    gone = owner.call("ns.delete", "brief_life")

    assert (gone["namespace"], gone["messagesDeleted"]) == ("brief_life", 2)
    with pytest.raises(Failed, match="AUTH_UNAUTHORIZED"):
        store.get("a-1")
    with pytest.raises(Failed, match="NAMESPACE_NOT_FOUND"):
        owner.call("ns.info", "brief_life")


def test_tests_run_in_parallel_against_one_server(server: Served):
    """MDB003_3B_T6"""

    def one_test(number: int) -> bool:
        store = Store(server.url, make_token(f"parallel_{number}", b"\x02" * 32))
        with store.subscribe(category="order") as pokes:
            written = [store.write(f"order-{n}")[0]["globalPosition"] for n in range(10)]
            heard = [poke["globalPosition"] for poke in pokes.take(10)]
        return written == heard == list(range(1, 11))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one_test, range(16)))


def test_import_and_export_move_a_namespace_over_http(store: Store, server: Served):
    store.call("stream.writeMany", [{"stream": f"a-{n % 3}", **message(data={"n": n})} for n in range(2500)])
    status, exported = store.send("GET", "/export")
    other = Store(server.url, make_token("moved_in", b"\x03" * 32))

    answer = other.send("POST", "/import", (exported[n : n + 9999] for n in range(0, len(exported), 9999)))

    assert status == 200
    assert answer[0] == 200
    assert b'"done":true,"imported":2500' in answer[1]
    assert other.send("GET", "/export")[1] == exported
