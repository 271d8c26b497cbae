"""Ingress and auth over a log in memory, spoken to without a network."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import trio
from prometheus_client import CollectorRegistry

from appliance.auth.service import Identity
from appliance.auth.tokens import make_token
from appliance.ingress.door import EVENT_LIMIT, Door
from appliance.ingress.routes import message_store_routes
from appliance.log import Log
from appliance.model.event import Event
from appliance.model.http import Answer, Request, Response, Stream
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import Engine
from appliance.world import RealWorld

__all__ = ["SECRET", "TOKEN", "Peer", "Room", "a_room", "body_of", "token_of"]

SECRET = "5" * 64
TOKEN = "ns_ZGVmYXVsdA_" + SECRET


def token_of(namespace: str) -> str:
    return make_token(namespace, bytes.fromhex(SECRET))


@dataclass
class Peer:
    """The other side of a streaming answer. `reads` False: it takes nothing that is only offered."""

    reads: bool = True
    got: list[bytes] = field(default_factory=list)
    refused: int = 0
    outlet: Any = None

    async def write(self, data: bytes) -> None:
        assert data, "an empty chunk ends the body"
        self.got.append(data)

    def offer(self, data: bytes) -> bool:
        if self.reads:
            self.got.append(data)
        else:
            self.refused += 1
        return self.reads

    async def closed(self) -> None:
        await trio.sleep_forever()

    @property
    def body(self) -> bytes:
        return b"".join(self.got)


async def body_of(answer: Answer) -> bytes:
    if isinstance(answer, Response):
        return answer.body
    peer = Peer()
    await answer.run(peer)
    return peer.body


@dataclass
class Room:
    log: Log
    identity: Identity
    door: Door
    registry: CollectorRegistry
    published: list[Event]

    def __post_init__(self) -> None:
        rows = message_store_routes(
            self.identity,
            self.door,
            self.log,
            RealWorld(),
            self.registry,
            backend=lambda: self.log.kind,
            connections=lambda: 7,
        )
        self.routes = {row.path: row for row in rows}

    async def ask(
        self,
        path: str,
        body: bytes = b"",
        *,
        method: str = "POST",
        token: str | None = TOKEN,
        headers: dict[str, str] | None = None,
        chunks: Iterable[bytes] | None = None,
        query: dict[str, str] | None = None,
    ) -> Answer:
        """What the handler of `path` answers."""
        own = {} if token is None else {"authorization": f"Bearer {token}"}
        request = Request(method, path, urlencode(query or {}), own | (headers or {}), body)
        if chunks is not None:
            pieces = list(chunks)

            async def arriving() -> AsyncIterator[bytes]:
                for piece in pieces:
                    await trio.lowlevel.checkpoint()
                    yield piece

            request.chunks = arriving
        answer = self.routes[path].handler(request)
        return await answer if inspect.isawaitable(answer) else answer  # type: ignore[return-value]

    async def rpc(self, *call: Any, token: str | None = TOKEN, headers: dict[str, str] | None = None) -> Any:
        """The result of a call that succeeds."""
        answer = await self.ask("/rpc", json.dumps(call).encode(), token=token, headers=headers)
        text = await body_of(answer)
        assert answer.status == 200, text
        assert text.endswith(b"\n")
        return json.loads(text)

    async def refusal(
        self, *call: Any, token: str | None = TOKEN, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and error of a call that fails."""
        answer = await self.ask("/rpc", json.dumps(call).encode(), token=token, headers=headers)
        assert isinstance(answer, Response)
        assert answer.status >= 400, answer.body
        return answer.status, json.loads(answer.body)["error"]

    async def write(self, stream: str, *types: str) -> None:
        for type in types or ("Happened",):
            await self.rpc("stream.write", stream, {"type": type, "data": {}})

    async def imported(self, lines: Sequence[bytes], *, peer: Peer | None = None, **asked: Any) -> list[Any]:
        """What `/import` tells, decoded."""
        answer = await self.ask("/import", chunks=lines, **asked)
        assert isinstance(answer, Stream), answer.body
        peer = peer or Peer()
        await answer.run(peer)
        return [json.loads(text.removeprefix(b"data: ")) for text in peer.body.split(b"\n\n") if text]

    async def exported(self, **asked: Any) -> bytes:
        answer = await self.ask("/export", method="GET", **asked)
        assert answer.status == 200
        return await body_of(answer)


@asynccontextmanager
async def a_room(
    engine: Engine | None = None,
    *,
    token: str = TOKEN,
    relaxed: bool = False,
    run_folder: Path | None = None,
    event_limit: int = EVENT_LIMIT,
) -> AsyncIterator[Room]:
    published: list[Event] = []
    world = RealWorld()
    log = Log(engine or MemoryEngine(), world, published.extend)
    identity = Identity(log, world, token=token, relaxed=relaxed, run_folder=run_folder)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        await nursery.start(identity.run)
        yield Room(log, identity, Door(log, event_limit=event_limit), CollectorRegistry(), published)
        nursery.cancel_scope.cancel()
