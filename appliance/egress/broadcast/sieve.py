"""Keeps a client's own message from coming back to it.

Who shares a channel shares its bytes, so a message cannot be left out for one of them before they are joined. It is
left out behind that: while a message is to be kept from a client, and only then, what goes to it is looked through
frame by frame. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from appliance.egress.broadcast.dialect import mark_of
from appliance.model.http import Outlet

__all__ = ["Sieve"]

MOST = 256  # messages kept from one client at once; one more, and it sees the oldest


class Sieve:
    """`model.http.Outlet`: that of a connection, which costs nothing while there is nothing to keep from it."""

    __slots__ = ("_hidden", "_outlet", "offer", "send_all")

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._hidden: dict[str, bytes] = {}  # by id
        self.offer: Callable[[bytes], bool] = outlet.offer
        self.send_all: Callable[[bytes], Coroutine[Any, Any, None]] = outlet.send_all

    def hide(self, id: str) -> None:
        """Let this message not through, once."""
        self._hidden[id] = mark_of(id).encode()
        if len(self._hidden) > MOST:
            del self._hidden[next(iter(self._hidden))]
        self.offer, self.send_all = self._offer, self._send_all

    def unhide(self, id: str) -> None:
        self._hidden.pop(id, None)
        if not self._hidden:
            self.offer, self.send_all = self._outlet.offer, self._outlet.send_all

    @property
    def hidden(self) -> int:
        """Messages that are still to be kept from it."""
        return len(self._hidden)

    @property
    def sent(self) -> int:
        return self._outlet.sent

    async def drained(self) -> None:
        await self._outlet.drained()

    def kill(self) -> None:
        self._outlet.kill()

    def end(self, code: int, reason: str = "") -> None:
        self._outlet.end(code, reason)

    def _offer(self, data: bytes) -> bool:
        rest, found = self._sifted(data)
        taken = self._outlet.offer(rest) if rest else True
        if taken:
            self._forget(found)
        return taken

    async def _send_all(self, data: bytes) -> None:
        rest, found = self._sifted(data)
        self._forget(found)
        if rest:
            await self._outlet.send_all(rest)

    def _sifted(self, data: bytes) -> tuple[bytes, list[str]]:
        """The data without what is to be kept back, and what that was."""
        found = [id for id, mark in self._hidden.items() if mark in data]
        for id in found:
            start, end = _frame_around(data, data.index(self._hidden[id]))
            data = data[:start] + data[end:]
        return data, found

    def _forget(self, ids: list[str]) -> None:
        for id in ids:
            self.unhide(id)


def _frame_around(data: bytes, place: int) -> tuple[int, int]:
    """Where the frame begins and ends that holds a place. Data is made of whole frames as a server sends them."""
    start = 0
    while True:
        size, head = data[start + 1], 2
        if size >= 126:
            head = 4 if size == 126 else 10
            size = int.from_bytes(data[start + 2 : start + head], "big")
        end = start + head + size
        if place < end:
            return start, end
        start = end
