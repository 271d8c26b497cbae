"""What all connections of a front have in common."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from appliance.model.http import Answer, Outlet, Request, Stream
from appliance.web.head import Head
from appliance.web.limits import Limits
from appliance.web.metrics import Meter
from appliance.web.origins import Origins
from appliance.web.render import Renderer
from appliance.web.router import Router
from appliance.world import World

__all__ = ["Line", "RestLane", "Shared"]

log = structlog.get_logger("web")

RETURN = (0.5, 5.0)  # seconds between which clients return after we stopped
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Line(Outlet, Protocol):
    """A connection's bytes both ways: `Wire` or `SecureWire`."""

    ender: Callable[[int, str], object] | None  # what `end` means while a protocol is spoken here

    @property
    def killed(self) -> bool: ...

    @property
    def starved(self) -> bool: ...

    @property
    def busy(self) -> bool: ...

    async def receive_some(self, max_bytes: int | None = None) -> bytes: ...

    async def write(self, data: bytes) -> None: ...

    def conclude(self, data: bytes) -> None: ...

    async def finish(self, grace: float) -> None: ...


class RestLane(Protocol):
    """The lane that a web framework serves."""

    async def answer(
        self, head: Head, request: Request, begin: Callable[[Request], Answer | Awaitable[Answer]]
    ) -> bytes | Stream:
        """A whole reply that says `Connection: close`, or an answer that the front writes itself."""
        ...


def _no_nursery(*_: object) -> None:
    raise RuntimeError("the front is not running")


@dataclass
class Shared:
    """The room in which connections live."""

    router: Router
    limits: Limits
    world: World
    rest: RestLane
    origins: Origins
    meter: Meter = field(default_factory=Meter)
    renderer: Renderer = field(default_factory=Renderer)
    draining: bool = False  # nobody may stay any longer
    now: float = 0.0  # coarse monotonic seconds: the sweep keeps it, so that no request asks the clock
    start_soon: Callable[..., None] = _no_nursery
    _requests: int = 0
    _prefix: str = ""

    def __post_init__(self) -> None:
        # An id must be findable in a log, not unguessable: a random prefix per process and a count.
        self._prefix = self.world.secret(5).hex()

    def request_id(self, given: str | None) -> str:
        """The id a client brought, if it is harmless, or a new one."""
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given
        self._requests += 1
        return f"{self._prefix}-{self._requests:x}"

    def failed(self, peer: str, error: BaseException) -> None:
        """Count and report what reached the wall around a connection: a bug of ours, and nobody else's trouble."""
        self.meter.bugs += 1
        log.error("connection failed", peer=peer, exc_info=error)

    def pause(self) -> int:
        """Milliseconds until a client should come back: not all of them at once."""
        return round(self.world.rng.uniform(*RETURN) * 1000)

    def refused(self, reason: str) -> None:
        self.meter.refusals[reason] += 1

    def holds(self, change: int) -> bool:
        """Account for bytes of bodies kept. False: too many are in flight."""
        self.meter.body_bytes += change
        return self.meter.body_bytes <= self.limits.bodies
