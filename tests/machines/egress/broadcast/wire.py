"""Frames of a server, taken apart."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["frames", "texts"]


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """(opcode, payload) of each."""
    found = []
    while data:
        size, head = data[1], 2
        if size >= 126:
            head = 4 if size == 126 else 10
            size = int.from_bytes(data[2:head], "big")
        assert len(data) >= head + size, "cut in the middle of a frame"
        found.append((data[0] & 15, data[head : head + size]))
        data = data[head + size :]
    return found


def texts(data: bytes) -> list[dict[str, Any]]:
    """The text messages, decoded."""
    return [json.loads(payload) for opcode, payload in frames(data) if opcode == 1]
