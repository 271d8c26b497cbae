"""Backups that make themselves, and the routes over which somebody asks for one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec
import structlog
import trio

from appliance.clock import parse_stamp
from appliance.errors import ApplianceError, Corrupt, Forbidden, Unavailable
from appliance.model.http import Request, Response, Route, json_response
from appliance.model.principal import ADMIN
from appliance.storage import backup
from appliance.storage.backup import Found, Manifest
from appliance.storage.ports import Engine
from appliance.world import World

__all__ = ["Backups", "BackupsJson", "backup_routes"]

T = TypeVar("T")

SETTLE = 60.0  # seconds after a start before the first one: clients come first
RETRY = 600.0  # seconds after one that failed
BREATH = 0.002  # seconds a check gives way to the loop, for each one or so that it works

log = structlog.get_logger("backups")


class Backups:
    """A supervised service: a proven backup every so often, the oldest given up. Also makes one on request."""

    name: ClassVar[str] = "backups"

    def __init__(
        self,
        engine: Engine,
        world: World,
        folder: Path,
        *,
        config: Path | None = None,
        every: float | None = None,
        keep: int = 12,
    ) -> None:
        """
        Args:
            folder: where they are kept; made when missing.
            config: the configuration file, copied along.
            every: seconds between two; None: only on request.
            keep: how many stay.
        """
        self._engine = engine
        self._world = world
        self.folder = folder
        self._config = config
        self.every = every
        self.keep = keep
        self._changed = trio.Event()
        self._one_at_a_time = trio.Lock()
        self._stopping = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await trio.sleep(SETTLE)
        failed = False
        while True:
            changed = self._changed
            with trio.move_on_after(await self._wait(failed)):
                await changed.wait()
                continue  # new times: look again
            failed = not await self._scheduled()

    async def drain(self) -> None:
        """A backup that is being made is given up: the next start has time for one."""
        self._stopping = True
        async with self._one_at_a_time:
            pass

    def configure(self, *, every: float | None, keep: int) -> None:
        """Take new times into use."""
        self.every, self.keep = every, keep
        self._changed.set()
        self._changed = trio.Event()

    async def now(self, reason: str = "asked") -> Manifest:
        """Make one, prove it, and remove those that are too many.

        Raises:
            Unavailable: there is no room, or the appliance is stopping.
            Corrupt: the copy is not what was written.
        """
        async with self._one_at_a_time:
            if self._stopping:
                raise Unavailable("the appliance is stopping", hint="try again in a few seconds")
            made = await self._aside(
                partial(
                    backup.make,
                    self._engine,
                    self.folder,
                    wall_us=self._world.wall_us(),
                    config=self._config,
                    reason=reason,
                    stop=lambda: self._stopping,
                    breathe=_give_way,
                )
            )
            gone = await self._aside(partial(backup.prune, self.folder, self.keep))
        log.info("backup made and proven", backup=made.name, events=made.events, pruned=len(gone))
        return made

    async def listing(self) -> list[Found]:
        return await self._aside(partial(backup.listing, self.folder))

    async def verify(self, name: str) -> Manifest:
        """Prove one again; see `backup.find` for names."""
        path = backup.find(self.folder, name)
        return await self._aside(partial(backup.verify, path, wall_us=self._world.wall_us(), breathe=_give_way))

    async def _aside(self, work: Callable[[], T]) -> T:
        return await self._world.in_thread(work)

    async def _wait(self, failed: bool) -> float:
        """Seconds until the next is due."""
        if self.every is None:
            return float("inf")
        if failed:
            return min(RETRY, self.every)
        newest = next((found for found in await self.listing() if not found.problem), None)
        if newest is None:
            return 0.0
        age = (self._world.wall_us() - parse_stamp(newest.created)) / 1e6
        return max(0.0, self.every - max(0.0, age))

    async def _scheduled(self) -> bool:
        try:
            await self.now("schedule")
        except ApplianceError as error:
            log.error("backup failed", reason=error.code, message=error.message)
            return False
        return True


class BackupsJson(msgspec.Struct, frozen=True):
    """The answer of `GET /api/v1/backups`."""

    folder: str
    every_s: float | None
    keep: int
    backups: Sequence[Found]


def backup_routes(backups: Backups) -> tuple[Route, ...]:
    """List, make and prove backups. They hold every namespace, so only the operator may."""

    async def listed(request: Request) -> Response:
        _require_operator(request)
        found = await backups.listing()
        return json_response(BackupsJson(str(backups.folder), backups.every, backups.keep, found))

    async def make(request: Request) -> Response:
        _require_operator(request)
        with _damage_is_told():
            return json_response(await backups.now(), 201)

    async def verify(request: Request) -> Response:
        _require_operator(request)
        with _damage_is_told():
            return json_response(await backups.verify(request.params["name"]))

    path, tags = "/api/v1/backups", ("operations",)
    return (
        Route("GET", path, listed, "Backups, newest first", scope=ADMIN, answer=BackupsJson, tags=tags),
        Route("POST", path, make, "Make a backup now and prove it", scope=ADMIN, answer=Manifest, tags=tags),
        Route(
            "POST",
            path + "/{name}/verify",
            verify,
            "Open a backup and check everything in it",
            scope=ADMIN,
            answer=Manifest,
            tags=tags,
        ),
    )


def _require_operator(request: Request) -> None:
    if request.principal is None or not request.principal.operator:
        raise Forbidden("backups hold all namespaces", hint="ask with a token of namespace default")


@contextlib.contextmanager
def _damage_is_told() -> Iterator[None]:
    """A bug's details are kept from clients, but what is damaged is the operator's business."""
    try:
        yield
    except Corrupt as damage:
        raise Unavailable(damage.message, hint=damage.hint) from damage


def _give_way() -> None:
    time.sleep(BREATH)
