"""Pokes: "something new at position p", without the data. The live half of the message-store API."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from appliance.egress.memo import Plain, once
from appliance.model.clients import Habits
from appliance.model.event import Event
from appliance.model.frames import chunk

__all__ = ["HABITS", "POKES", "PokeDialect"]


class _Poke(msgspec.Struct):
    stream: str
    position: int
    globalPosition: int


def _poke(event: Event) -> bytes:
    poke = msgspec.json.encode(_Poke(event.stream, event.position, event.global_position))
    return b"event: poke\ndata: %b\n\n" % poke


class PokeDialect(Plain):
    """One block for each message, never merged: clients count them."""

    transport = "sse"
    quiet = 15.0
    idle = chunk(b": keep-alive\n\n")
    ready = chunk(b": ready\n\n")

    def __init__(self) -> None:
        self.encode = once(_poke)

    def join(self, parts: Sequence[bytes]) -> bytes:
        return chunk(b"".join(parts))


POKES = PokeDialect()
HABITS = Habits("pokes", "sse", POKES.quiet, math.inf, lambda now: POKES.idle)
