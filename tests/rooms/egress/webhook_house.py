"""Webhooks, the shelf and what arrives, over a log in memory; asked through their routes, without a process."""

from __future__ import annotations

import inspect
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import trio

from appliance.auth.vault import KEY_BYTES, Vault
from appliance.egress.dead_letters.routes import dead_letter_routes
from appliance.egress.dead_letters.service import DeadLetters
from appliance.egress.webhooks.addresses import Guard
from appliance.egress.webhooks.occasions import TYPES
from appliance.egress.webhooks.preview import Preview
from appliance.egress.webhooks.routes import webhook_routes
from appliance.egress.webhooks.service import Webhooks
from appliance.egress.webhooks.showing import Showing
from appliance.egress.webhooks.why import webhooks_why
from appliance.errors import ApplianceError, Forbidden
from appliance.ingress.door import Door
from appliance.ingress.incoming.occasions import TYPE
from appliance.ingress.incoming.routes import incoming_routes
from appliance.ingress.incoming.service import Incoming
from appliance.ingress.labels import labelled
from appliance.log import Log
from appliance.model.catalog import Catalog
from appliance.model.event import Draft, Event, Namespace
from appliance.model.http import Request, Response, problem
from appliance.model.legs import Leg
from appliance.model.principal import WRITE, Principal
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import TokenRow
from appliance.web.limits import Limits
from appliance.web.router import Router
from appliance.world import RealWorld

__all__ = ["Said", "WebhookHouse", "a_webhook_house"]

SCHEDULE = (0.02, 0.02)
LINK_LOCAL = "169.254.169.254"


@dataclass(frozen=True)
class Said:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class WebhookHouse:
    engine: MemoryEngine
    log: Log
    door: Door
    webhooks: Webhooks
    shelf: DeadLetters
    incoming: Incoming
    catalog: Catalog
    world: RealWorld
    caller: Principal
    routes: list[Any] = field(default_factory=list)

    async def ask(
        self, method: str, path: str, body: object = None, *, who: Principal | None = None, **query: str
    ) -> Said:
        """What the front would answer."""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.send(method, path, content, {}, who or self.caller, urlencode(query))

    async def send(
        self, method: str, path: str, content: bytes, headers: dict[str, str], who: Principal | None, query: str = ""
    ) -> Said:
        def authenticate(_: Request) -> Principal:
            if who is None:
                raise Forbidden("nobody")
            return who

        router = Router(self.routes, authenticate=authenticate, limits=Limits())
        plan = router.plan(method, path)
        request = Request(method, path, query, headers, content, params=plan.params)
        try:
            answer = plan.begin(request)
            if inspect.isawaitable(answer):
                answer = await answer
        except ApplianceError as error:
            answer = problem(error)
        assert isinstance(answer, Response)
        return Said(answer.status, answer.body)

    async def write(self, type: str, stream: str = "thing-1", memory: str = "", **data: object) -> Event:
        draft = labelled(Draft(stream, type, json.dumps(data, separators=(",", ":"))), self.caller, memory=memory)
        (event,) = await self.door.write(self.caller, [draft])
        return event

    async def why(self, event: Event, who: Principal | None = None) -> Sequence[Leg]:
        webhooks = self.webhooks
        ask = webhooks_why(webhooks.entries, webhooks.store, self.catalog, self.world)
        return await ask(who or self.caller, event)

    async def until(self, look: Callable[[], Awaitable[bool]]) -> None:
        with trio.fail_after(30):
            while not await look():  # noqa: ASYNC110 - it is about what a receiver behind a socket has done
                await trio.sleep(0.01)

    async def settled(self, id: str, count: int) -> list[Any]:
        """Its deliveries, newest first, when so many are over."""
        rows: list[Any] = []

        async def over() -> bool:
            rows[:] = (await self.ask("GET", f"/api/v1/webhooks/{id}/deliveries")).json
            return sum(row["state"] in ("succeeded", "failed") for row in rows) >= count

        await self.until(over)
        return rows


@asynccontextmanager
async def a_webhook_house(
    engine: MemoryEngine | None = None, key: bytes = b"k" * KEY_BYTES
) -> AsyncIterator[WebhookHouse]:
    """Give the same engine again and it is a restart."""
    fresh = engine is None
    engine = engine or MemoryEngine()
    if fresh:
        engine.create_namespace("default", "", TokenRow("t", b"t", 0, ("admin",)), 1)
    world, catalog, space = RealWorld(), Catalog(), Namespace(1, "default")
    for type in (*TYPES, TYPE):
        catalog.declare(type)
    webhooks: list[Webhooks] = []
    log = Log(engine, world, lambda events: webhooks[0].ring(events))
    door, shelf = Door(log), DeadLetters(log)
    vault, guard = Vault(key, secrets.token_bytes), Guard(("127.0.0.1",))

    async def resolve(host: str, port: int) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        return [LINK_LOCAL if host.startswith("rebound") else "127.0.0.1"]

    async def emit(namespace: int, draft: Draft) -> None:
        who = Principal(space, frozenset({WRITE}), subject="webhooks")
        await door.write(who, [labelled(draft, who, kind="system")])

    webhooks.append(
        Webhooks(
            log, catalog, world, guard, vault, resolve, shelf, emit=emit, source=lambda _: "/namespaces/default",
            scrub=str, timeout=5.0, schedule=SCHEDULE, concurrency=4,
        )
    )  # fmt: skip
    incoming = Incoming(log, door, vault, world, lambda _: space)
    showing = Showing(webhooks[0].store, catalog, log.find, lambda _: "/namespaces/default")
    preview = Preview(catalog, log.find, lambda _: "/namespaces/default")
    house = WebhookHouse(
        engine, log, door, webhooks[0], shelf, incoming, catalog, world, Principal(space, subject="owner")
    )
    house.routes = [
        *incoming_routes(incoming, body_limit=1024 * 1024),
        *webhook_routes(webhooks[0], showing, preview, log),
        *dead_letter_routes(shelf),
    ]
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        await nursery.start(webhooks[0].run)
        await nursery.start(incoming.run)
        yield house
        with trio.fail_after(10):
            await webhooks[0].drain()
        nursery.cancel_scope.cancel()
