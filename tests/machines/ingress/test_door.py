"""What the door lets through: events and changes of state of one namespace, as every engine can store them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from appliance.errors import Forbidden, Rejected, TooLarge
from appliance.ingress.door import LONGEST_NAME, Door
from appliance.log.ticket import Ticket
from appliance.model.event import Draft, Event, Imported, Namespace, Unit
from appliance.model.principal import READ, WRITE, Principal
from appliance.model.state import StateChange, StateCheck

NOTED = Draft("note-1", "Noted", "{}")
WRITER = Principal(Namespace(1, "default"), frozenset({WRITE}))


class FakeLog:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.units: list[Unit] = []

    def submit(self, unit: Unit) -> Ticket[tuple[Event, ...]]:
        self.units.append(unit)
        return Ticket()

    async def import_batch(self, namespace: int, records: Sequence[Imported]) -> tuple[Event, ...]:
        raise NotImplementedError("nothing is imported here")


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


def test_events_changes_and_checks_leave_as_one_unit(log):
    change, check = StateChange(1, "plugin:notes", "a", '{"n":"\\u0000é"}'), StateCheck(1, "plugin:notes", "b", 0)

    Door(log).write(WRITER, [NOTED], key="k", fingerprint=b"1", changes=[change], checks=[check])
    Door(log).write(WRITER, [NOTED])
    Door(log).write(WRITER, (), changes=[change])

    assert log.units == [
        Unit(1, (NOTED,), "k", b"1", (change,), (check,)),
        Unit(1, (NOTED,)),
        Unit(1, (), changes=(change,)),
    ]


@pytest.mark.parametrize(
    "state",
    [
        {"changes": [StateChange(2, "notes", "a", "1")]},
        {"checks": [StateCheck(2, "notes", "a", 0)]},
    ],
)
def test_state_of_another_namespace_is_out_of_reach(log, state):
    with pytest.raises(Forbidden):
        Door(log).write(WRITER, [NOTED], **state)

    assert log.units == []


def test_who_may_only_read_changes_nothing(log):
    reader = Principal(Namespace(1, "default"), frozenset({READ}))

    with pytest.raises(Forbidden):
        Door(log).write(reader, (), changes=[StateChange(1, "notes", "a", "1")])

    assert log.units == []


@pytest.mark.parametrize(
    "state",
    [
        {"changes": [StateChange(1, "", "a", "1")]},
        {"changes": [StateChange(1, "notes", "", "1")]},
        {"changes": [StateChange(1, "notes", "a\0", "1")]},
        {"changes": [StateChange(1, "notes", "half \ud800", "1")]},
        {"changes": [StateChange(1, "notes", "x" * (LONGEST_NAME + 1), "1")]},
        {"changes": [StateChange(1, "notes", "a", '"\ud800"')]},
        {"changes": [StateChange(1, "notes", "a", "1", index=(("", "x"),))]},
        {"changes": [StateChange(1, "notes", "a", "1", index=(("tag", "\udfff"),))]},
        {"changes": [StateChange(1, "notes", "a", "1", index=(("tag", "x" * (LONGEST_NAME + 1)),))]},
        {"checks": [StateCheck(1, "notes", "", 0)]},
        {"checks": [StateCheck(1, "\ud800", "a", 0)]},
    ],
)
def test_what_an_engine_could_not_store_or_find_is_refused(log, state):
    with pytest.raises(Rejected):
        Door(log).write(WRITER, (), **state)

    assert log.units == []


def test_value_is_limited_with_what_it_is_found_by(log):
    door = Door(log, event_limit=100)
    door.write(WRITER, (), changes=[StateChange(1, "notes", "a", "1" * 99)])

    with pytest.raises(TooLarge) as bare:
        door.write(WRITER, (), changes=[StateChange(1, "notes", "a", "1" * 100)])
    with pytest.raises(TooLarge):
        door.write(WRITER, (), changes=[StateChange(1, "notes", "a", "1" * 90, index=(("tag", "123456"),))])

    assert bare.value.facts == {"limit": 100, "size": 101}
    assert len(log.units) == 1
