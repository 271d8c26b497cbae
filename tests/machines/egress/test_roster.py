"""The roster: exact counts, limits, and whose sign of life is due."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.egress.clients.roster import Entry, Roster
from appliance.errors import TooManyClients
from appliance.model.clients import Habits
from appliance.model.event import Event, Namespace
from appliance.model.principal import Principal
from appliance.model.topic import Topic

PINGED = Habits("eventing", "websocket", 30.0, 90.0, lambda now: b"ping")
COMMENTED = Habits("pokes", "sse", 15.0, math.inf, lambda now: b"comment")


class Peer:
    sent = 7


class Place:
    """A reading that lags by so much."""

    def __init__(self, lag: int) -> None:
        self.lag = lag
        self.topic = Topic(1)

    def sent(self, event: Event) -> bool | None:
        return None


def entry(
    number: int = 0, *, token: str = "t", address: str = "10.0.0.1", habits: Habits = PINGED, now: float = 0.0
) -> Entry:
    principal = Principal(Namespace(1, "default"), subject="anna", token_id=token)
    outlet = cast(Any, Peer())
    return Entry(str(number), principal, address, habits, outlet, None, connected=0, joined=now)


def roster(total: int = 100, per_address: int = 100, per_subject: int = 100) -> Roster:
    return Roster(total, per_address=per_address, per_subject=per_subject)


@pytest.mark.parametrize(
    ("limits", "told"),
    [({"total": 2}, "clients.limit"), ({"per_address": 2}, "clients.per_address"), ({"per_subject": 2}, "per_subject")],
)
def test_the_one_too_many_is_told_which_limit_and_when_to_return(limits: dict[str, int], told: str):
    """test_connection_limit_dos"""
    room = roster(**limits)
    entries = [entry(number) for number in range(2)]
    for one in entries:
        room.enter(one)
    with pytest.raises(TooManyClients, match="2 live connections") as refused:
        room.enter(entry(2))
    assert (refused.value.status, refused.value.retry_after) == (503, 5)
    assert told in refused.value.hint
    room.leave(entries[0])
    room.enter(entry(2))
    assert len(room) == 2


def test_loopback_has_no_limit_per_address_and_anonymous_no_limit_per_subject():
    room = roster(per_address=1, per_subject=1)
    for number, address in enumerate(["127.0.0.1", "127.0.0.1", "::1", "::1"]):
        room.enter(entry(number, token=str(number), address=address))
    for number in range(4, 6):
        one = entry(number, address=f"10.0.0.{number}")
        one.principal = None
        room.enter(one)
    assert len(room) == 6


def test_leaving_twice_counts_once():
    room = roster(per_subject=1)
    one = entry()
    room.enter(one)
    room.leave(one)
    room.leave(one)
    room.enter(entry(1))
    with pytest.raises(TooManyClients):
        room.check(one.principal, one.address)


def test_signs_of_life_come_each_in_its_own_rhythm():
    """test_heartbeat_ping_pong_30s"""
    room = roster()
    early, late, stream = entry(1), entry(2, now=10.0), entry(3, habits=COMMENTED)
    for one in (early, late, stream):
        room.enter(one)
    assert room.next_due() == 15.0
    seen: list[tuple[float, str]] = []
    for now in (14.0, 15.0, 30.0, 40.0, 45.0, 60.0):
        for _, entries in room.due(now):
            seen += [(now, one.id) for one in entries]
    assert sorted(seen) == sorted(
        [(15.0, "3"), (30.0, "1"), (30.0, "3"), (40.0, "2"), (45.0, "3"), (60.0, "1"), (60.0, "3")]
    )
    room.leave(stream)
    assert room.next_due() == 70.0


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60))
def test_counts_are_those_of_a_set(moves: list[tuple[int, bool]]):
    """test_connection_tracking (#42)"""
    room, here = roster(), dict[int, Entry]()
    for number, comes in moves:
        if comes and number not in here:
            here[number] = entry(number, token=f"t{number % 3}")
            room.enter(here[number])
        elif not comes and number in here:
            room.leave(here.pop(number))
    assert len(room) == len(here)
    assert {one.id for one in room} == {str(number) for number in here}
    for one in list(here.values()):
        room.leave(one)
    assert (len(room), room.next_due(), room._addresses, room._subjects) == (0, math.inf, {}, {})


def test_a_row_tells_what_an_operator_asks():
    one = entry(4, habits=COMMENTED)
    one.topics, one.readings = ("order",), (Place(1), Place(2))
    one.received()
    assert one.row(1.0) == {
        "id": "4",
        "subject": "anna",
        "namespace": "default",
        "address": "10.0.0.1",
        "transport": "sse",
        "dialect": "pokes",
        "topics": ["order"],
        "connected_at": "1970-01-01T00:00:00.000000Z",
        "idle_s": None,
        "latency_ms": None,
        "lag": 3,
        "bytes": 7,
        "received": 1,
    }


def test_a_connection_is_its_callers_by_token_or_else_by_name():
    mine, nobody = entry(token="t"), entry(token="")
    space = Namespace(1, "default")

    assert mine.is_of(Principal(space, subject="other", token_id="t"))
    assert not mine.is_of(Principal(space, subject="anna", token_id="u"))
    assert not mine.is_of(Principal(Namespace(2, "other"), subject="anna", token_id="t"))
    assert nobody.is_of(Principal(space, subject="anna"))
    nobody.principal = None
    assert not nobody.is_of(Principal(space))
