"""The appliance as handlers see it: what stands behind `ctx`, `tx`, `request`, `job` and `log`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Any, Protocol, TypeVar, overload

from appliance.api.values import Caller, HttpReply, Receipt

__all__ = ["Context", "Http", "Index", "Job", "Log", "Request", "State", "Transaction"]

C_co = TypeVar("C_co", covariant=True)
T = TypeVar("T")

Index = Mapping[str, str | list[str] | tuple[str, ...]]  # {"tag": ["a", "b"], "archived": "no"}
JobHandler = Callable[..., Any]


class Log(Protocol):
    """Structured lines: the text is a constant, everything variable is a field."""

    def debug(self, event: str, **fields: Any) -> Any: ...

    def info(self, event: str, **fields: Any) -> Any: ...

    def warning(self, event: str, **fields: Any) -> Any: ...

    def error(self, event: str, **fields: Any) -> Any: ...


class State(Protocol):
    """Reading what the plugin keeps: JSON values by key, in the namespace at hand."""

    async def get(self, key: str) -> Any:
        """The value, or None."""
        ...

    async def list(
        self,
        prefix: str = "",
        *,
        where: Mapping[str, str] | None = None,
        after: str = "",
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[tuple[str, Any]]:
        """(key, value) by key in byte order: those that begin with `prefix`, behind `after`.

        Args:
            where: all of these must be among what the value was indexed by.
            newest_first: by key from the highest down; `after` is then the last one seen.
        """
        ...

    async def count(self, prefix: str = "", *, where: Mapping[str, str] | None = None) -> int: ...


class Transaction(State, Protocol):
    """Reads, and what shall be written when the block is left: all of it together, or nothing.

    A read sees what this transaction has put (`get` does; `list` and `count` show what is stored). If something that
    `get` has read was changed meanwhile by somebody else, leaving raises Conflict; `on` and `job` handlers are then
    called again by themselves. Leaving by an exception writes nothing.
    """

    def put(self, key: str, value: Any, *, index: Index | None = None) -> None:
        """Keep a value.

        Args:
            index: what `where` finds it by; it replaces what the value had.

        Raises:
            Rejected: JSON cannot hold it. A key that cannot be is refused when the block is left.
        """
        ...

    def delete(self, key: str) -> None: ...

    def emit(self, event: object) -> Receipt:
        """Write an instance of a declared event; its receipt is filled when the block is left."""
        ...

    async def enqueue(
        self,
        job: JobHandler | str,
        /,
        *,
        key: str = "",
        delay: float = 0.0,
        priority: int | None = None,
        note_id: str = "",
        **arguments: Any,
    ) -> str:
        """Queue a job when the block is left; see `Context.enqueue`."""
        ...


class Http(Protocol):
    """Requests to other servers."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes = b"",
        timeout: float = 30.0,
    ) -> HttpReply:
        """The answer, whatever its status. Redirects are not followed.

        Public addresses may be asked, and the hosts that the plugin's own config names in a URL.

        Args:
            json: sent as the body, with its content type; None: `content` is.

        Raises:
            Rejected: no such URL, or one that may not be asked.
            PeerFailed: no connection, no whole answer in time, or a larger one than is read.
        """
        ...


class Request(Protocol):
    """One request to a plugin's route, checked."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def query(self) -> Mapping[str, str]:
        """Parameters; of a repeated one the first."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    @property
    def body(self) -> bytes: ...

    @property
    def caller(self) -> Caller | None:
        """Who asks; None on a route without a scope."""
        ...

    @property
    def memory(self) -> str:
        """The memory the caller names, checked against its rights; the only one it is bound to; "": none."""
        ...

    @property
    def idempotency_key(self) -> str:
        """`ctx.transaction(key=…)` takes it; "": none."""
        ...

    @property
    def id(self) -> str:
        """Of the request, as logs and answers name it."""
        ...

    @overload
    async def json(self) -> Any: ...

    @overload
    async def json(self, into: type[T]) -> T: ...

    async def json(self, into: Any = None) -> Any:
        """The body, decoded.

        Args:
            into: a dataclass or Struct it must fit: unknown members are refused too.

        Raises:
            Rejected: it is no JSON, or does not fit; the message names the place.
        """
        ...


class Job(Protocol):
    """One attempt at a job."""

    @property
    def id(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def memory(self) -> str: ...

    @property
    def note_id(self) -> str:
        """What it is about; "": nothing."""
        ...

    @property
    def arguments(self) -> Mapping[str, Any]: ...

    @property
    def attempt(self) -> int:
        """From 1."""
        ...

    @property
    def cause(self) -> str:
        """Id of the event it was asked for by; "": none."""
        ...

    async def progress(self, percent: int, message: str = "") -> None:
        """Say how far it is; clients see JobProgress. Also a sign of life."""
        ...


class Context(State, Protocol[C_co]):
    """The appliance as one call of one plugin sees it.

    It belongs to a namespace, a memory, an actor and a cause: those of the caller, of the event, or of the job. A
    service and a panel have namespace `default`. What is emitted carries them.
    """

    @property
    def config(self) -> C_co:
        """`[plugins.NAME]` of the configuration, decoded and checked."""
        ...

    @property
    def log(self) -> Log: ...

    @property
    def rng(self) -> Random:
        """For jitter and sampling; never for secrets."""
        ...

    @property
    def http(self) -> Http: ...

    @property
    def memory(self) -> str:
        """ "": none."""
        ...

    @property
    def namespace(self) -> str:
        """Its id, "default" for most."""
        ...

    async def emit(self, event: object) -> Receipt:
        """Append an instance of a declared event; returns once it is on disk.

        Raises:
            Rejected: a field cannot be part of a stream name, or is nothing JSON can hold.
            Unavailable: the log takes no writes now (disk full, stopping). A service may let it pass: it is
                begun again when there is hope, and it does not count as a crash.
        """
        ...

    def transaction(self, *, key: str = "") -> AbstractAsyncContextManager[Transaction]:
        """A block that reads and writes as one; see `Transaction`.

        Args:
            key: makes it idempotent: a second one with this key and the same events and values writes nothing
                and fills its receipts with the first one's.

        Raises (when the block is left):
            Conflict: something that was read has changed.
            KeyReused: the key came back with something else.
        """
        ...

    async def enqueue(
        self,
        job: JobHandler | str,
        /,
        *,
        key: str = "",
        delay: float = 0.0,
        priority: int | None = None,
        note_id: str = "",
        **arguments: Any,
    ) -> str:
        """Queue a job; its id.

        Args:
            job: a handler declared with `@plugin.job`, or the name of a type somebody declares.
            key: the same key of the same type is the same job, as long as it is kept.
            delay: seconds before it is due.
            priority: higher runs first; None: its type's.
            arguments: by name, as JSON can hold them.

        Raises:
            Rejected: no such type, or arguments it does not take.
            Unavailable: it cannot be queued now.
        """
        ...

    def new_id(self) -> str:
        """A fresh UUIDv7: in the order of creation."""
        ...

    def now(self) -> float:
        """Monotonic seconds, for durations and deadlines; tests drive it with a mock clock."""
        ...

    def wall(self) -> str:
        """The time of day as RFC 3339 text in UTC, for what is stored or shown."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    async def run_in_thread(self, work: Callable[[], T]) -> T:
        """Do blocking work aside. On the loop a handler that blocks for 250 ms is interrupted."""
        ...
