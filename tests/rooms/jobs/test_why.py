"""What the jobs of an event became, as somebody is told who asks where it went."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from appliance.errors import PeerFailed
from appliance.jobs.why import jobs_why
from appliance.model.event import Draft, Event, Namespace
from appliance.model.jobs import JobRun
from appliance.model.principal import Principal
from tests.rooms.jobs.jobs_room import SPACE, Room, at_once, running

ADMIN = Principal(Namespace(SPACE, "default"), frozenset({"admin"}))
COOK = Principal(Namespace(SPACE, "default"), frozenset({"read"}), memories=frozenset({"kitchen"}))


async def broken(run: JobRun) -> None:
    raise PeerFailed("no connection")


async def reason(room: Room) -> Event:
    (event,) = await room.write(SPACE, [Draft("note-1", "NoteUpdated", "{}")], [])
    return event


async def test_the_jobs_of_an_event_are_told_with_what_became_of_them(autojump_clock: MockClock):
    async with running(Room()) as room:
        why = jobs_why(room.jobs.store, room.catalog, lambda type: room.jobs.kinds.find(type) is not None)
        event = await reason(room)
        room.offer("AtOnce", at_once)
        room.offer("Broken", broken, waits=())
        room.offer("Later", broken)
        room.offer("Gone", at_once, owner="others")
        done, failed = await room.order("AtOnce", cause=event.id), await room.order("Broken", cause=event.id)
        await trio.sleep(1)
        await room.order("Later", cause=event.id)
        gone = await room.order("Gone", cause=event.id, delay=3600.0)
        room.jobs.forget("others")
        cancelled = await room.order("AtOnce", cause=event.id, delay=60.0)
        await room.jobs.desk.cancel(SPACE, cancelled, None)
        await trio.sleep(1)

        legs = await why(ADMIN, event)

        assert [(leg.kind, leg.name, leg.outcome) for leg in legs] == [
            ("job", "AtOnce", "done"),
            ("job", "Broken", "failed"),
            ("job", "Later", "waiting"),
            ("job", "Gone", "waiting"),
            ("job", "AtOnce", "failed"),
        ]
        assert [leg.id for leg in legs][:2] == [done, failed]
        assert legs[0].detail.startswith("attempt 1 of 4, ")
        assert legs[1].detail == "connection_failed, attempt 1 of 1"
        assert legs[2].detail.startswith("connection_failed, attempt 2 of 4 not before ")
        assert legs[3].detail == "nobody does this now: its plugin is not running"
        assert legs[4].detail == "cancelled by a person"
        assert legs[3].id == gone
        assert legs[0].after_ms is not None
        assert await why(ADMIN, await reason(room)) == []


async def test_jobs_of_memories_one_does_not_see_are_not_told(autojump_clock: MockClock):
    async with running(Room()) as room:
        why = jobs_why(room.jobs.store, room.catalog, lambda _: True)
        event = await reason(room)
        room.offer("AtOnce", at_once)
        for memory in ("kitchen", "attic"):
            await room.order("AtOnce", cause=event.id, memory=memory)
        await trio.sleep(1)

        assert len(await why(ADMIN, event)) == 2
        assert len(await why(COOK, event)) == 1
