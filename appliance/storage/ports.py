"""What a storage engine must do. Two halves: one writer, many readers; both synchronous.

An engine knows nothing of tasks, threads or the loop. The log calls the writing half from one
place at a time and a reader from one place at a time; SQLite and memory are engines, PostgreSQL
will be. `tests/rooms/storage/conformance.py` is the contract in code: every engine must pass it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from appliance.errors import ApplianceError
from appliance.model.event import Event, Head, Imported, Namespace, Page, Query, Unit

__all__ = ["Committed", "Engine", "Gap", "NamespaceStats", "Reader", "Recovery", "TokenRow"]


@dataclass(frozen=True, slots=True)
class Committed:
    """What one transaction did.

    `outcomes` has one entry per unit: its events, or why it was refused. `fresh` are the events that
    are new, in log order per namespace (a repeated idempotency key answers with old ones).
    `mark` is handed to `Engine.seal`.
    """

    outcomes: tuple[tuple[Event, ...] | ApplianceError, ...]
    fresh: tuple[Event, ...]
    mark: object = None


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A stored token: its hash, never its text."""

    id: str
    hash: bytes  # SHA-256 of the token's text
    namespace: int
    scopes: tuple[str, ...]
    name: str = ""
    memories: tuple[str, ...] = ()
    created: int = 0  # microseconds since 1970
    expires: int | None = None
    revoked: int | None = None


@dataclass(frozen=True, slots=True)
class NamespaceStats:
    messages: int
    streams: int
    last: int | None  # time of the newest event, microseconds


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of events that retention removed."""

    first: int  # global positions
    last: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """What opening found. `lost` > 0: events that were acknowledged are not there."""

    events: int  # stored in all namespaces
    verified: int  # of them checked against their digests just now
    lost: int = 0
    notes: tuple[str, ...] = field(default_factory=tuple)  # sentences for the operator


class Reader(Protocol):
    """A view for one caller at a time. Every call sees one consistent state."""

    def events(self, query: Query) -> list[Event]: ...

    def page(self, query: Query) -> Page: ...

    def last(self, namespace: int, stream: str, type: str = "") -> Event | None: ...

    def find(self, namespace: int, id: str) -> Event | None: ...

    def head(self, namespace: int, stream: str) -> Head | None: ...

    def heads(self, namespace: int, *, prefix: str = "", after: str = "", limit: int = 100) -> list[Head]:
        """Streams by name in byte order."""
        ...

    def categories(self, namespace: int) -> list[tuple[str, int, int]]:
        """(category, streams, messages), by name."""
        ...

    def namespaces(self) -> list[Namespace]: ...

    def stats(self, namespace: int) -> NamespaceStats: ...

    def tokens(self) -> list[TokenRow]: ...

    def newest(self, namespace: int) -> int:
        """Global position of the newest event ever written; 0: none."""
        ...

    def oldest(self, namespace: int, category: str | None = None) -> int:
        """Global position before which retention has removed events (of the category); 1: nothing removed."""
        ...

    def close(self) -> None: ...


class Engine(Protocol):
    """The writing half. One caller at a time, except `seal` and `reader`."""

    @property
    def kind(self) -> str:
        """ "sqlite", "memory", "postgres"."""
        ...

    @property
    def recovery(self) -> Recovery: ...

    def commit(self, units: Sequence[Unit], *, now_us: int, new_ids: Iterator[str]) -> Committed:
        """Write the units in order, each whole or not at all, in one synced transaction.

        Raises:
            Unavailable: nothing was written and nothing may be acknowledged (disk full, I/O error).
            Broken: a sync failed; the process must end.
        """
        ...

    def seal(self, mark: object) -> None:
        """Sync the high-water mark. Only then may the commit be acknowledged. May run beside the next commit."""
        ...

    def import_batch(self, namespace: int, records: Sequence[Imported]) -> tuple[Event, ...]:
        """One transaction of records that keep their positions.

        Raises:
            Duplicate: a global position, id or stream position exists; nothing is written.
        """
        ...

    def create_namespace(self, id: str, description: str, token: TokenRow, now_us: int) -> Namespace:
        """`token.namespace` is filled in here. Raises Duplicate: it exists."""
        ...

    def delete_namespace(self, key: int) -> int:
        """Everything in it goes, tokens too. Returns how many events there were."""
        ...

    def clear_namespace(self, key: int) -> int:
        """All events go, positions start again; tokens stay."""
        ...

    def put_token(self, row: TokenRow) -> None:
        """Insert, or replace the one with this id."""
        ...

    def retain(self, namespace: int, category: str, before_us: int, limit: int) -> int:
        """Remove up to `limit` events of the category older than `before_us`. Returns how many went."""
        ...

    def reader(self) -> Reader: ...

    def backup(self, target: Path) -> None:
        """A consistent copy while writing goes on; synced, and readable by `open` of the same engine."""
        ...

    def close(self) -> None: ...
