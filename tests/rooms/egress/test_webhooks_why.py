"""What became of an event at a webhook, told by its courier, on the virtual clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import trio
from msgspec.structs import replace as changed

from appliance.egress.webhooks.endpoint import Cursor
from appliance.egress.webhooks.entry import Entry
from appliance.egress.webhooks.sender import Result
from appliance.egress.webhooks.verdicts import of_status
from appliance.egress.webhooks.why import webhooks_why
from appliance.model.event import Namespace, Query
from appliance.model.legs import Leg
from appliance.model.principal import Principal
from tests.rooms.egress.courier_room import EPOCH, Receiver, Room, Sent, a_room, down, ok

ADMIN = Principal(Namespace(1, "default"), frozenset({"admin"}))
URL = "http://example.org/"  # it has no name
READER = replace(ADMIN, scopes=frozenset({"read"}))


async def refused(sent: Sent) -> Result:
    await trio.sleep(0.25)
    return Result(of_status(404), 404)


async def never(sent: Sent) -> Result:
    await trio.sleep_forever()
    raise AssertionError


async def leg(room: Room, who: Principal = ADMIN, number: int = 0, **entry: Any) -> Leg | None:
    """Of the newest courier, about one of the events."""
    courier = room.couriers[-1]
    told = Entry(**{"endpoint": courier.endpoint, "cursor": courier.cursor, "courier": courier, **entry})
    why = webhooks_why(lambda namespace: [told], room.store, room.catalog, room.world)
    event = (await room.events(Query(1)))[number]
    legs = await why(who, event)
    return legs[0] if legs else None


async def test_what_was_delivered_tells_when_the_answer_came(autojump_clock):
    async with a_room() as room:
        room.begin(Receiver(ok), name="erp")
        room.write(1)
        await trio.sleep(1)
        found = await leg(room)

    assert found is not None
    assert (found.kind, found.name, found.outcome, found.detail) == ("webhook", "erp", "done", "200")
    assert found.after_ms is not None
    assert 10 <= found.after_ms < 100
    assert found.at.startswith("2026-01-01T00:00:00.0")


async def test_what_waits_for_another_attempt_says_when(autojump_clock):
    async with a_room() as room:
        room.begin(Receiver(down))
        room.write(1)
        await trio.sleep(0.5)
        found = await leg(room)

    assert found is not None
    assert (found.name, found.outcome) == (URL, "waiting")
    assert found.detail in ("connection, next attempt in 1 s", "connection, next attempt in 0 s")


async def test_what_is_out_is_on_its_way_and_what_is_not_read_yet_waits(autojump_clock):
    async with a_room() as room:
        room.begin(Receiver(never), concurrency=1)
        room.write(1)
        await trio.sleep(0.5)
        out = await leg(room)
        room.courier(Receiver(never), id="w2")  # does not run
        room.write(2, first=1)
        unread = await leg(room, number=2)

    assert out is not None
    assert (out.outcome, out.detail) == ("waiting", "on its way")
    assert unread is not None
    assert (unread.outcome, unread.detail) == ("waiting", "3 events to look at first")


async def test_what_failed_for_good_is_on_the_shelf(autojump_clock):
    async with a_room() as room:
        room.begin(Receiver(refused))
        room.write(1)
        await trio.sleep(1)
        found = await leg(room)

    assert found is not None
    assert (found.outcome, found.detail) == ("failed", "404; put on the shelf of dead letters")
    assert found.id == room.letters()[0]["delivery"]


async def test_an_open_circuit_says_when_it_is_asked_again(autojump_clock):
    async with a_room() as room:
        room.begin(Receiver(down))
        room.write(30)
        await trio.sleep(15)
        found = await leg(room, number=29)

    assert found is not None
    assert found.outcome == "waiting"
    assert found.detail.startswith("its circuit is open, asked again in ")


async def test_what_is_not_for_it_says_which_part_of_its_wish(autojump_clock):
    async with a_room() as room:
        room.begin(Receiver(ok), condition="n > 100", created=EPOCH)
        room.write(1)
        await trio.sleep(1)
        missed = await leg(room)
        courier = room.couriers[-1]
        endpoint = changed(courier.endpoint, condition="", created=EPOCH * 2)
        later = await leg(room, endpoint=endpoint, courier=None)
        before = await leg(room, endpoint=endpoint, courier=None, cursor=Cursor(9))
        silent = await leg(room, endpoint=changed(endpoint, active=False, reason="paused", created=0), courier=None)

    assert missed == Leg("webhook", URL, "skipped", "`data.n` is 0, needed > 100")
    assert (courier.wanted.unanswered, room.rows("delivery")) == (0, [])
    assert later is not None
    assert (later.outcome, later.detail) == ("waiting", "1 event to look at first")
    assert before == Leg("webhook", URL, "skipped", "it was made after the event")
    assert silent is not None
    assert (silent.outcome, silent.detail) == ("waiting", "not active: paused")


async def test_what_its_condition_cannot_answer_is_not_told_and_is_counted(autojump_clock):
    async with a_room() as room:
        room.begin(Receiver(ok), condition="total > 100 || n == 1")
        room.write(3)
        await trio.sleep(1)
        wanted = room.couriers[-1].wanted

    assert (wanted.unanswered, wanted.trouble) == (3, "`data.total` is missing")
    assert room.rows("delivery") == []


async def test_one_without_a_courier_is_told_from_what_is_kept(autojump_clock):
    async with a_room() as room:
        scope = room.begin(Receiver(ok))
        room.write(2)
        await trio.sleep(1)
        scope.cancel()
        kept = await leg(room, number=1, courier=None)
        endpoint = room.couriers[-1].endpoint
        await room.store.delete(endpoint)
        forgotten = await leg(room, number=1, courier=None)

    assert kept is not None
    assert (kept.outcome, kept.detail) == ("done", "200")
    assert forgotten == Leg("webhook", URL, "done", "it is over; what came of it is not kept any more")


async def test_webhooks_are_an_admins_to_see_and_of_its_memories(autojump_clock):
    async with a_room() as room:
        room.begin(Receiver(ok), memories=("home",))
        room.write(1)
        await trio.sleep(1)
        seen = [
            await leg(room, who)
            for who in (
                READER,
                replace(ADMIN, memories=frozenset({"work"})),
                replace(ADMIN, memories=frozenset({"home"})),
            )
        ]

    assert [one is not None for one in seen] == [False, False, True]
    assert seen[2] is not None
    assert seen[2].detail == "the event is in no memory, wanted home"
