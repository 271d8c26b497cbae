"""A client's own message does not come back to it."""

from __future__ import annotations

import trio
from hypothesis import given
from hypothesis import strategies as st

from appliance.egress.broadcast.dialect import ChannelDialect
from appliance.egress.broadcast.seats import Seat, Seats
from appliance.egress.broadcast.sieve import MOST, Sieve
from appliance.model.event import Event
from tests.machines.egress.broadcast.wire import texts


class Taker:
    """An outlet that takes everything, or nothing."""

    def __init__(self) -> None:
        self.data = b""
        self.willing = True
        self.ended: tuple[int, str] | None = None

    @property
    def sent(self) -> int:
        return len(self.data)

    def offer(self, data: bytes) -> bool:
        if self.willing:
            self.data += data
        return self.willing

    async def send_all(self, data: bytes) -> None:
        self.data += data

    async def drained(self) -> None: ...

    def kill(self) -> None:
        self.end(0)

    def end(self, code: int, reason: str = "") -> None:
        self.ended = code, reason

    @property
    def ids(self) -> list[str]:
        return [said["id"] for said in texts(self.data)]


def message(id: str, size: int = 0) -> bytes:
    return ChannelDialect("a").encode(Event(1, "channel-a", "e", 0, 1, id, f'{{"x":"{"y" * size}"}}', None, 0))


@given(
    st.lists(st.sampled_from([0, 40, 200, 70_000]), min_size=1, max_size=8), st.sets(st.integers(0, 7)), st.booleans()
)
def test_what_is_hidden_is_left_out_once_and_all_else_is_whole(sizes: list[int], hidden: set[int], waits: bool):
    taker = Taker()
    sieve = Sieve(taker)
    ids = [f"id-{number}" for number in range(len(sizes))]
    for number in hidden & set(range(len(sizes))):
        sieve.hide(ids[number])
    data = b"".join(message(id, size) for id, size in zip(ids, sizes, strict=True))

    if waits:
        trio.run(lambda: sieve.send_all(data))
    else:
        assert sieve.offer(data)

    assert taker.ids == [id for number, id in enumerate(ids) if number not in hidden]
    assert sieve.hidden == 0


def test_a_message_that_was_not_taken_stays_hidden():
    taker = Taker()
    taker.willing = False
    sieve = Sieve(taker)
    sieve.hide("b")

    refused = sieve.offer(message("a") + message("b"))
    taker.willing = True
    taken = sieve.offer(message("a") + message("b"))

    assert (refused, taken, taker.ids, sieve.hidden) == (False, True, ["a"], 0)


def test_nothing_stands_between_a_connection_and_its_bytes_unless_something_is_hidden():
    taker = Taker()
    sieve = Sieve(taker)
    before = sieve.offer

    sieve.hide("b")
    during = sieve.offer
    sieve.unhide("b")

    assert before == taker.offer == sieve.offer != during


def test_what_never_comes_is_not_kept_for_ever():
    sieve = Sieve(Taker())

    for number in range(MOST + 50):
        sieve.hide(f"never-{number}")

    assert sieve.hidden == MOST


def test_the_rest_of_an_outlet_is_passed_on():
    taker = Taker()
    sieve = Sieve(taker)
    sieve.offer(b"12345")

    sieve.end(4008, "slow")

    assert (sieve.sent, taker.ended) == (5, (4008, "slow"))


def test_seats_are_counted_by_namespace_and_channel():
    seats = Seats()
    one, two, other = (Seat(id, space, Sieve(Taker())) for id, space in (("1", 1), ("2", 1), ("3", 2)))

    with seats.taken(one), seats.taken(other):
        with seats.taken(two):
            for seat in (one, two, two, other):
                seats.join(seat, "order")
            seats.join(one, "contact")
            assert (seats.count(1, "order"), seats.count(2, "order"), seats.connections(1)) == (2, 1, 2)
        seats.leave(two, "order")
        assert (seats.count(1, "order"), seats.channels(1), seats.connections(1)) == (1, ["order", "contact"], 1)
        seats.leave(one, "order")
        seats.leave(one, "order")
        assert (seats.count(1, "order"), seats.channels(1)) == (0, ["contact"])

    assert (seats.channels(1), seats.channels(2), seats.connections(1)) == ([], [], 0)


def test_a_message_is_hidden_only_where_it_would_come():
    seats = Seats()
    seat = Seat("1", 1, Sieve(Taker()))

    with seats.taken(seat):
        seats.join(seat, "order")
        for namespace, connection, channel in ((1, "1", "contact"), (2, "1", "order"), (1, "2", "order")):
            seats.hide(namespace, connection, channel, "m")
        assert seat.outlet.hidden == 0
        seats.hide(1, "1", "order", "m")
        assert seat.outlet.hidden == 1
        seats.unhide("1", "m")
    seats.unhide("1", "m")

    assert seat.outlet.hidden == 0
