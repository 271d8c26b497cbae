"""The AsyncAPI document, held against the specification's structure and against what really goes over the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from appliance.egress.broadcast import protocol
from appliance.egress.broadcast.dialect import ChannelDialect
from appliance.egress.broadcast.protocol import Ask
from appliance.egress.envelope import bare, envelope
from appliance.egress.sse.events_blocks import Blocks, farewell
from appliance.egress.sse.pokes import PokeDialect
from appliance.egress.websocket.eventing_commands import Command, understood, wanted
from appliance.egress.websocket.eventing_frames import Voice
from appliance.egress.websocket.tail import TailDialect
from appliance.errors import Rejected
from appliance.model.http import Request, Response
from appliance.model.topic import Lost
from appliance.model.types import EventType
from appliance.web.asyncapi import Live, asyncapi_route, document
from appliance.web.live import ENDPOINTS
from tests.fixtures.golden import GOLDEN, Golden
from tests.fixtures.notes import catalog_of_48
from tests.fixtures.schema import complaints, resolved

DOCUMENT = document(catalog_of_48(), ENDPOINTS, title="test", version="1")
KEY = re.compile(r"[\w.\-]+")
EACH = pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)


def wrong(key: str, value: Any) -> list[str]:
    """What the document has against a message."""
    return complaints(value, DOCUMENT["components"]["messages"][key]["payload"], DOCUMENT)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_document_has_the_structure_of_asyncapi_3():
    allowed = {"asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components"}

    assert DOCUMENT.keys() <= allowed
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT["info"] == {"title": "test", "version": "1"}
    assert all(KEY.fullmatch(key) for part in DOCUMENT["components"].values() for key in part)
    for channel in DOCUMENT["channels"].values():
        assert channel.keys() <= {"address", "messages", "title", "summary", "description", "parameters", "bindings"}
    for message in DOCUMENT["components"]["messages"].values():
        assert {key for key in message if not key.startswith("x-")} == {"name", "title", "payload"}


def test_every_reference_leads_somewhere():
    for reference in set(references(DOCUMENT)):
        assert resolved(reference, DOCUMENT)


def test_an_operation_names_messages_of_its_own_channel():
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = operation["channel"]["$ref"]
        assert operation["messages"]
        assert all(one["$ref"].startswith(f"{channel}/messages/") for one in operation["messages"])


def test_both_ways_of_showing_events_know_all_types():
    for name in ("eventing", "events"):
        form = {"eventing": "bare", "events": "envelope"}[name]
        known = DOCUMENT["channels"][name]["messages"]
        assert {f"{form}.{golden.name}" for golden in GOLDEN} <= known.keys()


@EACH
def test_the_golden_events_are_as_described(golden: Golden):
    assert wrong(f"bare.{golden.name}", golden.bare) == []
    assert wrong(f"envelope.{golden.name}", golden.dotted) == []
    assert wrong(f"envelope.{golden.name}", golden.pascal) == []


@EACH
def test_what_is_really_sent_is_as_described(golden: Golden):
    view = catalog_of_48().view(golden.event)

    assert wrong(f"bare.{golden.name}", json.loads(bare(golden.event, view))) == []
    for names in ("pascal", "dotted"):
        assert wrong(f"envelope.{golden.name}", json.loads(envelope(golden.event, view, names))) == []


@EACH
def test_the_description_notices_what_is_missing(golden: Golden):
    for name in ("type", "timestamp", "seq", "event_id"):
        assert wrong(f"bare.{golden.name}", {key: golden.bare[key] for key in golden.bare if key != name})
    assert wrong(f"bare.{golden.name}", {**golden.bare, "type": "Other"})
    assert wrong(f"envelope.{golden.name}", {**golden.dotted, "event_type": "other"})


def test_what_the_eventing_socket_says_itself_is_as_described():
    voice = Voice(
        catalog_of_48(),
        lambda namespace, memories: {"total_jobs": 0, "running": 0, "pending": 0},
        lambda namespace: 7,
        new_id=lambda: "0190fe00-0000-7000-8000-000000000001",
        wall_us=lambda: 0,
    )

    assert wrong("bare.QueueStatus", heard(voice.status(1, None))) == []
    assert wrong("eventing.Subscribed", heard(voice.say(1, "Subscribed", {"types": ["note"]}))) == []
    assert wrong("eventing.Unsubscribed", heard(voice.say(1, "Unsubscribed", {}))) == []
    assert wrong("eventing.Error", heard(voice.say(1, "Error", {"code": "a", "message": "b", "hint": ""}))) == []
    assert wrong("bare.EventsLagged", heard(voice.say(1, "EventsLagged", {"dropped_count": 1, "reason": "x"}))) == []
    assert wrong("bare.ResyncRequired", heard(voice.resync(1, "gone", "7"))) == []


def test_what_the_event_stream_says_itself_is_as_described():
    blocks = Blocks(catalog_of_48(), "pascal", 0.0)

    assert wrong("events.Connected", data_of(blocks.connected(7, 7))) == []
    assert wrong("events.Closing", data_of(farewell(100))) == []
    assert wrong("envelope.EventsLagged", data_of(blocks.lagged(3))) == []
    assert wrong("envelope.ResyncRequired", data_of(blocks.gap(Lost(asked=3, oldest=9)))) == []


def test_what_the_broadcast_socket_says_is_as_described():
    ask = Ask(subscribe=("order",), unsubscribe=("contact",), ack=1)
    frames = {
        "Welcome": protocol.welcome("c1", every=25.0, deadline=35.0),
        "ChannelsSubscribed": protocol.acknowledged(replace(ask, unsubscribe=()), ["order"], {"order": -1}),
        "ChannelsUnsubscribed": protocol.acknowledged(replace(ask, subscribe=()), [], {}),
        "ChannelsRefused": protocol.subscribe_error(["order"], "forbidden", "no"),
        "Gap": protocol.gap("order", asked=1, next=5),
        "ChannelError": protocol.error("bad_frame", "no"),
    }

    for name, frame in frames.items():
        assert wrong(f"broadcast.{name}", heard(frame)) == []
    said = ChannelDialect("order").encode(GOLDEN[0].event)
    assert wrong("broadcast.ChannelMessage", heard(said)) == []


def test_what_a_client_may_say_to_the_broadcast_socket_is_understood():
    message = {"subscribe": ["order"], "unsubscribe": ["contact"], "since": {"order": 41}, "ack": "a"}

    assert wrong("broadcast.ChannelsAsked", message) == []
    assert protocol.understood(json.dumps(message)) == Ask(("order",), ("contact",), {"order": 41}, "a")


def test_pokes_and_tails_are_as_described():
    event = GOLDEN[0].event

    assert wrong("pokes.Poke", data_of(PokeDialect().encode(event))) == []
    assert wrong("tail.StoredEvent", heard(TailDialect().encode(event))) == []


@pytest.mark.parametrize(
    ("key", "command", "message"),
    [
        ("Refresh", Command.REFRESH, {"type": "refresh"}),
        ("Unsubscribe", Command.UNSUBSCRIBE, {"type": "unsubscribe"}),
        ("Subscribe", Command.SUBSCRIBE, {"type": "subscribe", "types": ["note"], "memory": "m", "since": 7}),
        ("Subscribe", Command.SUBSCRIBE, {"type": "subscribe", "entity_id": "n1", "since": "7"}),
    ],
)
def test_what_a_client_may_say_is_understood(key: str, command: Command, message: dict[str, Any]):
    assert wrong(f"eventing.{key}", message) == []
    assert understood(json.dumps(message)) is command
    if command is Command.SUBSCRIBE:
        wanted(json.dumps(message), catalog_of_48())


def test_a_subscription_knows_no_members_but_those_described():
    described = DOCUMENT["components"]["schemas"]["Subscribe"]["properties"].keys()

    assert described == {"type", "types", "memory", "entity_id", "since"}
    with pytest.raises(Rejected):
        wanted('{"type":"subscribe","colour":"red"}', catalog_of_48())


def test_a_type_without_a_shape_is_described_by_its_name():
    catalog = catalog_of_48()
    catalog.declare(EventType("GuestArrived", "guest.arrived"), "host")

    made = document(catalog, ENDPOINTS)

    assert complaints({"type": "GuestArrived", "any": 1}, made["components"]["schemas"]["GuestArrived"], made) == []


def test_the_route_follows_the_catalog():
    catalog, made = catalog_of_48(), []

    def describe() -> dict[str, Any]:
        made.append(1)
        return document(catalog, [Live("eventing", "/api/v1/ws", "", "bare")])

    route = asyncapi_route(catalog, describe)
    first, again = ask(route), ask(route)
    catalog.declare(EventType("GuestArrived", "guest.arrived"), "host")
    later = ask(route)

    assert first == again
    assert len(made) == 2
    assert "bare.GuestArrived" in later["components"]["messages"]


def ask(route: Any) -> dict[str, Any]:
    answer: Response = route.handler(Request("GET", route.path))
    found: dict[str, Any] = json.loads(answer.body)
    return found


def heard(frame: bytes) -> Any:
    return json.loads(frame[frame.index(b"{") :])


def data_of(block: bytes) -> Any:
    return json.loads(re.search(rb"data: (.*)\n", block)[1])  # type: ignore[index]
