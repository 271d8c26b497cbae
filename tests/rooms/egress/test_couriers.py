"""What becomes of deliveries: waits, restarts, order, and receivers that behave badly."""

from __future__ import annotations

import itertools
import json
import random
from collections import defaultdict

import pytest
import trio
import trio.lowlevel

from appliance.egress.webhooks.sender import Result
from appliance.egress.webhooks.verdicts import of_status
from tests.rooms.egress.courier_room import DOWN, Receiver, Sent, a_room, down, ok
from tests.soak.deadday import simulate

DAY = 24 * 3600.0


async def test_waits_grow_and_after_four_retries_it_is_failed_for_good(autojump_clock):
    """test_webhook_retry_on_failure, test_webhook_max_retries (#44)"""
    receiver = Receiver(down)
    async with a_room() as room:
        room.begin(receiver)
        room.write(1)
        await trio.sleep(400)

        waits = [later.at - earlier.at for earlier, later in itertools.pairwise(receiver.sent)]
        assert len(receiver.sent) == 5
        for wait, planned in zip(waits, (1, 5, 25, 125), strict=True):
            assert planned <= wait <= planned * 1.2 + 0.1
        assert len({sent.id for sent in receiver.sent}) == 1
        assert [sent.fresh for sent in receiver.sent] == [False, True, True, True, True]
        assert [row["state"] for row in room.rows("delivery")] == ["failed"]
        assert [(row["reason"], row["attempts"]) for row in room.letters()] == [("connection", 5)]
        assert len(room.failed) == 1


async def test_a_receiver_that_asks_for_time_gets_it(autojump_clock):
    async def answer(sent: Sent) -> Result:
        await trio.lowlevel.checkpoint()
        return Result(of_status(429), 429, retry_after="40") if sent.at < 30 else Result(of_status(200), 200)

    receiver = Receiver(answer)
    async with a_room() as room:
        room.begin(receiver)
        room.write(1)
        await trio.sleep(100)

        assert [round(sent.at) for sent in receiver.sent] == [0, 40]


EVENTS = 2_000  # more than an endpoint keeps finished deliveries


async def test_a_receiver_that_is_down_for_a_day_gets_all_events_afterwards(autojump_clock):
    async def answer(sent: Sent) -> Result:
        await trio.sleep(0.01)
        return DOWN if sent.at < DAY else Result(of_status(200), 200)

    receiver, healthy = Receiver(answer), Receiver(ok)
    async with a_room() as room:
        room.begin(receiver)
        room.begin(healthy, "w2")
        room.write(EVENTS)
        while trio.current_time() < DAY:
            await trio.sleep(60)
            assert room.couriers[0].waiting <= 256
        assert len(healthy.took) == EVENTS
        while room.couriers[0].cursor.position < EVENTS:
            await trio.sleep(10)
            assert trio.current_time() < DAY + 3600

        letters = room.letters()
        lost = set(range(EVENTS)) - {sent.note for sent in receiver.took}
        assert len(receiver.took) == len({sent.note for sent in receiver.took})
        assert {letter["position"] - 1 for letter in letters} == lost
        assert len(lost) <= 4  # begun before the circuit opened
        assert len(receiver.sent) < EVENTS + 300  # a day of probes, not a day of hammering
        assert room.disabled == []
        assert len(room.rows("delivery")) <= 2 * 1000


@pytest.mark.timeout(300)
def test_a_day_with_a_dead_receiver_and_bad_ones_is_nothing_to_a_healthy_one():
    """One dead, one answering after 100 s, one dripping, one sending 5 MB, one closing early: with the real sender."""
    findings = simulate(1_000)

    assert findings.complaints == []
    assert (findings.p95, findings.arrived["healthy"]) == (findings.p95_alone, 1_000)


async def test_four_at_once_and_no_more_and_as_many_a_minute_as_are_allowed(autojump_clock):
    wide, paced = Receiver(ok), Receiver(ok)
    async with a_room() as room:
        room.begin(wide, "wide", concurrency=4)
        room.begin(paced, "paced", rate=60)
        room.write(50)
        await trio.sleep(10.5)

        assert (wide.most, len(wide.took)) == (4, 50)
        assert 10 <= len(paced.took) <= 11


async def test_in_order_per_stream_although_one_has_to_be_tried_again(autojump_clock):
    trouble = random.Random(7)

    async def answer(sent: Sent) -> Result:
        await trio.sleep(trouble.random() / 10)
        return DOWN if trouble.random() < 0.2 else Result(of_status(200), 200)

    receiver = Receiver(answer)
    async with a_room() as room:
        room.begin(receiver, ordered=True, concurrency=8)
        for n in range(200):
            room.write(1, first=n, stream=f"note-{n % 5}")
        await trio.sleep(3600)

        order = defaultdict(list)
        for sent in receiver.took:
            order[sent.note % 5].append(sent.note)
        assert sum(map(len, order.values())) + len(room.letters()) == 200
        assert all(notes == sorted(notes) for notes in order.values())


async def test_killed_again_and_again_everything_arrives_with_the_same_id(autojump_clock):
    chance = random.Random(11)
    ids: dict[int, set[str]] = defaultdict(set)

    async def answer(sent: Sent) -> Result:
        ids[sent.note].add(sent.id)
        await trio.sleep(chance.random() / 20)
        return DOWN if chance.random() < 0.1 else Result(of_status(200), 200)

    receiver = Receiver(answer)
    async with a_room() as room:
        room.write(300)
        for _ in range(40):
            scope = room.begin(receiver)
            await trio.sleep(chance.random() / 3)
            scope.cancel()
            await trio.sleep(0.01)
        room.begin(receiver)
        await trio.sleep(1000)

        assert {sent.note for sent in receiver.took} == set(range(300))
        assert all(len(found) == 1 for found in ids.values())
        assert room.couriers[-1].cursor.position == 300
        assert len(receiver.took) < 300 + 40 * 8  # again only what was on its way, or just done


