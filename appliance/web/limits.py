"""How much the front takes from anyone: one table, for the code, the config and the docs.

Every number a stranger can push against stands here with its unit and its reason, so that "what
happens at the edge" is one page. The config overrides single values; `table()` feeds the reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["KIB", "MIB", "Limits", "table"]

KIB = 1024
MIB = 1024 * KIB


def _limit(default: float, unit: str, meaning: str) -> Any:
    return field(default=default, metadata={"unit": unit, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer, and all peers together, may ask of us."""

    head: int = _limit(32 * KIB, "bytes", "request line and header fields; more is 431")
    fields: int = _limit(100, "fields", "header fields of a request; more is 431")
    target: int = _limit(8 * KIB, "bytes", "path and query; more is 414")
    head_time: float = _limit(10.0, "seconds", "TLS handshake and head must arrive within; then 408")
    idle: float = _limit(120.0, "seconds", "a kept-alive connection without a request is closed after")
    rpc_body: int = _limit(100 * MIB, "bytes", "body of one `/rpc` request; more is 413")
    json_body: int = _limit(1 * MIB, "bytes", "body of any other request; more is 413")
    event: int = _limit(16 * MIB, "bytes", "data of one event, and one line of `/import`")
    bodies: int = _limit(512 * MIB, "bytes", "request bodies in flight, all connections together; more is 503")
    body_grace: float = _limit(10.0, "seconds", "a body may be late by this much; then 408")
    body_rate: float = _limit(500.0, "bytes/s", "and must come at least this fast; `/import` too, unlimited in length")
    ws_message: int = _limit(1 * MIB, "bytes", "one WebSocket message; more is close 1009")
    ws_fragments: int = _limit(1024, "frames", "of one WebSocket message; more is close 1009")
    write_deadline: float = _limit(20.0, "seconds", "a peer that takes not one byte for this long is dropped")
    clients: int = _limit(1000, "connections", "open at once; the next one is 503")
    per_address: int = _limit(256, "connections", "open at once from one address, loopback excepted; then 503")
    drain: float = _limit(5.0, "seconds", "what is in flight may take this long when the appliance stops")
    goodbye: float = _limit(2.0, "seconds", "wait for a peer to confirm that a connection ends")


def table() -> list[tuple[str, float, str, str]]:
    """(name, default, unit, meaning) of every limit, in order; the reference page is made of it."""
    stock = Limits()
    return [(f.name, getattr(stock, f.name), f.metadata["unit"], f.metadata["meaning"]) for f in fields(Limits)]
