"""Jobs over HTTP, as the eventing clients know them. Both spellings of a type are understood, snake case is shown."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta

from appliance.auth.rights import memories_for
from appliance.errors import Forbidden, Unauthenticated
from appliance.jobs.desk import Desk
from appliance.jobs.job import STATUSES, stream_of
from appliance.jobs.kinds import BadJob, Kinds
from appliance.jobs.orders import AlreadyPending, Orders
from appliance.jobs.showing import job_row
from appliance.jobs.store import Search
from appliance.model.event import Event, Query
from appliance.model.http import Handler, Lane, Request, Response, Route, json_response
from appliance.model.jobs import JobOrder, Planned
from appliance.model.principal import ADMIN, READ, WRITE, Principal

__all__ = ["NewJob", "Submit", "job_routes"]

PATH = "/api/v1/jobs"
MOST_LISTED = 1000
FARTHEST = 10_000  # offset; for more, go on behind an id
MOST_EVENTS = 1000
LONGEST_MEMORY = 200
NOT_KEPT = (("cache-control", "no-store"),)

Name = Annotated[str, Meta(min_length=1, max_length=200)]

# Write what was planned in the caller's name, labelled with the memory.
Submit = Callable[[Principal, Planned, str, str, bytes], Awaitable[Sequence[Event]]]


class NewJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /api/v1/jobs` takes."""

    job_type: Name
    note_id: Name | None = None
    priority: Annotated[int, Meta(ge=-1000, le=1000)] | None = None
    payload: dict[str, Any] | None = None
    deduplicate: bool = False
    delay_s: Annotated[float, Meta(ge=0, le=365 * 24 * 3600)] = 0.0


class _Log(Protocol):
    async def events(self, query: Query) -> list[Event]: ...


class _Jobs(Protocol):
    @property
    def desk(self) -> Desk: ...

    @property
    def orders(self) -> Orders: ...

    @property
    def kinds(self) -> Kinds: ...


def job_routes(jobs: _Jobs, log: _Log, submit: Submit, render: Callable[[Event], str]) -> tuple[Route, ...]:
    """The table.

    Args:
        render: an event's envelope.
    """
    hands = _Hands(jobs, log, submit, render)
    one, archive = PATH + "/{job_id}", "/{archive}"

    def row(method: str, path: str, handler: Handler, scope: str, summary: str, request: type | None = None) -> Route:
        return Route(method, path, handler, summary, scope=scope, request=request, tags=("jobs",))

    return (
        Route("POST", PATH, hands.create, "Queue a job", scope=WRITE, lane=Lane.FAST, request=NewJob, tags=("jobs",)),
        row("GET", PATH, hands.listed, READ, "Jobs, newest first, and how many there are"),
        row("GET", PATH + "/pending", hands.pending, READ, "How many jobs wait"),
        row("GET", PATH + "/stats", hands.stats, READ, "How many jobs there are of each kind"),
        row("GET", PATH + "/status", hands.status, READ, "Whether jobs are paused, and how many there are"),
        row("POST", PATH + "/pause", hands.pause, ADMIN, "Begin no more jobs; those that run go on"),
        row("POST", PATH + "/resume", hands.resume, ADMIN, "Begin jobs again"),
        row("POST", PATH + "/pause" + archive, hands.pause, ADMIN, "Begin no more jobs of a memory"),
        row("POST", PATH + "/resume" + archive, hands.resume, ADMIN, "Begin jobs of a memory again"),
        row("GET", one, hands.show, READ, "One job with its attempts"),
        row("GET", one + "/events", hands.events, READ, "What was told of a job, in order"),
        row("POST", one + "/retry", hands.retry, WRITE, "Try a job again that failed, or now what waits for its time"),
        row("DELETE", one, hands.cancel, WRITE, "Cancel a job; one that runs is asked to end, and then made to"),
    )


