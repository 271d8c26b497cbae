from datetime import UTC, datetime
from random import Random

import pytest

from appliance.client import Client, Imported, Topic, Unreachable, Write
from appliance.errors import NotFound, Rejected, VersionConflict
from tests.rooms.client.tiny_store import READY, TOKEN, a_tiny_store, poke


@pytest.fixture
def store():
    with a_tiny_store() as store:
        yield store


@pytest.fixture
def client(store):
    with Client(store.url, TOKEN, timeout=5, rng=Random(7), sleep=lambda seconds: None) as client:
        yield client


def test_what_is_written_is_read_back_with_the_token_sent(store, client):
    """MDB003 1A_T1, 1A_T3, 2A_T1, 2A_T2."""
    receipts = [client.write("order-7", "Placed", {"n": n}) for n in range(2)]

    messages = list(client.get_stream("order-7"))

    assert [str(receipt) for receipt in receipts] == ["order-7 @ 0", "order-7 @ 1"]
    assert [(m.position, m.global_position, m.data) for m in messages] == [(0, 1, {"n": 0}), (1, 2, {"n": 1})]
    assert {headers["authorization"] for _, _, headers, _ in store.requests} == {f"Bearer {TOKEN}"}


def test_a_client_without_token_takes_the_one_offered(store):
    """MDB003 1A_T2."""
    store.offers_token = True
    with Client(store.url, timeout=5) as client:
        client.write("a-1", "T")

        assert client.token == TOKEN


def test_a_conflict_reaches_the_caller_with_its_code(client):
    """MDB003 1A_T4, 2A_T4."""
    with pytest.raises(VersionConflict) as caught:
        client.write("a-1", "T", expected_version=3)

    assert caught.value.facts["wire_code"] == "STREAM_VERSION_CONFLICT"
    assert client.version("a-1") is None


def test_reading_pages_until_the_end(store, client):
    for n in range(5):
        store.write(f"a-{n % 2}")

    got = [m.global_position for m in client.get_category("a", batch=2)]

    assert got == [1, 2, 3, 4, 5]
    assert len(store.requests) == 3
    assert [m.position for m in client.get_stream("a-0", 1, limit=1)] == [1]


def test_the_other_reads_answer_plain_values(store, client):
    client.write_many([Write("a-1", "One"), Write("a-1", "Two", {"x": 1})])
    store.write("b")

    assert client.last("a-1").type == "Two"
    assert client.last("a-1", "One").position == 0
    assert client.version("a-1") == 1
    assert [head.stream for head in client.streams(batch=1)] == ["a-1", "b"]
    assert [head.stream for head in client.streams(limit=1)] == ["a-1"]
    assert [found.category for found in client.categories()] == ["a", "b"]
    assert client.health()["backend"] == "tiny"
    assert client.server_version() == "1.2.3"


def test_namespaces_are_made_listed_and_removed(client):
    assert client.create_namespace("n", "a place").token == TOKEN
    assert [space.namespace for space in client.namespaces()] == ["default"]
    assert client.namespace_info("default").messages == 0
    assert client.delete_namespace("n").messages == 0
    with pytest.raises(NotFound):
        client.namespace_info("n")


def test_places_are_found_by_time(store, client):
    for n in range(30):
        store.write("a-1", time=f"2026-01-01T00:00:{n:02d}Z")

    assert client.latest(Topic("a-1")).position == 29
    assert client.end(Topic()) == 31
    assert client.place_at(Topic("a-1"), datetime(2026, 1, 1, 0, 0, 12, tzinfo=UTC)) == 12
    assert client.place_at(Topic("none"), datetime(2026, 1, 1, tzinfo=UTC)) == 0


def test_nobody_at_the_address_is_said_with_what_to_do(store):
    with a_tiny_store() as gone:
        pass
    with Client(gone.url, timeout=5) as client, pytest.raises(Unreachable) as caught:
        client.version("a-1")

    assert caught.value.message == f"nothing answers at {gone.url} (Connection refused)"
    assert caught.value.hint == "start the server, or check the address"


