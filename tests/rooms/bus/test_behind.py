"""Those who do not read as fast as others write: told, helped, and after a grace cut; nobody else notices."""

from __future__ import annotations

import trio
import trio.testing

from appliance.model.topic import Topic
from tests.rooms.bus.doubles import Numbers, Peer, a_bus


async def test_who_fell_out_of_the_ring_is_told_by_how_much_and_reads_on_from_the_log():
    """Lag and resume (reliability 7)."""
    async with a_bus(blocks=4) as book:
        slow = Peer()
        subscription = await book.bus.follow(Topic(1), Numbers(), slow, None)
        slow.shut()

        for _ in range(30):
            book.write("a-1")
            await trio.testing.wait_all_tasks_blocked()
        lag, reached = subscription.lag, subscription.reached
        slow.open.set()
        await slow.has(30)
        await trio.testing.wait_all_tasks_blocked()

        assert (lag, reached, book.bus.lagged) == (30, 0, 30)
        assert slow.words == "lagged:30 " + " ".join(map(str, range(1, 31)))
        assert (subscription.lag, subscription.reached, book.bus.behind) == (0, 30, 0)


async def test_newcomer_whose_place_is_lost_while_it_reads_history_hears_nothing_of_lag():
    async with a_bus(blocks=2) as book:
        book.write("a-1", 3)
        peer = Peer()
        peer.shut()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(book.bus.follow, Topic(1), Numbers(), peer, 1)
            for _ in range(10):
                await trio.testing.wait_all_tasks_blocked()
                book.write("a-1")
            peer.open.set()

        assert peer.words == " ".join(map(str, range(1, 14)))


async def test_who_stays_behind_longer_than_the_grace_is_ended_with_4008(autojump_clock: trio.testing.MockClock):
    async with a_bus(grace=10.0) as book:
        stuck, quick = Peer(), Peer()
        for peer in (stuck, quick):
            await book.bus.follow(Topic(1), Numbers(), peer, None)
        stuck.shut()

        book.write("a-1")
        await trio.sleep(9.9)
        before = stuck.code
        await trio.sleep(0.2)

        assert (before, stuck.code, stuck.alive, quick.code) == (None, 4008, False, None)
        assert (book.bus.members, book.bus.cut, book.bus.behind) == (1, 1, 0)


async def test_who_is_level_again_within_the_grace_stays(autojump_clock: trio.testing.MockClock):
    async with a_bus(grace=10.0) as book:
        slow = Peer()
        await book.bus.follow(Topic(1), Numbers(), slow, None)

        for _ in range(3):
            slow.shut()
            book.write("a-1")
            await trio.sleep(8)
            slow.open.set()
            await trio.sleep(1)

        assert (slow.words, slow.code, book.bus.cut) == ("1 2 3", None, 0)


async def test_who_was_behind_while_the_log_fails_is_asked_to_come_back_later():
    async with a_bus(blocks=2) as book:
        slow, quick = Peer(), Peer()
        for peer in (slow, quick):
            await book.bus.follow(Topic(1), Numbers(), peer, None)
        slow.shut()

        for _ in range(5):
            book.write("a-1")
            await trio.testing.wait_all_tasks_blocked()
        book.broken = True
        slow.open.set()
        await trio.testing.wait_all_tasks_blocked()
        book.write("a-1")
        await trio.testing.wait_all_tasks_blocked()

        assert (slow.code, quick.words) == (1013, "1 2 3 4 5 6")
        assert book.bus.members == 1


async def test_stalled_member_delays_nobody(autojump_clock: trio.testing.MockClock):
    """One stalled reader (reliability 7): the others have every event in the same instant it is written."""
    async with a_bus() as book:
        stalled, others = Peer(), [Peer() for _ in range(50)]
        for peer in (stalled, *others):
            await book.bus.follow(Topic(1), Numbers(), peer, None)
        stalled.shut()

        for number in range(1, 41):
            began = trio.current_time()
            book.write("a-1")
            await book.bus.flushed()
            assert trio.current_time() == began
            assert all(peer.numbers[-1:] == [number] for peer in others)
            await trio.sleep(1)

        assert stalled.words == ""


async def test_thousands_who_never_read_cost_no_more_than_the_budget(autojump_clock: trio.testing.MockClock):
    """Memory bounded by the budget (reliability 8): 5,000 members in 50 audiences, each cut with its code."""
    async with a_bus(budget=64 * 1024, grace=60.0) as book:
        peers = [Peer() for _ in range(5000)]
        dialects = [Numbers() for _ in range(50)]
        for number, peer in enumerate(peers):
            await book.bus.follow(Topic(1), dialects[number % 50], peer, None)
            peer.shut()

        most = 0
        for _ in range(55):
            book.write("a-1", 60)
            await trio.sleep(1)
            most = max(most, book.bus.held)
        await trio.sleep(10)

        assert 60 * 1024 < most <= 64 * 1024
        assert {peer.code for peer in peers} == {4008}
        assert (book.bus.members, book.bus.cut, book.bus.held, book.bus.audiences) == (0, 5000, 0, 0)


async def test_who_leaves_while_it_is_behind_is_sent_nothing_more():
    async with a_bus() as book:
        slow = Peer()
        subscription = await book.bus.follow(Topic(1), Numbers(), slow, None)
        slow.shut()
        book.write("a-1", 3)
        await trio.testing.wait_all_tasks_blocked()

        subscription.leave()
        slow.open.set()
        await trio.testing.wait_all_tasks_blocked()

        assert (slow.words, book.bus.members, book.bus.behind) == ("", 0, 0)


async def test_who_leaves_while_the_log_is_read_for_it_leaves_nothing_behind():
    async with a_bus(blocks=2) as book:
        slow = Peer()
        subscription = await book.bus.follow(Topic(1), Numbers(), slow, None)
        slow.shut()
        for _ in range(5):
            book.write("a-1")
            await trio.testing.wait_all_tasks_blocked()
        book.gate = trio.Event()
        slow.open.set()
        await trio.testing.wait_all_tasks_blocked()

        subscription.leave()
        book.gate.set()
        await trio.testing.wait_all_tasks_blocked()

        assert (book.bus.members, book.bus.behind, book.bus.held) == (0, 0, 0)


async def test_block_larger_than_the_budget_comes_from_the_log():
    async with a_bus(budget=50) as book:
        peers, dialect = [Peer() for _ in range(3)], Numbers()
        for peer in peers:
            await book.bus.follow(Topic(1), dialect, peer, None)

        book.write("a-1", 40)
        await trio.testing.wait_all_tasks_blocked()
        book.write("a-1")
        await trio.testing.wait_all_tasks_blocked()

        expected = "lagged:40 " + " ".join(map(str, range(1, 42)))
        assert ({peer.words for peer in peers}, book.bus.held <= 50) == ({expected}, True)
