"""The routes of this room behind the true router, without a network."""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import trio

from appliance.auth.oauth.routes import oauth_routes
from appliance.auth.passes import pass_routes
from appliance.auth.routes import token_routes
from appliance.auth.service import Identity
from appliance.auth.signed import SignedTokens
from appliance.log import Log
from appliance.model.http import Request, Response
from appliance.model.principal import Principal
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import Engine
from appliance.web.limits import Limits
from appliance.web.router import Router, failure
from appliance.world import RealWorld
from tests.rooms.ingress.room import TOKEN

__all__ = ["HOUR", "Clock", "Desk", "Keeping", "Reply", "a_desk"]

HOUR = 3600.0
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Keeping(MemoryEngine):
    """Outlives the service that closes it."""

    def close(self) -> None:
        pass


class Clock(RealWorld):
    """Both clocks can be put forward."""

    ahead = 0.0  # seconds

    def now(self) -> float:
        return super().now() + self.ahead

    def wall_us(self) -> int:
        return super().wall_us() + int(self.ahead * 1_000_000)


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Desk:
    log: Log
    identity: Identity
    world: Clock
    peer: str = "phone"
    rows: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        identity, world = self.identity, self.world
        self.rows = [*token_routes(identity), *pass_routes(identity, world), *oauth_routes(identity, world)]
        self._router = Router(self.rows, authenticate=identity.authenticate, limits=Limits())

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str = TOKEN,
        form: dict[str, str] | None = None,
        query: str = "",
        basic: tuple[str, str] | None = None,
    ) -> Reply:
        headers = {"host": "kitchen.local:8420"} | ({"authorization": f"Bearer {token}"} if token else {})
        if basic:
            headers["authorization"] = "Basic " + base64.b64encode(":".join(basic).encode()).decode()
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if form is not None:
            data, headers = urlencode(form).encode(), headers | FORM
        request = Request(method, path, query, headers, data, peer=self.peer)
        plan = self._router.plan(method, path)
        request.params = plan.params
        try:
            begun = plan.begin(request)
            answer = await begun if inspect.isawaitable(begun) else begun
        except Exception as error:  # noqa: BLE001 - the border, as in the front
            answer = failure(error, request)
        assert isinstance(answer, Response)
        assert answer.status < 500, answer.body
        return Reply(answer.status, dict(answer.headers), answer.body)

    def who(self, token: str = "", *, path: str = "/api/v1/status", query: str = "", **headers: str) -> Principal:
        """The caller of an ordinary route; raises what it would answer."""
        own = {"authorization": f"Bearer {token}"} if token else {}
        return self.identity.authenticate(Request("GET", path, query, own | headers, peer=self.peer))

    async def token(self, *scopes: str, **wish: Any) -> str:
        """A namespace token made by the owner."""
        made = await self.ask("POST", "/api/v1/tokens", {"scopes": scopes} | wish)
        assert made.status == 201, made.body
        text: str = made.json["token"]
        return text


@asynccontextmanager
async def a_desk(
    engine: Engine | None = None, *, signed: SignedTokens | None = None, relaxed: bool = False
) -> AsyncIterator[Desk]:
    world = Clock()
    log = Log(engine or MemoryEngine(), world, _nobody)
    identity = Identity(log, world, token=TOKEN, signed=signed, relaxed=relaxed)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        await nursery.start(identity.run)
        yield Desk(log, identity, world)
        nursery.cancel_scope.cancel()


def _nobody(_: Sequence[Any]) -> None:
    """Nobody listens."""
