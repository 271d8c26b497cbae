"""A streaming answer's hold on its connection."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from appliance.model.frames import chunk
from appliance.model.http import Outlet

__all__ = ["ChunkedExchange"]


class ChunkedExchange:
    """`model.http.Exchange` over HTTP/1.1 chunks.

    Shared blocks may be framed once with `frames.chunk` and offered to `outlet` directly. `closed` reads
    from the connection in the calling task, so that waiting for the end costs no task of its own; with
    a streamed request body, call it after the body.
    """

    __slots__ = ("_gone", "outlet")

    def __init__(self, outlet: Outlet, gone: Callable[[], Coroutine[None, None, None]]) -> None:
        self.outlet = outlet
        self._gone = gone

    async def write(self, data: bytes) -> None:
        await self.outlet.send_all(chunk(data))

    def offer(self, data: bytes) -> bool:
        return self.outlet.offer(chunk(data))

    def closed(self) -> Coroutine[None, None, None]:
        return self._gone()  # itself, not a coroutine around it: thousands wait here
