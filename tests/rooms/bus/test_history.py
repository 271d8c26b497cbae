"""What was stored before: filtered as the live part is, and honest about what is gone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pytest
import trio
import trio.testing

from appliance.bus.past import KEEP
from appliance.errors import Unavailable
from appliance.model.event import Event
from appliance.model.topic import Topic
from tests.rooms.bus.doubles import Numbers, Peer, a_bus


@dataclass(frozen=True)
class OfType:
    """A filter."""

    type: str

    def passes(self, event: Event) -> bool:
        return event.type == self.type


async def test_filter_holds_for_history_and_live_alike():
    async with a_bus() as book:
        for number in range(6):
            book.write("a-1", type="Even" if number % 2 else "Odd")
        peer = Peer()

        await book.bus.follow(Topic(1, filter=OfType("Even")), Numbers(), peer, 1)
        for number in range(4):
            book.write("a-1", type="Even" if number % 2 else "Odd")
        await trio.testing.wait_all_tasks_blocked()

        assert peer.words == "2 4 6 8 10"


async def test_equal_filters_share_one_audience_and_one_encoding():
    async with a_bus() as book:
        dialect, peers = Numbers(), [Peer() for _ in range(10)]
        for peer in peers:
            await book.bus.follow(Topic(1, filter=OfType("Even")), dialect, peer, None)

        book.write("a-1", type="Even")
        book.write("a-1", type="Odd")
        await trio.testing.wait_all_tasks_blocked()

        assert (book.bus.audiences, dialect.encoded, {peer.words for peer in peers}) == (1, 1, {"1"})


async def test_long_stretch_without_a_match_leaves_room_for_others():
    async with a_bus() as book:
        book.write("a-1", 5000, type="Dull")
        book.write("a-1", type="Rare")
        seeker, ticks = Peer(), 0

        async def count() -> None:
            nonlocal ticks
            while not seeker.words:
                ticks += 1
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            await book.bus.follow(Topic(1, filter=OfType("Rare")), Numbers(), seeker, 1)

        assert (seeker.words, len(book.reads)) == ("5001", 11)
        assert ticks >= 10


@pytest.mark.parametrize(
    ("topic", "since", "oldest", "words"),
    [
        (Topic(1), 2, 4, "hello gap:2-4 2 3 4 5 6"),
        (Topic(1), 0, 4, "hello gap:1-4 1 2 3 4 5 6"),
        (Topic(1), 0, 1, "hello 1 2 3 4 5 6"),
        (Topic(1), 4, 4, "hello 4 5 6"),
        (Topic(1, stream="a-1"), 0, 2, "hello gap:0-2 1 2 3 4 5 6"),
        (Topic(1, stream="a-1"), 0, 0, "hello 1 2 3 4 5 6"),
        (Topic(1), None, 4, "hello"),
    ],
)
async def test_newcomer_hears_what_retention_has_taken_before_its_history(topic, since, oldest, words):
    async with a_bus() as book:
        book.write("a-1", 6)
        book.oldest = oldest
        peer = Peer()

        await book.bus.follow(topic, Numbers(), peer, since, greeting=b"hello ")

        assert peer.words == words


async def test_greeting_may_name_the_position_behind_which_nothing_is_missed():
    async with a_bus() as book:
        book.write("a-1", 3)
        peer = Peer()

        follow = partial(book.bus.follow, greeting=lambda newest: b"from:%d " % newest)
        await follow(Topic(1), Numbers(), peer, None)
        book.write("a-1")
        await trio.testing.wait_all_tasks_blocked()

        assert peer.words == "from:3 4"


async def test_pages_are_smaller_while_many_read_by_themselves():
    """Memory: those who change topics leave out what they have had, so each holds a page of its own."""
    async with a_bus() as book:
        book.write("a-1", 600)
        peers = [Peer() for _ in range(1000)]
        places = [await book.bus.follow(Topic(1, stream="b-1"), Numbers(), peer, None) for peer in peers]
        for peer in peers:
            peer.shut()

        async with trio.open_nursery() as nursery:
            for place in places:
                nursery.start_soon(place.move, Topic(1, stream="a-1"), 0)
            await trio.testing.wait_all_tasks_blocked()
            for peer in peers:
                peer.open.set()

        assert {tuple(peer.numbers) for peer in peers} == {tuple(range(1, 601))}
        assert book.reads[999].limit == 100


@pytest.mark.parametrize("topic", [Topic(1), Topic(1, stream="a-1")], ids=["all", "stream"])
async def test_a_crowd_that_returns_at_once_reads_the_log_as_one(topic):
    """Reconnect storm (reliability 9): each from its own position, every event once, one encoding for all."""
    start = 1 if topic.stream is None else 0
    async with a_bus() as book:
        book.write("a-1", 1200)
        dialect, peers = Numbers(), [Peer() for _ in range(500)]

        async with trio.open_nursery() as nursery:
            for number, peer in enumerate(peers):
                nursery.start_soon(book.bus.follow, topic, dialect, peer, start + number % 50)
            for _ in range(5):
                await trio.lowlevel.checkpoint()
                book.write("a-1")
        await trio.testing.wait_all_tasks_blocked()

        for number, peer in enumerate(peers):
            assert peer.numbers == list(range(1 + number % 50, 1206))
        assert dialect.encoded <= 1210
        assert len([read for read in book.reads if read.through == 1200]) < 60 + 500 * (start == 0)


@pytest.mark.parametrize("orderly", [True, False])
async def test_a_crowd_that_falls_out_of_the_ring_of_a_stream_reads_on_as_one(orderly):
    """Unless an import has shown its places in an order of its own: then each reads for itself."""
    topic, dialect, peers = Topic(1, stream="a-1"), Numbers(), [Peer() for _ in range(200)]
    async with a_bus(blocks=4) as book:
        book.write("a-1", 3)
        for since, peer in enumerate(peers):
            await book.bus.follow(topic, dialect, peer, since % 4)
        book.write("a-1", 2)
        if not orderly:
            book.events.append(Event(1, "a-1", "Imported", 0, 6, "6", "{}", None, 0))
            book.bus.publish(book.events[-1:])
        await trio.testing.wait_all_tasks_blocked()
        reads = len(book.reads)
        for peer in peers:
            peer.shut()
        for _ in range(100):
            book.write("a-1")
            await trio.testing.wait_all_tasks_blocked()
        for peer in peers:
            peer.open.set()
        await trio.testing.wait_all_tasks_blocked()

        for since, peer in enumerate(peers):
            assert peer.numbers == list(range(1 + since % 4, 106 + (not orderly)))
        assert (len(book.reads) - reads < 10) == orderly


async def test_one_that_was_behind_before_an_import_filled_a_hole_of_its_stream_gets_that_too():
    topic, peer = Topic(1, stream="a-1"), Peer()
    async with a_bus(blocks=4) as book:
        await book.bus.follow(topic, Numbers(), peer, 0)

        async def comes(position: int) -> None:
            place = len(book.events) + 1
            book.events.append(Event(1, "a-1", "Happened", position, place, str(place), "{}", None, 0))
            book.bus.publish(book.events[-1:])
            await trio.testing.wait_all_tasks_blocked()

        for position in (0, 1, 5):
            await comes(position)
        peer.shut()
        for position in (6, 3, *range(7, 20)):
            await comes(position)
        peer.open.set()
        await trio.testing.wait_all_tasks_blocked()

        assert peer.numbers[:3] == [1, 2, 3]
        assert sorted(peer.numbers) == list(range(1, len(book.events) + 1))


async def test_one_that_begins_ahead_of_a_stream_and_falls_behind_misses_nothing_of_what_comes():
    topic, ahead, crowd = Topic(1, stream="a-1"), Peer(), Peer()
    async with a_bus(blocks=4) as book:
        book.write("a-1", 3)
        await book.bus.follow(topic, Numbers(), crowd, 0)
        book.write("a-1")
        await trio.testing.wait_all_tasks_blocked()
        await book.bus.follow(topic, Numbers(), ahead, 50)
        ahead.shut()
        for _ in range(20):
            book.write("a-1")
            await trio.testing.wait_all_tasks_blocked()
        ahead.open.set()
        await trio.testing.wait_all_tasks_blocked()

        assert ahead.numbers == list(range(5, 25))


async def test_those_who_come_back_one_after_the_other_while_events_flow_send_few_large_pieces():
    """Else whoever was away longer would go through as many pieces as others came back meanwhile."""
    async with a_bus() as book:
        dialect, crowd = Numbers(), Peer()
        await book.bus.follow(Topic(1), dialect, crowd, None)
        for number in range(200):
            book.write("a-1", 2)
            await book.bus.follow(Topic(1), dialect, Peer(), 2 * number + 1)
        reads, late = len(book.reads), Peer()

        await book.bus.follow(Topic(1), dialect, late, 1)

        assert late.numbers == list(range(1, 401))
        assert (late.pieces, len(book.reads) - reads) == (1, 0)


async def test_a_stream_that_stands_in_the_log_in_another_order_is_read_by_each_alone():
    async with a_bus() as book:
        for position, place in ((0, 3), (1, 1), (2, 2)):
            book.events.append(Event(1, "a-1", "Imported", position, place, str(position), "{}", None, 0))
        topic, peers = Topic(1, stream="a-1"), [Peer() for _ in range(3)]

        for since, peer in enumerate(peers):
            await book.bus.follow(topic, Numbers(), peer, since)

        assert [peer.words for peer in peers] == ["3 1 2", "1 2", "2"]


async def test_an_import_into_a_hole_of_a_stream_is_shown_to_those_who_come_later():
    async with a_bus() as book:
        for position in (0, 1, 5):
            book.events.append(
                Event(1, "a-1", "Happened", position, len(book.events) + 1, str(position), "{}", None, 0)
            )
        topic, dialect = Topic(1, stream="a-1"), Numbers()
        first, live, later = Peer(), Peer(), Peer()
        await book.bus.follow(topic, dialect, first, 0)
        await book.bus.follow(topic, dialect, live, None)
        for position in (6, 3):
            fresh = Event(1, "a-1", "Happened", position, len(book.events) + 1, str(position), "{}", None, 0)
            book.events.append(fresh)
            book.bus.publish([fresh])
        await trio.testing.wait_all_tasks_blocked()

        await book.bus.follow(topic, dialect, later, 0)

        assert (first.words, live.words) == ("1 2 3 4 5", "4 5")
        assert later.words == "1 2 5 3 4"


async def test_what_was_read_before_a_namespace_was_emptied_is_not_shown_again():
    async with a_bus() as book:
        book.write("a-1", 5)
        dialect, peer, later = Numbers(), Peer(), Peer()
        await book.bus.follow(Topic(1, filter=OfType("Happened")), dialect, peer, 1)

        book.events.clear()
        book.write("a-1", 8, type="Dull")
        await book.bus.follow(Topic(1, filter=OfType("Happened")), dialect, later, 1)

        assert (peer.words, later.words) == ("1 2 3 4 5", "")


async def test_what_is_being_read_while_a_namespace_is_emptied_is_not_kept():
    async with a_bus() as book:
        book.write("a-1", 5)
        dialect, later, topic = Numbers(), Peer(), Topic(1, filter=OfType("Happened"))
        book.gate = trio.Event()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(book.bus.follow, topic, dialect, Peer(), 1)
            await trio.testing.wait_all_tasks_blocked()
            await book.bus.follow(topic, dialect, Peer(), None)  # the audience stays
            book.events.clear()
            book.write("a-1", 8, type="Dull")
            book.gate.set()
        await book.bus.follow(topic, dialect, later, 1)

        assert later.words == ""


async def test_reader_with_an_older_boundary_takes_no_more_of_a_leaf_than_its_own_part():
    async with a_bus() as book:
        book.write("a-1", 3)
        dialect, slow, quick = Numbers(), Peer(), Peer()
        slow.shut()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(book.bus.follow, greeting=b"hello "), Topic(1), dialect, slow, 1)
            await trio.testing.wait_all_tasks_blocked()
            book.write("a-1", 3)
            await book.bus.follow(Topic(1), dialect, quick, 1)
            slow.open.set()
        await trio.testing.wait_all_tasks_blocked()

        assert (slow.words, quick.words, len(book.reads)) == ("hello 1 2 3 4 5 6", "1 2 3 4 5 6", 1)


async def test_what_was_read_is_forgotten_after_a_while(autojump_clock: trio.testing.MockClock):
    async with a_bus() as book:
        book.write("a-1", 5)
        dialect = Numbers()
        await book.bus.follow(Topic(1), dialect, Peer(), 1)

        await trio.sleep(KEEP - 1)
        await book.bus.follow(Topic(1), dialect, Peer(), 1)
        within = len(book.reads)
        await trio.sleep(2)
        await book.bus.follow(Topic(1), dialect, Peer(), 1)

        assert (within, len(book.reads)) == (1, 2)


async def test_reader_whose_log_fails_says_so_and_leaves():
    async with a_bus() as book:
        book.write("a-1", 5)
        book.broken = True

        with pytest.raises(Unavailable):
            await book.bus.follow(Topic(1), Numbers(), Peer(), 1)

        assert book.bus.members == 0
