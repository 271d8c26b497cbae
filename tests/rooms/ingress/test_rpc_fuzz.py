"""Whatever a client with a token sends, it gets an answer that is not our fault."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from appliance.model.http import Response, Stream
from tests.rooms.ingress.room import Room, a_room, body_of, token_of

METHODS = (
    "stream.write stream.writeMany stream.get stream.last stream.version category.get ns.create ns.delete ns.list "
)
METHODS += "ns.info ns.streams ns.categories sys.version sys.health no.such"
NAMES = "position globalPosition batchSize correlation consumerGroup member size type data metadata stream id"
NAMES += " expectedVersion token description prefix limit cursor"
SCALARS = [
    None,
    True,
    0,
    -1,
    1,
    2.5,
    -0.0,
    1e300,
    -1e300,
    2**63,
    -(2**70),
    10**400,
    "",
    "a",
    "a-1",
    "a-1+b",
    "ü",
    "\x7f",
]
SCALARS += [
    "default",
    "x" * 300,
    "6f9619ff-8b86-4011-b42d-00cf4fc964ff",
    "\u2028",
    token_of("a"),
    "'; --",
    "%",
    "\ud83d\ude00",
]


def a_value(rng: Random, depth: int = 0) -> Any:
    kind = rng.random()
    if depth < 3 and kind < 0.15:
        return [a_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if depth < 3 and kind < 0.55:
        return {name: a_value(rng, depth + 1) for name in rng.sample(NAMES.split(), rng.randrange(6))}
    return rng.choice(SCALARS)


async def status_of(room: Room, body: bytes) -> int:
    answer = await room.ask("/rpc", body)
    assert isinstance(answer, Response | Stream)
    json.loads(await body_of(answer))
    return answer.status


@pytest.mark.parametrize("seed", range(4))
async def test_any_call_is_answered_and_never_with_a_server_error(seed: int):
    rng = Random(seed)

    async with a_room() as room:
        statuses = [
            await status_of(
                room,
                json.dumps([rng.choice(METHODS.split()), *(a_value(rng) for _ in range(rng.randrange(4)))]).encode(),
            )
            for _ in range(1000)
        ]

    assert set(statuses) <= {200, 400, 403, 404, 409}
    assert statuses.count(200) > 100


async def test_any_damage_to_a_good_call_is_answered_and_never_with_a_server_error():
    rng = Random(7)
    good = json.dumps(["stream.write", "a-1", {"type": "T", "data": {"x": "é\\n", "n": [1.5e3]}}, {"id": ""}]).encode()

    async with a_room() as room:
        statuses = []
        for _ in range(3000):
            body = bytearray(good)
            for _ in range(rng.randrange(1, 4)):
                body[rng.randrange(len(body))] = rng.choice(b'"\\{}[],:0eE-u\x00\xff\n ' + bytes([rng.randrange(256)]))
            statuses.append(await status_of(room, bytes(body)))

    assert set(statuses) == {200, 400, 404}
