"""A change of topic: before it by the old one, after it by the new one, nothing twice and nothing lost."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest
import trio
import trio.testing

from appliance.model.topic import Topic
from tests.rooms.bus.doubles import Book, Numbers, Peer, a_bus

A, B, AB = Topic(1, categories=("a",)), Topic(1, categories=("b",)), Topic(1, categories=("a", "b"))


def write_both(book: Book, times: int = 1) -> None:
    for _ in range(times):
        book.write("a-1")
        book.write("b-1")


async def test_events_before_the_move_come_by_the_old_topic_and_later_ones_by_the_new():
    async with a_bus() as book:
        peer = Peer()
        subscription = await book.bus.follow(A, Numbers(), peer, None)

        write_both(book, 2)  # not flushed yet
        await subscription.move(B, greeting=b"moved ")
        write_both(book, 2)
        await trio.testing.wait_all_tasks_blocked()

        assert peer.words == "1 3 moved 6 8"
        assert (book.bus.members, book.bus.audiences, subscription.topic) == (1, 1, B)


async def test_past_of_the_new_topic_comes_without_what_was_shown_already():
    async with a_bus() as book:
        write_both(book, 2)  # 1 to 4
        peer = Peer()
        subscription = await book.bus.follow(A, Numbers(), peer, 2)
        write_both(book, 2)  # 5 to 8

        await subscription.move(AB, 1, greeting=b"moved ")
        write_both(book)
        await trio.testing.wait_all_tasks_blocked()

        assert peer.words == "3 5 7 moved 1 2 4 6 8 9 10"


async def test_member_that_is_behind_gets_what_it_is_due_first():
    async with a_bus(blocks=2) as book:
        peer = Peer()
        subscription = await book.bus.follow(A, Numbers(), peer, None)
        peer.shut()
        for _ in range(5):
            write_both(book)
            await trio.testing.wait_all_tasks_blocked()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(subscription.move, greeting=b"moved "), B)
            await trio.testing.wait_all_tasks_blocked()
            write_both(book)
            peer.open.set()
        await trio.testing.wait_all_tasks_blocked()

        assert peer.words == "lagged:5 1 3 5 7 9 moved 12"
        assert (book.bus.members, book.bus.behind) == (1, 0)


async def test_value_held_in_a_window_is_shown_before_the_move(autojump_clock: trio.testing.MockClock):
    async with a_bus() as book:
        mover, stays = Peer(), Peer()
        dialect = Numbers(window=0.5)
        live = Topic(1, ephemeral=True)
        subscription = await book.bus.follow(live, dialect, mover, None)
        await book.bus.follow(live, dialect, stays, None)
        book.announce("p1")
        book.announce("p2")

        await subscription.move(A, greeting=b"moved ")
        await trio.sleep(1)

        assert (mover.words, stays.words) == ("p1@0 p2@0 moved", "p1@0 p2@0")


async def test_peer_that_goes_during_a_move_leaves_nothing_behind():
    async with a_bus() as book:
        peer = Peer()
        subscription = await book.bus.follow(A, Numbers(), peer, None)
        write_both(book)
        peer.kill()

        with pytest.raises(trio.BrokenResourceError):
            await subscription.move(B)

        assert (book.bus.members, book.bus.audiences, book.bus.held) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(60))
async def test_reader_that_moves_while_others_write_gets_every_event_once(seed: int):
    """Random moves between overlapping topics, a slow peer, a small ring; some moves ask for the past."""
    rng = Random(seed)
    topics = {"a": A, "b": B, "ab": AB, "all": Topic(1)}
    async with a_bus(blocks=3) as book:
        peer, wanted = Peer(), set()
        name = rng.choice(list(topics))
        write_both(book, rng.randint(0, 3))
        subscription = await book.bus.follow(topics[name], Numbers(), peer, None)

        async def write() -> None:
            for _ in range(40):
                stream = rng.choice(("a-1", "b-1"))
                book.write(stream)
                if topics[name].matches(book.events[-1]):
                    wanted.add(len(book.events))
                for _ in range(rng.randint(0, 3)):
                    await trio.lowlevel.checkpoint()

        async def stall() -> None:
            for _ in range(10):
                peer.shut()
                for _ in range(rng.randint(0, 20)):
                    await trio.lowlevel.checkpoint()
                peer.open.set()
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            nursery.start_soon(stall)
            for _ in range(6):
                for _ in range(rng.randint(0, 25)):
                    await trio.lowlevel.checkpoint()
                name = rng.choice(list(topics))
                since = rng.choice((None, None, rng.randint(1, len(book.events) + 1)))
                if since is not None:
                    past = book.events[since - 1 :]
                    wanted |= {event.global_position for event in past if topics[name].matches(event)}
                await subscription.move(topics[name], since)
        await trio.testing.wait_all_tasks_blocked()

        assert sorted(peer.numbers) == sorted(wanted)
