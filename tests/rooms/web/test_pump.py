"""Connections without a task: what comes later is sent by whoever brings it, in order, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import trio

from appliance.model.http import Answer, Lane, Request, Response, Route, Stream
from appliance.web import pump
from tests.rooms.web.house import LIMITS, Peer, a_house, get, post


class Promised:
    """An answer that tells when it is there, as a reply of the log does."""

    tells = True

    def __init__(self, request: Request) -> None:
        self.query = request.raw_query
        self.done = False
        self.asked = 0
        self._answer: Answer | Exception = Response()
        self._then: Callable[[], object] | None = None

    def tell(self, then: Callable[[], object]) -> None:
        self.asked += 1
        self._then = then

    def result(self) -> Answer:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def keep(self, answer: Answer | Exception | None = None) -> None:
        self._answer = answer or Response(200, self.query.encode())
        self.done = True
        if self._then is not None:
            self._then()

    def __await__(self):
        ready = trio.Event()
        self._then = ready.set
        while not self.done:
            yield from ready.wait().__await__()
        return self.result()


class Promises:
    """Routes whose answers the test gives, and a few others beside them."""

    def __init__(self) -> None:
        self.begun: list[Promised] = []

    def routes(self, _: list[str]) -> list[Route]:
        def later(request: Request) -> Promised:
            self.begun.append(Promised(request))
            return self.begun[-1]

        async def coroutine(request: Request) -> Response:
            await trio.lowlevel.checkpoint()
            return Response(200, b"coroutine")

        async def rest(_: Request) -> Response:
            return Response(200, b"rest")

        return [
            Route("*", "/later", later, "later", lane=Lane.FAST),
            Route("GET", "/now", lambda _: Response(200, b"now"), "now", lane=Lane.FAST),
            Route("GET", "/coroutine", coroutine, "coroutine", lane=Lane.FAST),
            Route("GET", "/rest", rest, "rest"),
            Route("GET", "/big", lambda _: Response(200, bytes(8_000_000)), "big", lane=Lane.FAST),
        ]

    async def so_many(self, count: int) -> None:
        while len(self.begun) < count:
            await trio.lowlevel.checkpoint()

    def named(self, query: str) -> Promised:
        return next(each for each in self.begun if each.query == query)


def tasks() -> int:
    """How many tasks there are in all."""
    return trio.lowlevel.current_statistics().tasks_living


async def test_idle_and_waiting_connections_have_no_task():
    promises = Promises()
    async with a_house(promises.routes) as house:
        await (await house.peer()).ask(get("/rest"))  # the framework is warm
        await _moments()
        before = tasks()
        peers = [await house.peer() for _ in range(50)]
        for peer in peers:
            await peer.send(get("/later"))
        await promises.so_many(50)

        waiting = tasks()
        for each in promises.begun:
            each.keep()
        replies = [await peer.reply() for peer in peers]

        assert (waiting, tasks()) == (before, before)
        assert {reply.status for reply in replies} == {200}


async def test_answers_of_one_read_leave_with_one_write_whatever_their_order():
    promises = Promises()
    async with a_house(promises.routes) as house:
        peer = await house.peer()
        await peer.send(get("/later?1") + get("/now") + get("/later?2") + get("/later?3"))
        await promises.so_many(3)
        for query in ("3", "1", "2"):
            promises.named(query).keep()

        bodies = [(await peer.reply()).body for _ in range(4)]

        assert bodies == [b"1", b"now", b"2", b"3"]
        assert [promises.named(query).asked for query in "123"] == [1, 1, 1]


async def test_next_read_begins_while_the_first_still_waits():
    promises = Promises()
    async with a_house(promises.routes) as house:
        peer = await house.peer()
        await peer.send(get("/later?1"))
        await promises.so_many(1)
        await peer.send(get("/later?2") + get("/now"))
        await promises.so_many(2)
        promises.named("2").keep()
        promises.named("1").keep()

        bodies = [(await peer.reply()).body for _ in range(3)]

        assert bodies == [b"1", b"2", b"now"]


async def test_other_lanes_wait_for_what_was_promised_before_them():
    promises = Promises()
    async with a_house(promises.routes) as house:
        peer = await house.peer()
        await peer.send(get("/later?1") + get("/coroutine") + get("/rest") + get("/later?2") + get("/now"))
        await promises.so_many(1)
        promises.named("1").keep()
        first = [(await peer.reply()).body for _ in range(3)]
        await promises.so_many(2)
        promises.named("2").keep()

        bodies = first + [(await peer.reply()).body for _ in range(2)]

        assert bodies == [b"1", b"coroutine", b"rest", b"2", b"now"]
        assert (await peer.ask(get("/now"))).body == b"now"


async def test_promise_may_end_as_a_stream_or_as_an_error():
    promises = Promises()

    async def run(exchange) -> None:
        await exchange.write(b"piece")

    async with a_house(promises.routes) as house:
        peer = await house.peer()
        await peer.send(get("/later?1") + get("/later?2") + get("/later?3"))
        await promises.so_many(3)
        promises.named("1").keep(Stream(run))
        promises.named("2").keep(KeyError("a bug"))
        promises.named("3").keep()

        replies = [await peer.reply() for _ in range(3)]

        assert [(reply.status, reply.body[:5]) for reply in replies] == [(200, b"piece"), (500, b'{"typ'), (200, b"3")]


async def test_bad_request_is_refused_after_what_was_promised_before_it():
    promises = Promises()
    async with a_house(promises.routes) as house:
        peer = await house.peer()
        await peer.send(get("/later?1") + get("/now", "Host: b") + get("/later?smuggled"))
        await promises.so_many(1)
        promises.named("1").keep()

        replies = [await peer.reply(), await peer.reply()]

        assert [reply.status for reply in replies] == [200, 400]
        assert await peer.rest() == b""
        assert len(promises.begun) == 1


async def test_peer_that_has_ended_its_side_still_gets_its_answers():
    promises = Promises()
    async with a_house(promises.routes) as house:
        peer = await house.peer()
        await peer.send(get("/later?1") + get("/later?2"))
        assert isinstance(peer.stream, trio.SocketStream)
        await peer.stream.send_eof()
        await promises.so_many(2)
        for each in promises.begun:
            each.keep()

        answers = await peer.rest()

        assert answers.count(b"HTTP/1.1 200 OK") == 2
        await house.settled()


async def test_peer_that_leaves_before_its_answers_is_no_bug():
    promises = Promises()
    async with a_house(promises.routes) as house:
        peer, witness = await house.peer(), await house.peer()
        await peer.send(get("/later?1"))
        await promises.so_many(1)
        await trio.aclose_forcefully(peer.stream)
        await _moments()
        promises.begun[0].keep()
        await witness.ask(get("/now"))
        await house.settled(1)

        assert house.front.counts["bugs"] == 0


async def test_begun_answers_are_bounded_and_reading_goes_on_below_the_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pump, "MOST_BEGUN", 4)
    promises = Promises()
    async with a_house(promises.routes) as house:
        peer = await house.peer()
        for number in range(4):
            await peer.send(get(f"/later?{number}"))
            await promises.so_many(number + 1)
        await peer.send(get("/later?4"))
        await _moments()
        held_back = len(promises.begun)
        for number in range(4):
            promises.named(str(number)).keep()
        await promises.so_many(5)
        promises.named("4").keep()

        bodies = [(await peer.reply()).body for _ in range(5)]

        assert held_back == 4
        assert bodies == [b"0", b"1", b"2", b"3", b"4"]


async def test_slow_reader_gets_a_task_and_returns_when_it_is_level():
    promises = Promises()
    async with a_house(promises.routes) as house:
        peer = await house.peer()
        await peer.ask(get("/rest"))  # the framework is warm
        await _moments()
        before = tasks()
        await peer.send(get("/big") + get("/now"))
        await _moments()
        behind = tasks()

        big, small = await peer.reply(), await peer.reply()
        await _moments()

        assert (len(big.body), small.body) == (8_000_000, b"now")
        assert behind > before
        assert tasks() == before
        assert (await peer.ask(get("/now"))).body == b"now"


async def test_crash_while_serving_one_peer_ends_only_that_peer(monkeypatch: pytest.MonkeyPatch):
    promises = Promises()
    async with a_house(promises.routes) as house:
        one, other, waiting = [await house.peer() for _ in range(3)]
        await waiting.send(get("/later?1"))
        await promises.so_many(1)
        monkeypatch.setattr(house.front._shared.renderer, "response", lambda *_, **__: 1 / 0)
        await one.send(get("/now"))
        gone = await one.rest()
        promises.begun[0].keep()  # whoever brings the answer is not hurt
        gone += await waiting.rest()
        monkeypatch.undo()

        assert gone == b""
        assert house.front.counts["bugs"] == 2
        assert (await other.ask(get("/now"))).body == b"now"


async def test_drain_waits_for_what_was_promised_and_says_close():
    promises = Promises()
    async with a_house(promises.routes) as house:
        peer = await house.peer()
        await peer.send(get("/later?1") + get("/later?2"))
        await promises.so_many(2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.front.drain)
            await trio.testing.wait_all_tasks_blocked()
            for each in promises.begun:
                each.keep()
            replies = [await peer.reply(), await peer.reply()]

        assert ["connection" in reply.headers for reply in replies] == [False, True]
        assert await peer.rest() == b""
        assert house.front.counts["connections"] == 0


async def test_promise_has_no_deadline_and_the_peer_has_one_afterwards(mock_clock: trio.testing.MockClock):
    promises = Promises()
    async with a_house(promises.routes, limits=replace(LIMITS, idle=50.0)) as house:
        peer = await house.peer()
        await peer.send(get("/later?1"))
        await promises.so_many(1)
        await _pass(mock_clock, 300.0)
        promises.begun[0].keep()
        reply = await peer.reply()
        await _pass(mock_clock, 49.0)
        idle = house.front.counts["connections"]
        await _pass(mock_clock, 3.0)

        assert (reply.body, idle) == (b"1", 1)
        assert await peer.rest() == b""


async def test_one_that_floods_does_not_keep_another_waiting():
    async with a_house(Promises().routes) as house:
        flooding, modest = await house.peer(), await house.peer()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_flood, flooding)

            replies = [await modest.ask(get("/now")) for _ in range(20)]

            nursery.cancel_scope.cancel()
        assert [reply.body for reply in replies] == [b"now"] * 20


async def test_body_in_pieces_is_asked_for_after_the_answers_before_it():
    promises = Promises()
    async with a_house(promises.routes) as house:
        peer = await house.peer()
        held_back = get("/later?2", "Expect: 100-continue", "Content-Length: 5", method="POST")
        await peer.send(get("/later?1") + held_back)
        await promises.so_many(1)
        promises.named("1").keep()
        before = [(await peer.reply()).status, (await peer.reply()).status]
        await peer.send(b"hello" + post("/later?3", b"x"))
        await promises.so_many(3)
        for query in "23":
            promises.named(query).keep()

        bodies = [(await peer.reply()).body for _ in range(2)]

        assert before == [200, 100]
        assert bodies == [b"2", b"3"]


async def _flood(peer: Peer) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.rest)
        while True:
            await peer.send(get("/now") * 500)


async def _moments() -> None:
    """Real sockets need real moments."""
    for _ in range(300):
        await trio.lowlevel.checkpoint()


async def _pass(clock: trio.testing.MockClock, seconds: float) -> None:
    for _ in range(int(seconds)):
        await trio.testing.wait_all_tasks_blocked()
        clock.jump(1.0)
    await trio.testing.wait_all_tasks_blocked()
