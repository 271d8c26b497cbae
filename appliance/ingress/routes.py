"""What this room serves: one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec
from prometheus_client import CollectorRegistry

import appliance
from appliance.auth.service import Identity
from appliance.ingress.door import Door
from appliance.ingress.exports import Exporter
from appliance.ingress.imports import Importer
from appliance.ingress.messages import Messages, MessagesLog
from appliance.ingress.rpc import Rpc
from appliance.ingress.spaces import Spaces, SpacesLog
from appliance.model.http import Lane, Response, Route
from appliance.world import World

__all__ = ["IngressLog", "message_store_routes"]


RPC_LIMIT = 100 * 1024 * 1024  # bytes of an `/rpc` body, unless configured


class IngressLog(MessagesLog, SpacesLog, Protocol):
    """What this room needs of the log."""


def message_store_routes(
    identity: Identity,
    door: Door,
    log: IngressLog,
    world: World,
    registry: CollectorRegistry,
    *,
    backend: Callable[[], str],
    connections: Callable[[], int],
    rpc_limit: int = RPC_LIMIT,
) -> tuple[Route, ...]:
    """The message-store API but for `/subscribe`.

    Args:
        backend: kind of storage, for `sys.health`.
        connections: subscribers now, for `sys.health`.
        rpc_limit: bytes of an `/rpc` body.
    """
    spaces = Spaces(identity, log, world, backend=backend, connections=connections)
    rpc = Rpc(Messages(door, log).methods() | spaces.methods(), registry)
    importer, exporter = Importer(identity, door, world), Exporter(log, world)
    version = Response(200, msgspec.json.encode({"version": appliance.__version__}))
    guarded, tags = identity.guarded, ("message store",)
    return (
        Route(
            "*",
            "/rpc",
            guarded(rpc.handle),
            "Call a method of the message store",
            guarded=True,
            lane=Lane.FAST,
            body_limit=rpc_limit,
            tags=tags,
        ),
        Route(
            "*",
            "/import",
            guarded(importer.handle),
            "Take over records with their positions",
            guarded=True,
            lane=Lane.FAST,
            streaming=True,
            tags=tags,
        ),
        Route("*", "/export", guarded(exporter.handle), "The log as lines", guarded=True, lane=Lane.FAST, tags=tags),
        Route("*", "/version", lambda request: version, "Which version answers", lane=Lane.FAST, tags=tags),
    )