async def test_a_retry_is_due_when_it_was_due_before_the_restart(autojump_clock):
    receiver = Receiver(down)
    async with a_room() as room:
        scope = room.begin(receiver)
        room.write(1)
        await trio.sleep(8)  # two retries are over, the third is due 25 s after the second
        scope.cancel()
        await trio.sleep(10)
        room.begin(receiver)
        await trio.sleep(40)

        assert len(receiver.sent) == 4
        assert 25 <= receiver.sent[3].at - receiver.sent[2].at <= 31


async def test_gone_and_ten_failures_in_a_row_disable(autojump_clock):
    def always(status: int) -> Receiver:
        async def answer(sent: Sent) -> Result:
            await trio.lowlevel.checkpoint()
            return Result(of_status(status), status)

        return Receiver(answer)

    async with a_room() as room:
        room.begin(always(410), "gone")
        room.write(1)
        await trio.sleep(1)
        assert room.disabled == ["the receiver says it is gone (410)"]
        room.begin(always(404), "bad")
        room.write(9)
        await trio.sleep(1)

        assert "10 deliveries in a row failed" in room.disabled


async def test_one_that_does_not_answer_for_five_days_is_given_up(autojump_clock):
    async with a_room() as room:
        room.begin(Receiver(down))
        room.write(300)
        await trio.sleep(4.9 * DAY)
        assert room.disabled == []
        await trio.sleep(0.2 * DAY)

        assert room.disabled
        assert set(room.disabled) == {"the receiver has not answered for days"}


async def test_an_event_that_breaks_the_receiver_does_not_hold_up_the_others(autojump_clock):
    async def answer(sent: Sent) -> Result:
        await trio.sleep(0.01)
        return Result(of_status(500), 500) if sent.note in (3, 4, 5) else Result(of_status(200), 200)

    receiver = Receiver(answer)
    async with a_room() as room:
        room.begin(receiver)
        room.write(100)
        await trio.sleep(600)

        assert {sent.note for sent in receiver.took} == set(range(100)) - {3, 4, 5}


async def test_what_retention_has_removed_is_said_to_be_so(autojump_clock):
    receiver = Receiver(down)
    async with a_room() as room:
        scope = room.begin(receiver)
        room.write(1)
        await trio.sleep(3)
        scope.cancel()
        room.engine.retain(1, "note", room.world.wall_us() + 1, 10)
        room.begin(receiver)
        room.write(1, first=1)
        await trio.sleep(30)

        assert [row["reason"] for row in room.letters()] == ["expired"]


async def test_a_namespace_that_was_emptied_begins_again(autojump_clock):
    receiver = Receiver(ok)
    async with a_room() as room:
        room.begin(receiver)
        room.write(5)
        await trio.sleep(1)
        room.engine.clear_namespace(1)
        room.write(2, first=10)
        await trio.sleep(1)

        assert sorted(sent.note for sent in receiver.took) == [0, 1, 2, 3, 4, 10, 11]


async def test_a_backlog_is_read_in_pages_and_written_down_in_few_writes(autojump_clock):
    """Not once for each place that gets free, nor for each delivery."""
    receiver = Receiver(ok)
    async with a_room() as room:
        room.write(1_000)
        room.begin(receiver)
        await trio.sleep(60)

        assert len(receiver.took) == 1_000

        assert room.reads <= 30
        assert room.writes <= 300
        assert room.couriers[0].cursor.position == 1_000
        assert json.loads(room.engine.state(1, "webhooks", "cursor/w1").value)["position"] == 1_000


async def test_while_nothing_can_be_written_only_so_much_is_sent(autojump_clock):
    receiver = Receiver(ok)
    async with a_room() as room:
        room.full = True
        room.write(1_000)
        room.begin(receiver)
        await trio.sleep(3600)
        sent = len(receiver.took)
        room.full = False
        await trio.sleep(3600)

        assert sent < 150
        assert sorted(took.note for took in receiver.took) == list(range(1_000))  # none twice


async def test_five_days_without_an_answer_are_counted_across_restarts(autojump_clock):
    receiver = Receiver(down)
    async with a_room() as room:
        scope = room.begin(receiver)
        room.write(50)
        for _ in range(5):
            await trio.sleep(DAY - 3600)
            scope.cancel()
            await trio.sleep(10)
            assert room.disabled == []
            scope = room.begin(receiver)
        await trio.sleep(DAY)

        assert "the receiver has not answered for days" in room.disabled


async def test_an_answer_in_between_begins_the_days_anew(autojump_clock):
    async def answer(sent: Sent) -> Result:
        await trio.sleep(0.01)
        return Result(of_status(200), 200) if 3 * DAY < sent.at < 3 * DAY + 3600 else DOWN

    receiver = Receiver(answer)
    async with a_room() as room:
        scope = room.begin(receiver)
        room.write(50)
        await trio.sleep(4 * DAY)
        scope.cancel()
        await trio.sleep(10)
        room.begin(receiver)
        room.write(50, first=50)
        await trio.sleep(3 * DAY)

        assert room.disabled == []