def test_a_broken_exchange_is_tried_again_only_where_that_is_safe(store, client):
    store.drop = 1
    assert client.version("a-1") is None

    store.drop = 1
    assert client.write("a-1", "T", key="k").position == 0

    store.drop = 1
    with pytest.raises(Unreachable):
        client.write("a-1", "T")
    assert [m.position for m in client.get_stream("a-1")] == [0]


def test_a_token_that_cannot_be_a_header_is_refused_before_it_is_sent(store):
    with Client(store.url, "two\r\nlines", timeout=5) as client, pytest.raises(Rejected, match="cannot be sent"):
        client.version("a-1")

    assert store.requests == []


def test_a_subscription_survives_its_connection_and_resumes(store):
    """MDB003 3A_T1 to T4, SSE-007."""
    first, second = store.write("a-1"), store.write("a-2")
    store.script = [[READY, poke(store, first)], [READY, poke(store, second)]]
    lost = []

    with (
        Client(store.url, timeout=5, sleep=lambda seconds: None, on_lost=lambda *why: lost.append(why)) as client,
        client.subscribe(Topic(categories=("a",))) as pokes,
    ):
        seen = [next(pokes), next(pokes)]

    assert [(error, pause <= 0.1) for error, pause in lost] == [(None, True)]

    assert [(p.stream, p.global_position) for p in seen] == [("a-1", 1), ("a-2", 2)]
    assert store.targets() == ["/subscribe?category=a&position=1", "/subscribe?category=a&position=2"]


def test_leaving_a_subscription_drops_its_connection(store, client):
    """MDB003 3A_T7."""
    store.script = [[READY, poke(store, store.write("a-1"))]]

    with client.subscribe() as pokes:
        next(pokes)

    assert store.left.wait(5)


def test_a_subscription_that_is_refused_later_ends_with_the_refusal(store, client):
    store.script = [[READY, poke(store, store.write("a-1"))], []]

    with client.subscribe() as pokes:
        next(pokes)
        store.refuse = [(503, b"soon"), (404, b"gone")]
        with pytest.raises(NotFound, match="gone"):
            next(pokes)


def test_a_subscription_must_succeed_the_first_time(store, client):
    store.refuse = [(503, b"not ready")]

    with client.subscribe() as pokes, pytest.raises(Exception, match="not ready"):
        next(pokes)


def test_a_tail_joins_history_and_live_without_gap_or_double(store, client):
    stored = [store.write("a-1") for _ in range(3)]
    live = [store.write("a-2", "Live"), store.write("b-1", "Other"), store.write("a-2", "Live")]
    del store.messages[3:]
    store.script = [[READY, poke(store, stored[2]), poke(store, live[0])], [READY, poke(store, live[2])]]

    with client.tail(Topic(categories=("a",)), 2) as messages:
        seen = [next(messages), next(messages)]
        store.messages += live
        seen += [next(messages), next(messages)]

    assert [m.global_position for m in seen] == [2, 3, 4, 6]


def test_an_import_reports_progress_and_an_export_gives_it_back(store, client):
    lines = [
        b'{"id":"1","stream":"a-1","type":"T","pos":0,"gpos":4,"data":{},"meta":null,"time":"2026-01-01T00:00:00Z"}\n',
        b'{"id":"2","stream":"b-1","type":"T","pos":0,"gpos":9,"data":{},"meta":null,"time":"2026-01-02T00:00:00Z"}\n',
    ]
    store.write("old-1")

    progress = list(client.import_lines(lines, force=True))

    assert progress == [Imported(2, 9)]
    assert [record["gpos"] for record in store.messages] == [4, 9]
    assert len(list(client.export_lines())) == 2
    assert b'"a-1"' in b"".join(client.export_lines(["a"]))


def test_an_export_reads_pages_where_the_server_has_no_export(store, client):
    store.has_export = False
    store.write("a-1", time="2026-01-01T00:00:00Z")
    store.write("a-1", time="2026-01-02T00:00:00Z")

    lines = list(client.export_lines(since="2026-01-02"))

    assert len(lines) == 1
    assert b'"pos":1,"gpos":2' in lines[0]
