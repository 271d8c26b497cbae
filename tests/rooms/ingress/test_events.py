"""Events in by REST, shown again, and traced, over a log in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from appliance.egress.envelope import envelope
from appliance.errors import ApplianceError, Conflict, Forbidden, KeyReused, NotFound, Rejected
from appliance.ingress.events import Events
from appliance.ingress.passages import Passages
from appliance.model.event import Event, Namespace, Query
from appliance.model.http import Request, Response
from appliance.model.legs import Leg
from appliance.model.principal import Principal
from appliance.world import RealWorld
from tests.fixtures.notes import catalog_of_48
from tests.rooms.ingress.room import Room, a_room

SPACE = Namespace(1, "default")
ADMIN = Principal(SPACE, frozenset({"admin"}), subject="ann")
WRITER = Principal(SPACE, frozenset({"write", "read"}), subject="bob")
BOUND = replace(WRITER, memories=frozenset({"work"}))
READER = Principal(SPACE, frozenset({"read"}))
STRANGER = replace(ADMIN, namespace=Namespace(2, "other"))

NOTE = {"type": "NoteDeleted", "note_id": "n1"}
STATUS = {"type": "QueueStatus", "total_jobs": 1, "running": 1, "pending": 0}


@dataclass
class Desk:
    """The endpoints, and whoever listens."""

    room: Room
    announced: list[Event] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    passages: Passages = field(default_factory=Passages)

    def __post_init__(self) -> None:
        catalog = catalog_of_48()

        async def find(namespace: int, id: str) -> Event | None:
            return await self.room.log.reading(lambda reader: reader.find(namespace, id))

        events = Events(
            self.room.door,
            catalog,
            self.room.log,
            RealWorld(),
            find=find,
            announce=self.announced.append,
            render=lambda event: envelope(event, catalog.view(event), "pascal"),
            whys=[self.known, self.known_elsewhere],
            passage=self.passages.of,
        )
        self.post_route, self.show_route, self.trace_route, self.why_route = events.routes()

    async def known(self, viewer: Principal, event: Event) -> Sequence[Leg]:
        return self.legs

    async def known_elsewhere(self, viewer: Principal, event: Event) -> Sequence[Leg]:
        return [Leg("webhook", viewer.subject, "skipped", event.type)]

    async def post(self, body: Any, who: Principal = WRITER, **headers: str) -> tuple[int, Any]:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._ask(self.post_route.handler, Request("POST", "/", "", names, text, principal=who))

    async def show(self, id: str, who: Principal = WRITER, query: str = "") -> dict[str, Any]:
        request = Request("GET", "/", query, principal=who, params={"event_id": id})
        return (await self._ask(self.show_route.handler, request))[1]  # type: ignore[no-any-return]

    async def trace(self, id: str, who: Principal = WRITER) -> dict[str, Any]:
        request = Request("GET", "/", principal=who, params={"event_id": id})
        return (await self._ask(self.trace_route.handler, request))[1]  # type: ignore[no-any-return]

    async def why(self, id: str, who: Principal = WRITER) -> dict[str, Any]:
        request = Request("GET", "/", principal=who, params={"event_id": id})
        return (await self._ask(self.why_route.handler, request))[1]  # type: ignore[no-any-return]

    async def _ask(self, handler: Any, request: Request) -> tuple[int, Any]:
        answer: Response = await handler(request)
        return answer.status, json.loads(answer.body)


@asynccontextmanager
async def a_desk() -> AsyncIterator[Desk]:
    async with a_room() as room:
        yield Desk(room)


async def test_a_posted_event_is_stored_and_shown_in_its_envelope():
    async with a_desk() as desk:
        status, receipt = await desk.post({**NOTE, "memory": "work", "correlation_id": "c"})
        shown = await desk.show(receipt["id"], ADMIN)

    assert (status, receipt["seq"], receipt["position"], receipt["stream"]) == (201, 1, 0, "note-n1")
    assert (shown["type"], shown["note_id"], shown["memory"]) == ("NoteDeleted", "n1", "work")
    assert (shown["actor"], shown["correlation_id"]) == ({"kind": "user", "id": "bob"}, "c")


async def test_an_array_is_written_together_or_not_at_all():
    async with a_desk() as desk:
        with pytest.raises(Rejected, match=r"^\[1\]"):
            await desk.post([NOTE, {"type": "NoteDeleted"}])
        status, batch = await desk.post([NOTE, STATUS, {**NOTE, "note_id": "n2"}])

    first, passing, second = batch["events"]
    assert status == 201
    assert (first["seq"], second["seq"]) == (1, 2)
    assert (passing["ephemeral"], passing["seq"], "position" in passing) == (True, 2, False)
    assert [event.type for event in desk.room.published] == ["NoteDeleted", "NoteDeleted"]


async def test_what_is_not_stored_is_told_and_forgotten():
    async with a_desk() as desk:
        await desk.post(NOTE)
        status, receipt = await desk.post(STATUS)
        with pytest.raises(NotFound):
            await desk.show(receipt["id"])

    (told,) = desk.announced
    assert (status, receipt["ephemeral"]) == (202, True)
    assert (told.ephemeral, told.global_position, told.id) == (True, 1, receipt["id"])
    assert json.loads(told.metadata or "")["actor"]["id"] == "bob"


async def test_nothing_is_told_when_the_rest_cannot_be_written():
    async with a_desk() as desk:
        _, receipt = await desk.post(NOTE)
        with pytest.raises(Conflict):
            await desk.post([STATUS, {**NOTE, "event_id": receipt["id"]}])

    assert desk.announced == []


@pytest.mark.parametrize("wrong", [{"stream": "a\nb"}, {"event_id": "7"}, {"memory": "a\x00"}])
async def test_what_is_told_is_checked_like_what_is_stored(wrong: dict[str, str]):
    async with a_desk() as desk:
        with pytest.raises(Rejected):
            await desk.post({**STATUS, **wrong})

    assert desk.announced == []


async def test_the_same_key_gets_the_same_receipt_and_another_body_is_refused():
    async with a_desk() as desk:
        first = await desk.post(NOTE, idempotency_key="k1")
        again = await desk.post(NOTE, idempotency_key="k1")
        with pytest.raises(KeyReused):
            await desk.post({**NOTE, "note_id": "n2"}, idempotency_key="k1")

    assert first == again
    assert len(desk.room.published) == 1


async def test_an_event_out_of_sight_is_as_if_it_were_not_there():
    async with a_desk() as desk:
        _, receipt = await desk.post({**NOTE, "memory": "home"})
        refusals = [await refusal(desk, receipt["id"], who) for who in (WRITER, BOUND, STRANGER)]
        unknown = [await refusal(desk, id, ADMIN) for id in ("0190fe00-0000-7000-8000-000000000001", "7", "tokens")]
        named = await desk.show(receipt["id"], WRITER, "memory=home")

    assert len({(type(error), error.message, error.hint) for error in (*refusals, *unknown)}) == 1
    assert named["memory"] == "home"


async def refusal(desk: Desk, id: str, who: Principal) -> ApplianceError:
    with pytest.raises(NotFound) as refused:
        await desk.show(id, who)
    with pytest.raises(NotFound):
        await desk.trace(id, who)
    with pytest.raises(NotFound):
        await desk.why(id, who)
    return refused.value


async def test_a_bound_caller_does_not_ask_for_another_memory():
    async with a_desk() as desk:
        _, receipt = await desk.post(NOTE, BOUND)
        with pytest.raises(Forbidden):
            await desk.show(receipt["id"], BOUND, "memory=home")
        assert (await desk.show(receipt["id"], BOUND))["memory"] == "work"


async def test_a_trace_tells_what_caused_it_and_what_it_caused():
    async with a_desk() as desk:
        ids = []
        for number, cause in enumerate([None, 0, 1, 2, 1]):
            more = {} if cause is None else {"causation_id": ids[cause]}
            ids.append((await desk.post({**NOTE, "note_id": f"n{number}", "correlation_id": "c", **more}))[1]["id"])
        await desk.post({**NOTE, "correlation_id": "other"})
        found = await desk.trace(ids[1])

    assert [(link["event_id"], link["relation"]) for link in found["chain"]] == [
        (ids[0], "cause"), (ids[2], "effect"), (ids[3], "effect"), (ids[4], "effect"),
    ]  # fmt: skip
    assert (found["stream"], found["position"], found["seq"], found["looked_until"]) == ("note-n1", 0, 2, 6)
    assert found["accepted_at"].endswith("Z")
    assert found["legs"] == []


async def test_why_tells_also_where_it_did_not_go_room_by_room_and_in_the_order_of_time():
    async with a_desk() as desk:
        _, receipt = await desk.post(NOTE)
        desk.legs = [
            Leg("client", "late", "waiting", "it is 3 events behind"),
            Leg("client", "slow", "done", after_ms=4.0),
            Leg("client", "quick", "done", after_ms=1.5),
        ]
        trace, why = await desk.trace(receipt["id"]), await desk.why(receipt["id"])

    assert [leg["name"] for leg in trace["legs"]] == ["quick", "slow", "late"]
    assert [leg["name"] for leg in why["legs"]] == ["quick", "slow", "late", "bob"]
    assert why["legs"][-1] == {"kind": "webhook", "name": "bob", "outcome": "skipped", "detail": "NoteDeleted"}
    assert {name: value for name, value in why.items() if name != "legs"} == {
        name: value for name, value in trace.items() if name != "legs"
    }


async def test_a_trace_tells_when_the_event_went_over_the_bus():
    async with a_desk() as desk:
        stored = []
        for number in range(2):
            id = (await desk.post({**NOTE, "note_id": f"n{number}"}))[1]["id"]
            stored += await desk.room.log.events(Query(1, global_position=number + 1, limit=1))
            unknown = await desk.trace(id)
        desk.passages.published(stored, stored[0].time + 1500, awaited=True)
        shown = await desk.trace(stored[0].id)
        desk.passages.handed(stored[0].time + 2250)
        handed = await desk.trace(stored[0].id)

    assert "bus_ms" not in unknown
    assert (shown["bus_ms"], "handed_ms" in shown) == (1.5, False)
    assert (handed["bus_ms"], handed["handed_ms"]) == (1.5, 2.25)


async def test_a_trace_shows_what_shares_a_correlation():
    async with a_desk() as desk:
        _, first = await desk.post({**NOTE, "correlation_id": "c"})
        _, second = await desk.post({**NOTE, "correlation_id": "c"})
        found = await desk.trace(first["id"])

    assert [(link["event_id"], link["relation"]) for link in found["chain"]] == [(second["id"], "related")]


async def test_a_chain_ends_at_what_the_caller_may_not_see():
    async with a_desk() as desk:
        _, hidden = await desk.post({**NOTE, "memory": "home"})
        _, seen = await desk.post({**NOTE, "causation_id": hidden["id"]})
        await desk.post({**NOTE, "memory": "home", "causation_id": seen["id"]})
        mine, whole = await desk.trace(seen["id"]), await desk.trace(seen["id"], ADMIN)

    assert mine["chain"] == []
    assert [link["relation"] for link in whole["chain"]] == ["cause", "effect"]


async def test_a_circle_of_causes_ends():
    ids = [f"0190fe00-0000-7000-8000-00000000000{n}" for n in (1, 2)]
    async with a_desk() as desk:
        await desk.post([{**NOTE, "event_id": ids[0], "causation_id": ids[1]}])
        await desk.post([{**NOTE, "event_id": ids[1], "causation_id": ids[0]}])
        found = await desk.trace(ids[0])

    assert [(link["event_id"], link["relation"]) for link in found["chain"]] == [(ids[1], "cause"), (ids[1], "effect")]


async def test_a_cause_that_is_no_event_ends_the_chain():
    async with a_desk() as desk:
        _, receipt = await desk.post({**NOTE, "causation_id": "a click"})
        found = await desk.trace(receipt["id"])

    assert (found["chain"], found["causation_id"]) == ([], "a click")


def test_each_route_says_what_it_needs():
    async def nothing(*_: Any) -> None: ...

    events = Events(
        None, catalog_of_48(), None, None,  # type: ignore[arg-type]
        find=nothing, announce=print, render=str, whys=(), passage=lambda event: None,
    )  # fmt: skip

    assert [(route.method, route.path, route.scope) for route in events.routes()] == [
        ("POST", "/api/v1/events", "write"),
        ("GET", "/api/v1/events/{event_id}", "read"),
        ("GET", "/api/v1/events/{event_id}/trace", "read"),
        ("GET", "/api/v1/events/{event_id}/why", "read"),
    ]
