"""Every refusal of the message-store API: status, code, text and details, in the order they are looked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from appliance.errors import LimitReached
from appliance.ingress.door import Door
from appliance.model.http import Response
from tests.rooms.ingress.room import Room, a_room, token_of

GOOD = {"type": "T", "data": {}}
NO_NAME = "streamName must be a non-empty string"
BATCH = "options.batchSize must be <= 10000 or -1 for unlimited"
GROUP = "options.consumerGroup"

INVALID: list[tuple[list[Any], str]] = [
    ([], "Missing method name"),
    ([None], "Method name must be a string"),
    ([5], "Method name must be a string"),
    ([["stream.get"]], "Method name must be a string"),
    # stream.write
    (["stream.write"], "stream.write requires at least 2 arguments: streamName and message"),
    (["stream.write", "a"], "stream.write requires at least 2 arguments: streamName and message"),
    (["stream.write", "", GOOD], NO_NAME),
    (["stream.write", None, None], NO_NAME),
    (["stream.write", 1, 1], NO_NAME),
    (["stream.write", "a", None], "message must be an object"),
    (["stream.write", "a", "x"], "message must be an object"),
    (["stream.write", "a", [GOOD]], "message must be an object"),
    (["stream.write", "a", {}], "message.type must be a non-empty string"),
    (["stream.write", "a", {"type": ""}], "message.type must be a non-empty string"),
    (["stream.write", "a", {"type": None, "data": 1}], "message.type must be a non-empty string"),
    (["stream.write", "a", {"type": "T"}], "message.data must be an object"),
    (["stream.write", "a", {"type": "T", "data": None, "metadata": 1}], "message.data must be an object"),
    (["stream.write", "a", {"type": "T", "data": []}], "message.data must be an object"),
    (["stream.write", "a", {"type": "T", "data": "{}"}], "message.data must be an object"),
    (["stream.write", "a", GOOD | {"metadata": 1}, 1], "message.metadata must be an object"),
    (["stream.write", "a", GOOD | {"metadata": []}], "message.metadata must be an object"),
    (["stream.write", "a", GOOD, None], "options must be an object"),
    (["stream.write", "a", GOOD, []], "options must be an object"),
    (["stream.write", "a", GOOD, {"id": 1, "expectedVersion": "1"}], "options.id must be a string"),
    (["stream.write", "a", GOOD, {"expectedVersion": 1, "id": None}], "options.id must be a string"),
    (["stream.write", "a", GOOD, {"expectedVersion": "1"}], "options.expectedVersion must be a number"),
    (["stream.write", "a", GOOD, {"expectedVersion": None}], "options.expectedVersion must be a number"),
    (["stream.write", "a", GOOD, {"expectedVersion": True}], "options.expectedVersion must be a number"),
    (["stream.write", "a", GOOD, {"id": "nope"}], "an id is a UUID, 'nope' is none"),
    (["stream.write", "a", GOOD, {"id": "0x" + "1" * 30}], f"an id is a UUID, '0x{'1' * 30}' is none"),
    (["stream.write", "a\nb", GOOD], "a stream name holds no control characters"),
    (["stream.write", "a", {"type": "a\u0085", "data": {}}], "a type name holds no control characters"),
    (["stream.write", "x" * 1001, GOOD], "a stream name has 1 to 1000 characters, this one has 1001"),
    # stream.writeMany
    (["stream.writeMany"], "stream.writeMany requires at least 1 argument: messages"),
    (["stream.writeMany", None], "stream.writeMany: Expected `array`, got `null`"),
    (["stream.writeMany", [1]], "stream.writeMany: Expected `object`, got `int` - at `$[0]`"),
    (
        ["stream.writeMany", [{"stream": "a", "type": "T"}]],
        "stream.writeMany: Object missing required field `data` - at `$[0]`",
    ),
    (["stream.writeMany", [{"stream": "", **GOOD}]], "messages[0].stream must be a non-empty string"),
    (["stream.writeMany", [{"stream": "a", "type": "", "data": {}}]], "messages[0].type must be a non-empty string"),
    (["stream.writeMany", [{"stream": "a", "type": "T", "data": 1}]], "messages[0].data must be an object"),
    (["stream.writeMany", [{"stream": "a", **GOOD, "metadata": 1}]], "messages[0].metadata must be an object"),
    (["stream.writeMany", [{"stream": "a", **GOOD, "id": "x"}]], "an id is a UUID, 'x' is none"),
    # stream.get
    (["stream.get"], "stream.get requires at least 1 argument: streamName"),
    (["stream.get", ""], NO_NAME),
    (["stream.get", {}], NO_NAME),
    (["stream.get", "a", None], "options must be an object"),
    (["stream.get", "a", "x"], "options must be an object"),
    (["stream.get", "a", {"position": None}], "options.position must be a number"),
    (["stream.get", "a", {"batchSize": "x", "position": "x"}], "options.position must be a number"),
    (["stream.get", "a", {"globalPosition": "1"}], "options.globalPosition must be a number"),
    (["stream.get", "a", {"batchSize": "1"}], "options.batchSize must be a number"),
    (["stream.get", "a", {"batchSize": 10001}], BATCH),
    (["stream.get", "a", {"batchSize": -2}], BATCH),
    (["stream.get", "a", {"batchSize": 1e300}], BATCH),
    # stream.last
    (["stream.last"], "stream.last requires at least 1 argument: streamName"),
    (["stream.last", ""], NO_NAME),
    (["stream.last", "a", []], "options must be an object"),
    (["stream.last", "a", {"type": None}], "options.type must be a string"),
    # stream.version
    (["stream.version"], "stream.version requires at least 1 argument: streamName"),
    (["stream.version", ""], NO_NAME),
    # category.get
    (["category.get"], "category.get requires at least 1 argument: categoryName"),
    (["category.get", None], "categoryName must be a string"),
    (["category.get", 1], "categoryName must be a string"),
    (["category.get", "a", None], "options must be an object"),
    (["category.get", "a", {"position": "1"}], "options.position must be a number"),
    (["category.get", "a", {"globalPosition": None}], "options.globalPosition must be a number"),
    (["category.get", "a", {"batchSize": None}], "options.batchSize must be a number"),
    (["category.get", "a", {"batchSize": 20000}], BATCH),
    (["category.get", "a", {"correlation": 1}], "options.correlation must be a string"),
    (["category.get", "a", {"consumerGroup": None}], f"{GROUP} must be an object"),
    (["category.get", "a", {"consumerGroup": [1, 2]}], f"{GROUP} must be an object"),
    (["category.get", "a", {"consumerGroup": {"member": 1}}], f"{GROUP} requires both member and size"),
    (["category.get", "a", {"consumerGroup": {"size": 1}}], f"{GROUP} requires both member and size"),
    (["category.get", "a", {"consumerGroup": {"member": "1", "size": 2}}], f"{GROUP}.member must be a number"),
    (["category.get", "a", {"consumerGroup": {"member": 0, "size": None}}], f"{GROUP}.size must be a number"),
    (["category.get", "a", {"consumerGroup": {"member": -1, "size": 2}}], f"{GROUP}.member must be non-negative"),
    (["category.get", "a", {"consumerGroup": {"member": 0, "size": 0}}], f"{GROUP}.size must be positive"),
    (["category.get", "a", {"consumerGroup": {"member": 2, "size": 2}}], f"{GROUP}.member must be < size"),
    # namespaces
    (["ns.create"], "ns.create requires at least 1 argument: namespace ID"),
    (["ns.create", ""], "namespace ID must be a non-empty string"),
    (["ns.create", 1], "namespace ID must be a non-empty string"),
    (["ns.create", "x", None], "options must be an object"),
    (["ns.create", "x", {"description": 1}], "options.description must be a string"),
    (["ns.create", "x", {"token": 1}], "options.token must be a string"),
    (["ns.create", "x", {"token": "abc"}], "Invalid token format: invalid token format: missing 'ns_' prefix"),
    (["ns.create", "x", {"token": token_of("y")}], "Token is for namespace 'y', not 'x'"),
    (["ns.create", "x", {"metadata": []}], "options.metadata must be an object"),
    (["ns.create", "x\ty"], "a namespace id has 1 to 255 bytes and no control characters"),
    (["ns.delete"], "ns.delete requires at least 1 argument: namespace ID"),
    (["ns.delete", ""], "namespace ID must be a non-empty string"),
    (["ns.info"], "ns.info requires at least 1 argument: namespace ID"),
    (["ns.info", None], "namespace ID must be a non-empty string"),
    (["ns.streams", None], "options must be an object"),
    (["ns.streams", {"prefix": 1}], "prefix must be a string"),
    (["ns.streams", {"cursor": 1}], "cursor must be a string"),
    (["ns.streams", {"limit": "1"}], "limit must be a number"),
    (["ns.streams", {"limit": 0}], "limit must be between 1 and 1000"),
    (["ns.streams", {"limit": 1001}], "limit must be between 1 and 1000"),
]


async def test_invalid_requests_are_refused_in_the_apis_words():
    async with a_room() as room:
        answers = [await room.refusal(*call) for call, _ in INVALID]

    wrong = [
        (call, status, error)
        for (call, message), (status, error) in zip(INVALID, answers, strict=True)
        if status != 400 or error["code"] != "INVALID_REQUEST" or error["message"] != message
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"5",
        b'"x"',
        b"null",
        b'["sys.version"] x',
        b"[",
        b'["sys.version",]',
        b"[NaN]",
        b'["\xff"]',
        b'["stream.write","a",{"type":"T","data":{"x":"\\u0000"}}]',
        b"[" * 100 + b"]" * 100,
        b'["a","\\ud800"]',
    ],
)
async def test_body_that_is_no_call_is_malformed_and_says_where(body: bytes):
    async with a_room() as room:
        answer = await room.ask("/rpc", body)

    assert isinstance(answer, Response)
    error = json.loads(answer.body)["error"]
    assert (answer.status, answer.content_type) == (400, "application/json")
    assert (error["code"], error["message"]) == ("INVALID_REQUEST", "Malformed JSON request")
    assert error["details"]["error"]


REFUSED: list[tuple[list[Any], int, dict[str, Any]]] = [
    (["stream.fly", 1], 404, {"code": "METHOD_NOT_FOUND", "message": "Unknown method: stream.fly"}),
    (["system.version"], 404, {"code": "METHOD_NOT_FOUND", "message": "Unknown method: system.version"}),
    (
        ["stream.write", "a-1", GOOD, {"expectedVersion": 5}],
        409,
        {
            "code": "STREAM_VERSION_CONFLICT",
            "message": "Expected version 5, stream is at version 0",
            "details": {"expected": 5, "actual": 0},
        },
    ),
    (
        ["stream.write", "b-1", GOOD, {"expectedVersion": 0}],
        409,
        {
            "code": "STREAM_VERSION_CONFLICT",
            "message": "Expected version 0, stream is at version -1",
            "details": {"expected": 0, "actual": -1},
        },
    ),
    (["ns.create", "default"], 409, {"code": "NAMESPACE_EXISTS", "message": "Namespace 'default' already exists"}),
    (["ns.delete", "none"], 404, {"code": "NAMESPACE_NOT_FOUND", "message": "Namespace 'none' not found"}),
    (["ns.info", "none"], 404, {"code": "NAMESPACE_NOT_FOUND", "message": "Namespace 'none' not found"}),
]


async def test_other_refusals_have_their_own_status_code_and_details():
    async with a_room() as room:
        await room.write("a-1")
        answers = [await room.refusal(*call) for call, _, _ in REFUSED]
        default = await room.refusal("ns.delete", "default")
        known = await room.rpc("stream.write", "a-1", GOOD, {"id": "6f9619ff-8b86-4011-b42d-00cf4fc964ff"})
        duplicate = await room.refusal("stream.write", "a-2", GOOD, {"id": "{6F9619FF8B864011B42D00CF4FC964FF}"})

    assert answers == [(status, error) for _, status, error in REFUSED]
    assert (default[0], default[1]["code"]) == (403, "AUTH_UNAUTHORIZED")
    assert known == {"position": 1, "globalPosition": 2}
    assert (duplicate[0], duplicate[1]["code"]) == (409, "MESSAGE_ID_CONFLICT")
    assert duplicate[1]["details"] == {"id": "6f9619ff-8b86-4011-b42d-00cf4fc964ff"}


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "DELETE", "HEAD"])
async def test_only_post_is_answered_but_who_asks_is_looked_at_first(method: str):
    async with a_room() as room:
        known = await room.ask("/rpc", method=method)
        stranger = await room.ask("/rpc", method=method, token=None)

    assert isinstance(known, Response)
    assert (known.status, stranger.status) == (405, 401)
    assert json.loads(known.body) == {"error": {"code": "INVALID_REQUEST", "message": "Only POST method allowed"}}


async def test_namespaces_own_token_sees_and_ends_only_itself():
    async with a_room() as room:
        mine = (await room.rpc("ns.create", "mine"))["token"]
        await room.rpc("ns.create", "other")

        calls = [("ns.list",), ("ns.create", "x"), ("ns.info", "other"), ("ns.info", "default"), ("ns.delete", "other")]
        refused = [(await room.refusal(*call, token=mine)) for call in calls]
        info = await room.rpc("ns.info", "mine", token=mine)
        gone = await room.rpc("ns.delete", "mine", token=mine)
        after = await room.refusal("sys.version", token=mine)

    assert [(status, error["code"]) for status, error in refused] == [(403, "AUTH_UNAUTHORIZED")] * 5
    assert info["namespace"] == gone["namespace"] == "mine"
    assert after[0] == 403


async def test_event_beyond_the_limit_is_refused_with_413():
    async with a_room(event_limit=100) as room:
        fits = await room.rpc("stream.write", "a", {"type": "T", "data": {"x": "y" * 92}})
        status, error = await room.refusal(
            "stream.write", "a", {"type": "T", "data": {"x": "y" * 90}, "metadata": {"x": 1}}
        )

    assert fits["position"] == 0
    assert (status, error["code"], error["details"]) == (413, "TOO_LARGE", {"limit": 100, "size": 105})


async def test_too_many_messages_at_once_are_refused_with_413():
    async with a_room() as room:
        status, error = await room.refusal("stream.writeMany", [{"stream": "a", **GOOD}] * 10_001)

    assert (status, error["code"]) == (413, "TOO_LARGE")


async def test_refusal_that_says_when_to_come_back_says_it_in_a_header():
    async with a_room() as room:

        class Full:
            def submit(self, unit: object) -> object:
                raise LimitReached("too many writes are waiting", retry_after=3)

        crowded = Room(room.log, room.identity, Door(Full()), CollectorRegistry(), [])  # type: ignore[arg-type]
        answer = await crowded.ask("/rpc", json.dumps(["stream.write", "a", GOOD]).encode())

    assert isinstance(answer, Response)
    assert (answer.status, answer.headers) == (429, (("retry-after", "3"),))
    assert json.loads(answer.body)["error"]["code"] == "LIMIT_REACHED"


async def test_write_into_a_namespace_that_just_went_is_not_found():
    async with a_room() as room:
        mine = (await room.rpc("ns.create", "mine"))["token"]
        caller = room.identity.namespace("mine")
        await room.log.control(lambda engine: engine.delete_namespace(caller.key))

        status, error = await room.refusal("stream.write", "a", GOOD, token=mine)

    assert (status, error["code"]) == (404, "NAMESPACE_NOT_FOUND")
