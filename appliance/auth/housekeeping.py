"""What has to be done now and then: access tokens that are used live on, and what has expired is put away."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec
import trio

from appliance.auth.book import Book
from appliance.auth.credentials import OWNER_OF_STATE, Credential
from appliance.auth.oauth.clients import OAuthClient, forget_client
from appliance.clock import MICROSECONDS
from appliance.errors import ApplianceError, Unavailable
from appliance.model.principal import MCP
from appliance.model.state import StateChange
from appliance.world import World

__all__ = ["ACCESS", "ACCESS_MCP", "ENDED", "Housekeeping", "access_lifetime"]

ACCESS, ACCESS_MCP = 3600, 24 * 3600  # seconds an access token lives after its last use
STEP = 60 * MICROSECONDS  # it is extended by steps of this, so that a use costs nothing most of the time
EVERY = 60.0  # seconds between two rounds
KEPT = 3600 * MICROSECONDS  # an expired one is known for so long, so that its holder hears that it has expired
STRANGER = 24 * 3600 * MICROSECONDS  # a client that a stranger registered and nobody has agreed to
SLICE = 500  # changes in one commit
ENDED = "jti/"  # key of a signed token that was revoked


class _Identity(Protocol):
    book: Book

    async def keep(
        self,
        *rows: Credential,
        drop: Callable[[], Sequence[Credential]] = ...,
        besides: Sequence[StateChange] = ...,
        check: Callable[[], None] = ...,
        then: Callable[[], None] = ...,
    ) -> None: ...


def access_lifetime(scopes: Sequence[str]) -> int:
    """Seconds."""
    return ACCESS_MCP if MCP in scopes else ACCESS


class Housekeeping:
    """Rounds, once a minute."""

    def __init__(self, identity: _Identity, world: World) -> None:
        self._identity = identity
        self._world = world
        self._extended: set[str] = set()  # ids of access tokens whose new end is not on disk yet

    async def run(self) -> None:
        """Lasts until cancelled."""
        while True:
            await trio.sleep(EVERY)
            with contextlib.suppress(ApplianceError):  # a full disk, say: memory knows better until the next round
                await self.round()

    async def round(self) -> None:
        """Raises an ApplianceError: not everything could be written; the next round tries again."""
        await self.write_down()
        await self._put_away()

    def used(self, row: Credential, now_us: int) -> None:
        """Whoever uses an access token need not fetch another one."""
        if row.kind != "access" or row.expires is None:
            return
        end = now_us + access_lifetime(row.scopes) * MICROSECONDS
        if end - row.expires >= STEP:
            self._identity.book.adopt(msgspec.structs.replace(row, expires=end))
            self._extended.add(row.id)

    async def write_down(self) -> None:
        """Put the new ends of access tokens on disk."""
        while self._extended:
            some = [self._extended.pop() for _ in range(min(SLICE, len(self._extended)))]
            known = [self._identity.book.get(id) for id in some]
            rows = [one.row for one in known if one is not None]
            try:
                await self._identity.keep(*rows, check=partial(self._still_there, rows))
            except ApplianceError:
                self._extended.update(some)
                raise

    def _still_there(self, rows: Sequence[Credential]) -> None:
        """One that was ended meanwhile must not be written back."""
        if any(self._identity.book.get(row.id) is None for row in rows):
            raise Unavailable("an access token ended while its new end was to be written")

    async def _put_away(self) -> None:
        book, now = self._identity.book, self._world.wall_us()
        while old := [known.row for known in book if _is_over(known.row, now)][:SLICE]:
            await self._identity.keep(drop=partial(list, old))
        strangers = [
            client
            for client in book.clients.values()
            if not (client.by_admin or client.agreed) and client.created + STRANGER < now
        ]
        ended = [(digest, key) for digest, (until, key) in book.ended.items() if until + KEPT < now]
        changes = [forget_client(client) for client in strangers]
        changes += [StateChange(key, OWNER_OF_STATE, ENDED + digest, None) for digest, key in ended]
        if changes:
            await self._identity.keep(besides=changes, then=lambda: _leave_out(book, strangers, ended))


def _leave_out(book: Book, strangers: Sequence[OAuthClient], ended: Sequence[tuple[str, int]]) -> None:
    for client in strangers:
        book.clients.pop(client.id, None)
    for digest, _ in ended:
        book.ended.pop(digest, None)


def _is_over(row: Credential, now: int) -> bool:
    """Tokens and API keys stay in the lists until somebody takes them out."""
    return row.kind in ("access", "refresh", "stream") and row.expires is not None and row.expires + KEPT < now
