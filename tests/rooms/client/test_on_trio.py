from contextlib import aclosing
from datetime import UTC, datetime
from random import Random

import pytest
import trio

from appliance.client import AsyncClient, Imported, Topic, Unreachable, Write
from appliance.errors import NotFound, VersionConflict
from tests.rooms.client.tiny_store import READY, TOKEN, a_tiny_store, poke


class NoWaiting(Random):
    """Stretches every pause to nothing."""

    def uniform(self, a, b):
        return 0.0


@pytest.fixture
def store():
    with a_tiny_store() as store:
        yield store


@pytest.fixture
async def client(store):
    async with AsyncClient(store.url, TOKEN, timeout=5, rng=NoWaiting()) as client:
        yield client


async def test_what_is_written_is_read_back(client):
    receipt = await client.write("order-7", "Placed", {"n": 1})

    messages = [m async for m in client.get_stream("order-7")]

    assert str(receipt) == "order-7 @ 0"
    assert [(m.position, m.data) for m in messages] == [(0, {"n": 1})]


async def test_a_client_without_token_takes_the_one_offered(store):
    store.offers_token = True
    async with AsyncClient(store.url, timeout=5) as client:
        await client.version("a-1")

        assert (client.token, client.url) == (TOKEN, store.url)


async def test_many_writers_share_one_client(client):
    async with trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(client.write, f"a-{n}", "T")

    assert sorted([m.stream async for m in client.get_category("a")]) == sorted(f"a-{n}" for n in range(20))


async def test_the_other_reads_answer_plain_values(store, client):
    await client.write_many([Write("a-1", "One"), Write("a-1", "Two", {"x": 1})])
    store.write("b")

    assert (await client.last("a-1")).type == "Two"
    assert await client.version("a-1") == 1
    assert [head.stream async for head in client.streams(batch=1)] == ["a-1", "b"]
    assert [head.stream async for head in client.streams(limit=1)] == ["a-1"]
    assert [found.category for found in await client.categories()] == ["a", "b"]
    assert (await client.health())["backend"] == "tiny"
    assert await client.server_version() == "1.2.3"


async def test_namespaces_are_made_listed_and_removed(client):
    assert (await client.create_namespace("n")).token == TOKEN
    assert [space.namespace for space in await client.namespaces()] == ["default"]
    assert (await client.namespace_info("default")).messages == 0
    assert (await client.delete_namespace("n")).messages == 0


async def test_places_are_found_by_time(store, client):
    for n in range(9):
        store.write("a-1", time=f"2026-01-01T00:00:{n:02d}Z")

    assert (await client.latest(Topic("a-1"))).position == 8
    assert await client.end(Topic()) == 10
    assert await client.place_at(Topic(), datetime(2026, 1, 1, 0, 0, 4, tzinfo=UTC)) == 5


async def test_errors_are_classes_that_say_whose_move_is_next(store, client):
    with pytest.raises(VersionConflict):
        await client.write("a-1", "T", expected_version=3)
    store.drop = 1
    with pytest.raises(Unreachable):
        await client.write("a-1", "T")
    store.drop = 1
    assert await client.version("a-1") is None
    store.drop = 2
    with pytest.raises(Unreachable):
        await client.version("a-1")


async def test_a_subscription_survives_its_connection_and_resumes(store):
    first, second = store.write("a-1"), store.write("a-1")
    store.script = [[READY, poke(store, first)], [READY, poke(store, second)]]
    lost = []

    async with (
        AsyncClient(store.url, timeout=5, rng=NoWaiting(), on_lost=lambda *why: lost.append(why)) as client,
        client.subscribe(Topic("a-1")) as pokes,
    ):
        seen = [await anext(pokes), await anext(pokes)]

    assert lost == [(None, 0.0)]

    assert [p.position for p in seen] == [0, 1]
    assert store.targets() == ["/subscribe?stream=a-1&position=0", "/subscribe?stream=a-1&position=1"]


async def test_leaving_a_subscription_drops_its_connection(store, client):
    """MDB003 3A_T7."""
    store.script = [[READY, poke(store, store.write("a-1"))]]

    async with client.subscribe() as pokes:
        await anext(pokes)

    assert await trio.to_thread.run_sync(store.left.wait, 5)


async def test_a_cancelled_subscriber_drops_its_connection(store, client):
    store.script = [[READY]]

    async with trio.open_nursery() as nursery:

        async def listen():
            async with client.subscribe() as pokes:
                await anext(pokes)

        nursery.start_soon(listen)
        await trio.to_thread.run_sync(store.stays_open.wait, 5)
        nursery.cancel_scope.cancel()

    assert await trio.to_thread.run_sync(store.left.wait, 5)


async def test_a_refusal_ends_a_subscription(store, client):
    store.refuse = [(404, b"gone")]

    async with client.subscribe() as pokes:
        with pytest.raises(NotFound, match="gone"):
            await anext(pokes)


async def test_a_tail_joins_history_and_live_without_gap_or_double(store, client):
    stored = [store.write("a-1") for _ in range(3)]
    live = [store.write("a-2", "Live"), store.write("b-1", "Other"), store.write("a-2", "Live")]
    del store.messages[3:]
    store.script = [[READY, poke(store, stored[2]), poke(store, live[0])], [READY, poke(store, live[2])]]

    async with client.tail(Topic(categories=("a",)), 2) as messages:
        seen = [await anext(messages), await anext(messages)]
        store.messages += live
        seen += [await anext(messages), await anext(messages)]

    assert [m.global_position for m in seen] == [2, 3, 4, 6]


async def test_an_import_reports_progress_and_an_export_gives_it_back(store, client):
    line = b'{"id":"1","stream":"a-1","type":"T","pos":0,"gpos":4,"data":{},"meta":null,"time":"2026-01-01T00:00:00Z"}'

    progress = [step async for step in client.import_lines([line], force=True)]
    exports = []
    for store.has_export in (True, False):
        async with aclosing(client.export_lines()) as lines:
            exports.append([part async for part in lines])

    assert progress == [Imported(1, 4)]
    assert exports[1] == [line]
    assert len(exports[0]) == 1