class _Hands:
    """The handlers."""

    def __init__(self, jobs: _Jobs, log: _Log, submit: Submit, render: Callable[[Event], str]) -> None:
        self._jobs = jobs
        self._desk = jobs.desk
        self._log = log
        self._submit = submit
        self._render = render

    async def create(self, request: Request) -> Response:
        """Raises BadJob, Forbidden, NotFound (what it is about), LimitReached."""
        caller, wish = _caller(request), _decoded(request.body)
        memory = _written_memory(caller, request.memory)
        order = JobOrder(
            caller.namespace.key,
            wish.job_type,
            wish.payload or {},
            memory,
            wish.note_id or "",
            priority=wish.priority,
            delay=wish.delay_s,
        )
        kind = self._jobs.kinds.named(wish.job_type)
        caller.require(kind.scope)
        try:
            planned = await self._jobs.orders.plan(order, only=wish.deduplicate)
        except AlreadyPending:
            return json_response({"id": None, "status": "already_pending"})
        id = await self._written(request, caller, planned, memory)
        return json_response({"id": id, "status": "queued", "message": f"{kind.name} job queued"}, 201)

    async def listed(self, request: Request) -> Response:
        space, seen = _sight(request)
        search = Search(space, seen, self._wanted(request.query))
        limit = _number(request, "limit", 50, 1, MOST_LISTED)
        offset = _number(request, "offset", 0, 0, FARTHEST)
        found = await self._desk.page(search, limit=limit, offset=offset, after=request.query.get("after", ""))
        total, numbers = await self._desk.count(search), await self._desk.numbers(space, seen)
        return json_response({"jobs": [job_row(job) for job in found], "total": total, **numbers}, headers=NOT_KEPT)

    async def show(self, request: Request) -> Response:
        space, seen = _sight(request)
        return json_response(job_row(await self._desk.find(space, request.params["job_id"], seen)), headers=NOT_KEPT)

    async def events(self, request: Request) -> Response:
        space, seen = _sight(request)
        job = await self._desk.find(space, request.params["job_id"], seen)
        found = await self._log.events(Query(space, stream_of(job.id), limit=MOST_EVENTS))
        return Response(200, f'{{"job_id":"{job.id}","events":[{",".join(map(self._render, found))}]}}'.encode())

    def pending(self, request: Request) -> Response:
        return json_response({"pending": self._desk.counts(*_sight(request)).pending})

    async def stats(self, request: Request) -> Response:
        space, seen = _sight(request)
        return json_response(
            {**await self._desk.numbers(space, seen), "total": await self._desk.count(Search(space, seen))}
        )

    def status(self, request: Request) -> Response:
        space, seen = _sight(request)
        whole, archives = self._desk.paused(space, seen)
        counts = self._desk.counts(space, seen)
        return json_response(
            {
                "global": "paused" if whole else "running",
                "archives": dict.fromkeys(archives, "paused"),
                "queue": {"pending": counts.pending, "running": counts.running},
            }
        )

    async def pause(self, request: Request) -> Response:
        space, memory = _scope(request)
        await self._desk.pause(space, memory)
        return _switched("paused", memory)

    async def resume(self, request: Request) -> Response:
        space, memory = _scope(request)
        await self._desk.resume(space, memory)
        return _switched("resumed", memory)

    async def retry(self, request: Request) -> Response:
        space, seen = _sight(request)
        return json_response(job_row(await self._desk.retry(space, request.params["job_id"], seen)), 202)

    async def cancel(self, request: Request) -> Response:
        """200: it is cancelled. 202: it runs, and was asked to end."""
        space, seen = _sight(request)
        job = await self._desk.cancel(space, request.params["job_id"], seen)
        done = job.status == "cancelled"
        return json_response({"id": job.id, "status": "cancelled" if done else "cancelling"}, 200 if done else 202)

    # -- inside -----------------------------------------------------------------------------

    async def _written(self, request: Request, caller: Principal, planned: Planned, memory: str) -> str:
        """Commit what was planned; the id of the job, which is the first one's when a key is used again."""
        key = request.headers.get("idempotency-key", "")
        fingerprint = hashlib.sha256(request.body).digest() if key else b""
        try:
            events = await self._submit(caller, planned, memory, key, fingerprint)
        finally:
            self._jobs.orders.drop(planned.id)  # what was committed has been taken from there already
        return events[0].stream.partition("-")[2]

    def _wanted(self, query: dict[str, str]) -> tuple[tuple[str, str], ...]:
        """Raises BadJob: there is no such status."""
        status = query.get("status")
        if status is not None and status not in STATUSES:
            raise BadJob(f"there is no status {status[:100]!r}", hint=f"it is one of {', '.join(STATUSES)}")
        type = query.get("job_type")
        named = {
            "status": status,
            "type": None if type is None else self._jobs.kinds.spelled(type),
            "note": query.get("note_id"),
        }
        return tuple((name, value) for name, value in named.items() if value is not None)


def _caller(request: Request) -> Principal:
    if request.principal is None:
        raise Unauthenticated("this needs a token")
    return request.principal


def _sight(request: Request) -> tuple[int, tuple[str, ...] | None]:
    """The caller's namespace, and the memories it may see. Raises Forbidden."""
    caller = _caller(request)
    return caller.namespace.key, memories_for(caller, request.memory)


def _written_memory(caller: Principal, named: str | None) -> str:
    """The memory a new job is in.

    Raises:
        Forbidden: the caller is bound to others.
        BadJob: it is bound to several and names none.
    """
    if named is not None:
        memories_for(caller, named)
        return named
    if len(caller.memories) > 1:
        raise BadJob("this token is bound to several memories", hint=f"name one: {', '.join(sorted(caller.memories))}")
    return next(iter(caller.memories), "")


def _scope(request: Request) -> tuple[int, str | None]:
    """What is to be paused or resumed: namespace, and memory or None for all of it.

    Raises:
        Forbidden: the caller is bound to memories, and this is more than them.
        BadJob: no memory has this name.
    """
    caller, memory = _caller(request), request.params.get("archive")
    if caller.memories and memory not in caller.memories:
        raise Forbidden("this token is bound to memories", hint="pause one it is bound to, or use another token")
    if memory is not None and not (0 < len(memory) <= LONGEST_MEMORY and memory.isprintable()):
        raise BadJob(f"a memory has up to {LONGEST_MEMORY} printable characters")
    return caller.namespace.key, memory


def _switched(status: str, memory: str | None) -> Response:
    if memory is None:
        return json_response({"status": status, "scope": "global"})
    return json_response({"status": status, "scope": "archive", "archive": memory})


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= most):
        raise BadJob(f"{name} is {least} to {most}", hint="go on behind the last one with after=ID")
    return int(text)


def _decoded(body: bytes) -> NewJob:
    try:
        return msgspec.json.decode(body, type=NewJob)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadJob(f"this is no job: {error}", hint='a body is like {"job_type": "embedding"}') from error
