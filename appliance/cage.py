"""Where the canary lives: its namespace, its token, and its way out of the house and back in through the real port."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from appliance.auth.brief import brief_token
from appliance.auth.service import Identity
from appliance.egress.webhooks.addresses import Guard
from appliance.egress.webhooks.sender import Resolver, Sender
from appliance.egress.webhooks.verdicts import Outcome
from appliance.errors import NotFound
from appliance.ingress.door import Door
from appliance.ingress.labels import labelled
from appliance.model.event import Draft, Namespace
from appliance.model.principal import READ, WRITE, Principal
from appliance.telemetry.canary.service import NAMESPACE, Way
from appliance.web.listen import url_host
from appliance.world import World

__all__ = ["HouseCage"]

PATIENCE = 5.0  # seconds for the webhook
ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where somebody who listens everywhere is found


class HouseCage:
    """`telemetry.canary.service.Cage`.

    Args:
        flushed: the bus's.
        addresses: (host, port) of our listening sockets.
        certificate: the file of the certificate we show; None: we speak no TLS.
    """

    def __init__(
        self,
        identity: Identity,
        door: Door,
        world: World,
        flushed: Callable[[], Awaitable[None]],
        addresses: Callable[[], Sequence[tuple[str, int]]],
        certificate: Path | None,
    ) -> None:
        self._identity = identity
        self._door = door
        self._world = world
        self._flushed = flushed
        self._addresses = addresses
        self._certificate = certificate

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Way]:
        """Raises Unavailable: nothing can be written."""
        space = await self._space()
        with brief_token(self._identity, self._world, space, (READ, WRITE), name="canary") as token:
            yield Way(self._authority(), token)

    async def append(self, draft: Draft) -> None:
        who = Principal(self._identity.namespace(NAMESPACE), frozenset({WRITE}), subject="canary")
        await self._door.write(who, [labelled(draft, who, kind="system")])

    async def flushed(self) -> None:
        await self._flushed()

    async def connect(self) -> trio.abc.Stream:
        host, port = self._place()
        stream = await trio.open_tcp_stream(host, port)
        context = self._context()
        return stream if context is None else trio.SSLStream(stream, context, server_hostname=host)

    async def post(self, path: str, token: str, body: bytes) -> str:
        authority, context = self._authority(), self._context()
        # A guard of its own: webhooks of users may not come here, and this one may go nowhere else.
        sender = Sender(Guard((authority,)), Resolver(), connections=1, timeout=PATIENCE, tls=context)
        scheme = "http" if context is None else "https"
        try:
            headers = [("authorization", f"Bearer {token}"), ("content-type", "application/json")]
            verdict = (await sender.send(f"{scheme}://{authority}{path}", headers, body)).verdict
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(2):
                await sender.aclose()
        return "" if verdict.outcome is Outcome.DELIVERED else verdict.error_class

    async def _space(self) -> Namespace:
        try:
            return self._identity.namespace(NAMESPACE)
        except NotFound:
            space, _ = await self._identity.create_namespace(NAMESPACE, "Test events of the appliance itself")
            return space

    def _place(self) -> tuple[str, int]:
        host, port = self._addresses()[0]
        return ANY_HOST.get(host, host), port

    def _authority(self) -> str:
        host, port = self._place()
        return f"{url_host(host)}:{port}"

    def _context(self) -> ssl.SSLContext | None:
        """Trusts the certificate we show, and no other; its names are for others to check."""
        if self._certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(self._certificate)
        return context
