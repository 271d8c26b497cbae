"""The front: accepts, does TLS, and lets no peer reach anybody else.

One accept loop per listening socket, which nothing but cancellation ends; one pump for all plain
connections, with a wall around each; one sweep for all deadlines. What a peer sends can end its own
connection and nothing more.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import structlog
import trio
from prometheus_client import CollectorRegistry
from trio.lowlevel import checkpoint, notify_closing, wait_readable

from appliance.model.http import Route, SocketRoute, problem
from appliance.web.attendant import Attendant
from appliance.web.connection import Connection
from appliance.web.limits import Limits
from appliance.web.listen import url_host
from appliance.web.origins import Origins
from appliance.web.pump import Pump, Pumped
from appliance.web.refusal import Refusal
from appliance.web.rest import QuartLane
from appliance.web.router import Around, Authenticate, Router
from appliance.web.secure import SecureWire
from appliance.web.shared import Shared
from appliance.web.wire import Wire
from appliance.world import World

__all__ = ["Front"]

log = structlog.get_logger("web")

SWEEP = 0.5  # seconds between looks at the deadlines
BREATH = 0.1  # seconds without accepting when descriptors or memory are short
TURN = 64  # connections taken, or told that we stop, before others get a turn
TURNED_AWAY = 64  # peers being told "full" at once; more are closed without a word
_SHORT_OF = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Front:
    """Serves routes and WebSockets on one port. A service.

    Args:
        listeners: bound and listening, ours from here on; see `listen.listen`.
        authenticate: who sends this request; raises Unauthenticated. Asked for routes with a scope.
        tls: makes every connection TLS.
        origins: of other sites whose pages may use us; see `origins.Origins`.
        around: put between every request and its handler; None: nothing.
    """

    name: ClassVar[str] = "web"

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        routes: Sequence[Route],
        sockets: Sequence[SocketRoute] = (),
        *,
        authenticate: Authenticate,
        limits: Limits,
        world: World,
        tls: ssl.SSLContext | None = None,
        registry: CollectorRegistry | None = None,
        origins: Sequence[str] = (),
        around: Around | None = None,
    ) -> None:
        self._listeners = list(listeners)
        self._addresses = [listener.getsockname()[:2] for listener in listeners]
        self._tls = tls
        self._limits = limits
        self._rest = QuartLane(world)
        self._shared = Shared(
            Router(routes, sockets, authenticate=authenticate, limits=limits, around=around),
            limits,
            world,
            self._rest,
            Origins(origins),
        )
        self._pump = Pump(self._shared, self._left)
        self._roster: set[Connection] = set()
        self._per_address: Counter[str] = Counter()
        self._turned_away = 0
        self._accepting = trio.CancelScope()
        self._empty = trio.Event()
        if registry is not None:
            registry.register(self._shared.meter)

    # -- what others see --------------------------------------------------------------------

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """(host, port) of each listening socket; the real port, also when 0 was asked for."""
        return list(self._addresses)

    @property
    def port(self) -> int:
        return int(self._addresses[0][1])

    @property
    def urls(self) -> list[str]:
        scheme = "http" if self._tls is None else "https"
        return [f"{scheme}://{url_host(host)}:{port}" for host, port in self._addresses]

    @property
    def counts(self) -> dict[str, int]:
        """Live numbers for status pages."""
        meter = self._shared.meter
        return {
            "connections": meter.open,
            "streams": meter.streams,
            "sockets": meter.sockets,
            "requests": sum(meter.requests.values()),
            "refusals": sum(meter.refusals.values()),
            "bugs": meter.bugs,
        }

    def mount(self, gone: Sequence[Route], new: Sequence[Route]) -> None:
        """Change the table of routes while it is served; see `Router.mount`."""
        self._shared.router.mount(gone, new)

    # -- the service ------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self._tick()
        try:
            async with trio.open_nursery() as nursery:
                self._shared.start_soon = nursery.start_soon
                nursery.start_soon(self._sweep)
                nursery.start_soon(self._rest.warm)
                nursery.start_soon(self._pump.run)
                nursery.start_soon(self._listen)
                task_status.started()
        finally:
            self._close_listeners()

    async def drain(self) -> None:
        """Take no one new, finish what is in flight, say goodbye to the rest."""
        self._shared.draining = True
        self._accepting.cancel()
        self._close_listeners()
        for number, connection in enumerate(list(self._roster), 1):
            connection.drain()
            if number % TURN == 0:
                await checkpoint()
        with trio.move_on_after(self._limits.drain):
            while self._roster:
                self._empty = trio.Event()
                await self._empty.wait()

    # -- accepting --------------------------------------------------------------------------

    async def _listen(self) -> None:
        with self._accepting:
            async with trio.open_nursery() as nursery:
                for listener in self._listeners:
                    nursery.start_soon(self._accept, listener)

    async def _accept(self, listener: socket.socket) -> None:
        while listener.fileno() >= 0:
            await wait_readable(listener)
            try:
                for _ in range(TURN):
                    self._admit(*listener.accept())
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno in _SHORT_OF:
                    self._shared.refused("descriptors")
                    log.warning("cannot accept", reason=error.strerror, open=self._shared.meter.open)
                    await trio.sleep(BREATH)

    def _admit(self, sock: socket.socket, address: tuple[str, int]) -> None:
        host = address[0]
        meter = self._shared.meter
        meter.accepted += 1
        reason = self._too_many(host)
        if reason is None:
            self._welcome(sock, host)
        elif self._turned_away < TURNED_AWAY and self._tls is None:
            self._shared.refused(reason)
            self._turned_away += 1
            self._shared.start_soon(self._turn_away, sock, reason)
        else:
            self._shared.refused(reason)
            sock.close()

    def _too_many(self, host: str) -> str | None:
        if self._shared.meter.open >= self._limits.clients:
            return "clients"
        if self._per_address[host] >= self._limits.per_address and not ipaddress.ip_address(host).is_loopback:
            return "per_address"
        return None

    def _enter(self, host: str) -> None:
        self._shared.meter.open += 1
        self._per_address[host] += 1

    def _leave(self, host: str) -> None:
        self._shared.meter.open -= 1
        self._per_address[host] -= 1
        if not self._per_address[host]:
            del self._per_address[host]

    async def _turn_away(self, sock: socket.socket, reason: str) -> None:
        """Say 503, once the peer has asked something: an answer before the question gets lost."""
        limits = self._limits
        wire = Wire(sock, write_deadline=limits.goodbye)
        full = Refusal(503, reason, "too many connections are open", hint="try again in 1 s", retry_after=1)
        answer = self._shared.renderer.response(problem(full, self._shared.request_id(None)), close=True)
        try:
            with trio.move_on_after(limits.goodbye):
                await wire.receive_some()
                await wire.write(answer)
            await wire.finish(limits.goodbye)
        except trio.BrokenResourceError:
            pass  # it did not wait for the answer
        finally:
            wire.kill()
            self._turned_away -= 1

    # -- connections ------------------------------------------------------------------------

    def _welcome(self, sock: socket.socket, host: str) -> None:
        deadline = self._limits.write_deadline
        self._enter(host)
        if self._tls is None:
            wire = Wire(sock, write_deadline=deadline, behind=self._behind)
            connection = Pumped(self._shared, wire, self._pump, peer=host)
            self._roster.add(connection)
            self._pump.add(connection)
        else:
            line = SecureWire(sock, self._tls, write_deadline=deadline, behind=self._behind)
            self._shared.start_soon(self._serve_securely, line, host)

    def _left(self, connection: Connection) -> None:
        self._roster.discard(connection)
        if not self._roster:
            self._empty.set()
        self._leave(connection.peer)

    async def _serve_securely(self, line: SecureWire, host: str) -> None:
        """The wall of a TLS connection, which has a task from beginning to end."""
        connection = Connection(self._shared, line, peer=host, secure=True)
        try:
            with trio.move_on_after(self._limits.head_time) as patience:
                await line.handshake()
            if patience.cancelled_caught:
                self._shared.refused("timeout")
            else:
                self._roster.add(connection)
                await Attendant(connection).stay()
        except* (trio.BrokenResourceError, OSError):
            pass  # peers leave
        except* Exception as group:  # noqa: BLE001 - the wall
            self._shared.failed(host, group)
        finally:
            line.kill()
            connection.left()
            self._left(connection)

    def _behind(self, line: Wire) -> None:
        self._shared.meter.behind += 1
        self._shared.start_soon(self._catch_up, line)

    async def _catch_up(self, line: Wire) -> None:
        """Send what an `offer` left, for a peer that took only part."""
        with contextlib.suppress(trio.BrokenResourceError):  # its reader sees it too
            await line.drained()

    # -- the sweep --------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(SWEEP)
            self._tick()
            now = self._shared.now
            for connection in [each for each in self._roster if each.due <= now]:
                connection.expire()

    def _tick(self) -> None:
        self._shared.now = self._shared.world.now()
        self._shared.renderer.tick(self._shared.world.wall_us() // 1_000_000)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            if listener.fileno() >= 0:
                notify_closing(listener)
                listener.close()
