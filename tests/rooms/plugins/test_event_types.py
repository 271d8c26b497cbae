"""What plugins declare is in the catalog before they start."""

from __future__ import annotations

import pytest

from appliance.errors import Rejected
from appliance.model.event import Event
from appliance.model.types import EventType

GUESTS = """
@plugin.event(stream="guest-{guest_id}")
class GuestArrived:
    guest_id: str
    seats: int = 1

@plugin.event(stream="table-{hall}-{number}")
class TableTaken:
    hall: str
    number: int

@plugin.event(stream="house")
class HouseClosed:
    pass

@plugin.service
async def stay(ctx):
    await ctx.sleep(1000)
"""


async def test_declared_events_are_known_with_their_names_shapes_and_entities(write, hosting, autojump_clock):
    write("guests", GUESTS)
    async with hosting() as running:
        await running.until("guests", "ready")
        catalog = running.catalog

    known = [catalog.find(name) for name in ("guest.arrived", "table.taken", "house.closed")]
    assert [(type.name, type.entity, type.field) for type in known] == [
        ("GuestArrived", "guest", "guest_id"), ("TableTaken", "table", ""), ("HouseClosed", "house", ""),
    ]  # fmt: skip
    assert catalog.decode('{"type":"GuestArrived","guest_id":"7"}').seats == 1
    with pytest.raises(Rejected, match="seats"):
        catalog.decode('{"type":"GuestArrived","guest_id":"7","seats":"many"}')
    event = Event(1, "guest-7", "GuestArrived", 0, 1, "id", '{"guest_id":"7","seats":1}', None, 0)
    assert catalog.view(event).entity_id == "7"


async def test_a_plugin_that_comes_back_declares_its_events_again(write, hosting, autojump_clock):
    write("guests", GUESTS.replace("await ctx.sleep(1000)", "1 / 0"))
    async with hosting() as running:
        await running.until("guests", "parked")
        assert running.catalog.decode('{"type":"GuestArrived","guest_id":"7","seats":2}').seats == 2
        write("guests", GUESTS.replace("seats: int", "chairs: int"))
        running.host.restart("guests")
        await running.until("guests", "ready")

    assert running.catalog.decode('{"type":"GuestArrived","guest_id":"7","chairs":2}').chairs == 2


async def test_two_plugins_with_one_event_name_do_not_both_run(write, hosting, autojump_clock):
    write("guests", GUESTS)
    write("hosts", '@plugin.event(stream="visit-{id}")\nclass GuestArrived:\n    id: str\n')
    async with hosting() as running:
        states = {name: await running.until(name, state) for name, state in (("guests", "ready"), ("hosts", "parked"))}

    assert states["hosts"].reason.startswith("event type GuestArrived is declared already, by plugin guests")
    assert "name" in states["hosts"].hint


async def test_two_plugins_may_share_an_event_that_both_declare_alike(write, hosting, autojump_clock):
    write("guests", GUESTS)
    write("more", GUESTS)
    async with hosting() as running:
        assert (await running.until("more", "ready")).reason == ""
        await running.until("guests", "ready")


async def test_a_plugin_does_not_take_the_name_of_a_core_event(write, hosting, autojump_clock):
    write("jobs", '@plugin.event(stream="job-{id}")\nclass JobQueued:\n    id: str\n')
    async with hosting() as running:
        status = await running.until("jobs", "parked")

    assert "JobQueued" in status.reason
    assert isinstance(running.catalog.find("JobQueued"), EventType)
