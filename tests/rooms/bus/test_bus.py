"""The bus over a real log in memory and outlets that behave as sockets do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest
import trio
import trio.testing

from appliance.bus import Bus
from appliance.log import Log
from appliance.model.event import Draft, Event, Group, Query
from appliance.model.names import member_of
from appliance.model.topic import Topic
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import TokenRow
from appliance.world import RealWorld
from tests.rooms.bus.doubles import Numbers, Peer


@dataclass
class House:
    log: Log
    bus: Bus
    namespace: int
    reads: list[Query]

    async def write(self, stream: str, count: int = 1) -> None:
        await self.log.append(self.namespace, [Draft(stream, "Happened", "{}") for _ in range(count)])

    def topic(self, **about: object) -> Topic:
        return Topic(self.namespace, **about)  # type: ignore[arg-type]


@asynccontextmanager
async def a_house(*, blocks: int = 4096) -> AsyncIterator[House]:
    engine = MemoryEngine()
    namespace = engine.create_namespace("default", "", TokenRow("t", b"t", 0, ("admin",)), 1)
    reads: list[Query] = []

    async def read(query: Query) -> list[Event]:
        reads.append(query)
        return await log.events(query)

    bus = Bus(read, lambda key: log.head_position(key), lambda topic: log.oldest(topic), blocks=blocks)
    log = Log(engine, RealWorld(), bus.publish)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        await nursery.start(bus.run)
        yield House(log, bus, namespace.key, reads)
        nursery.cancel_scope.cancel()


async def test_stored_events_come_first_and_live_ones_follow_without_gap_or_double():
    async with a_house() as house:
        await house.write("order-1", 3)
        peer = Peer()

        await house.bus.follow(house.topic(), Numbers(), peer, 1)
        await house.write("order-1", 3)
        await trio.testing.wait_all_tasks_blocked()

        assert peer.numbers == [1, 2, 3, 4, 5, 6]


async def test_events_written_while_history_is_read_come_once_and_in_order():
    async with a_house() as house:
        await house.write("order-1", 40)
        peers = [Peer() for _ in range(5)]

        async with trio.open_nursery() as nursery:
            for number, peer in enumerate(peers):
                nursery.start_soon(house.bus.follow, house.topic(), Numbers(), peer, 1 + number)
            for _ in range(20):
                await house.write("order-2", 2)
        for number, peer in enumerate(peers):
            await peer.has(80 - number)

        assert [peer.numbers for peer in peers] == [list(range(1 + number, 81)) for number in range(5)]


async def test_an_audience_encodes_a_live_event_once_for_all_members():
    async with a_house() as house:
        dialect = Numbers()
        peers = [Peer() for _ in range(50)]
        for peer in peers:
            await house.bus.follow(house.topic(categories=("order",)), dialect, peer, None)

        await house.write("order-1", 4)
        await trio.testing.wait_all_tasks_blocked()

        assert dialect.encoded == 4
        assert all(peer.numbers == [1, 2, 3, 4] for peer in peers)


async def test_greeting_comes_before_everything_and_nothing_after_it_is_missed():
    async with a_house() as house:
        peer = Peer()
        peer.shut()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(house.bus.follow, greeting=b"ready "), house.topic(), Numbers(), peer, None)
            await trio.testing.wait_all_tasks_blocked()
            await house.write("order-1")  # the greeting is not even sent yet
            peer.open.set()
        await trio.testing.wait_all_tasks_blocked()

        assert peer.got == b"ready 1 "


async def test_topics_get_their_own_events_only():
    async with a_house() as house:
        topics = {
            "stream": house.topic(stream="order-1"),
            "category": house.topic(categories=("order",)),
            "two": house.topic(categories=("order", "note")),
            "all": house.topic(),
            "other namespace": Topic(house.namespace + 1),
        }
        peers = {name: Peer() for name in topics}
        for name, topic in topics.items():
            await house.bus.follow(topic, Numbers(), peers[name], None)

        for stream in ("order-1", "order-2", "note-1", "job-1", "order"):
            await house.write(stream)
        await trio.testing.wait_all_tasks_blocked()

        assert {name: peer.numbers for name, peer in peers.items()} == {
            "stream": [1],
            "category": [1, 2, 5],
            "two": [1, 2, 3, 5],
            "all": [1, 2, 3, 4, 5],
            "other namespace": [],
        }


async def test_consumer_group_splits_stored_and_live_events_by_the_same_rule():
    async with a_house() as house:
        streams = [f"account-{number}" for number in range(12)] * 2
        for stream in streams[:12]:
            await house.write(stream)
        peers = [Peer() for _ in range(3)]

        for member, peer in enumerate(peers):
            topic = house.topic(categories=("account",), group=Group(member, 3))
            await house.bus.follow(topic, Numbers(), peer, 0)
        for stream in streams[12:]:
            await house.write(stream)
        await trio.testing.wait_all_tasks_blocked()

        expected = [
            [number for number, stream in enumerate(streams, 1) if member_of(stream, 3) == member]
            for member in range(3)
        ]
        assert [peer.numbers for peer in peers] == expected


async def test_slow_member_catches_up_from_the_ring_without_delaying_the_others():
    async with a_house() as house:
        slow, quick = Peer(), Peer()
        for peer in (slow, quick):
            await house.bus.follow(house.topic(), Numbers(), peer, None)
        slow.shut()

        for _ in range(10):
            await house.write("order-1")
            await trio.testing.wait_all_tasks_blocked()
        quick_meanwhile, slow_meanwhile = quick.numbers, slow.numbers
        slow.open.set()
        await trio.testing.wait_all_tasks_blocked()

        assert (quick_meanwhile, slow_meanwhile) == ([*range(1, 11)], [])
        assert slow.numbers == [*range(1, 11)]
        assert house.reads == []  # the ring had it all


async def test_member_that_falls_out_of_the_ring_reads_on_from_the_log():
    async with a_house(blocks=4) as house:
        slow = Peer()
        await house.bus.follow(house.topic(), Numbers(), slow, None)
        slow.shut()

        for _ in range(30):
            await house.write("order-1")
            await trio.testing.wait_all_tasks_blocked()
        slow.open.set()
        await slow.has(30)
        await house.write("order-1")
        await slow.has(31)

        assert slow.numbers == [*range(1, 32)]
        assert house.reads  # some of it came from the log


async def test_a_peer_that_left_is_dropped_and_its_audience_with_it():
    async with a_house() as house:
        gone, here = Peer(), Peer()
        await house.bus.follow(house.topic(stream="a-1"), Numbers(), gone, None)
        await house.bus.follow(house.topic(stream="b-1"), Numbers(), here, None)
        gone.kill()

        await house.write("a-1")
        await trio.testing.wait_all_tasks_blocked()

        assert house.bus.members == 1


async def test_leaving_ends_a_subscription():
    async with a_house() as house:
        peer = Peer()
        subscription = await house.bus.follow(house.topic(), Numbers(), peer, None)

        subscription.leave()
        await house.write("a-1")
        await trio.testing.wait_all_tasks_blocked()

        assert (peer.numbers, house.bus.members) == ([], 0)


async def test_a_peer_that_breaks_during_history_leaves_nothing_behind():
    async with a_house() as house:
        await house.write("a-1", 3)
        peer = Peer()
        peer.kill()

        with pytest.raises(trio.BrokenResourceError):
            await house.bus.follow(house.topic(), Numbers(), peer, 1)

        assert house.bus.members == 0
