"""What a storage engine must do. Two halves: one writer, many readers; both synchronous.

An engine knows nothing of tasks, threads or the loop. The log calls the writing half from one
place at a time and a reader from one place at a time; SQLite and memory are engines, PostgreSQL
will be. `tests/rooms/storage/conformance.py` is the contract in code: every engine must pass it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from appliance.clock import MICROSECONDS
from appliance.errors import ApplianceError
from appliance.model.event import Event, Head, Imported, Namespace, Page, Query, Unit
from appliance.model.state import Index, StateChange, StateRow

__all__ = [
    "KEY_LIFETIME_US",
    "Committed",
    "Engine",
    "NamespaceStats",
    "Proof",
    "Reader",
    "Recovery",
    "TokenRow",
]

KEY_LIFETIME_US = 24 * 3600 * MICROSECONDS  # how long an idempotency key is remembered


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
    messages: int  # stored now
    streams: int  # ever written; one that retention has emptied still has a version
    last: int | None  # latest time of any event ever written, microseconds


@dataclass(frozen=True, slots=True)
class Proof:
    """What a copy holds of one namespace, after every event in it was checked."""

    namespace: str
    messages: int
    streams: int
    newest: int  # highest global position ever given
    digest: str  # sum of the digests of all stored events, 32 hex digits


@dataclass(frozen=True, slots=True)
class Recovery:
    """What opening found. `lost` > 0: events that were acknowledged are not there."""

    events: int  # stored in all namespaces
    verified: int  # of them checked against their digests just now
    lost: int = 0
    notes: tuple[str, ...] = field(default_factory=tuple)  # sentences for the operator


class Reader(Protocol):
    """A view for one caller at a time. Every call sees one consistent state, every commit before it included.

    A namespace that does not exist reads as an empty one.
    """

    def events(self, query: Query) -> list[Event]:
        """What `query` asks for: a stream by position, everything else by global position.

        All given bounds and filters hold at once, and `limit` counts after them. A category with a dash matches
        nothing. A group owns no stream without an id. Large events cut the list short of `limit`; only an
        empty list means there is no more.
        """
        ...

    def page(self, query: Query) -> Page:
        """The same as ready JSON: the elements of the message-store API's arrays, compact, joined by commas.

        `[id, type, position, globalPosition, data, metadata, time]`, and for a query without `stream` its name
        after the id. `data` and `metadata` go out byte for byte as they were written.
        """
        ...

    def last(self, namespace: int, stream: str, type: str = "") -> Event | None:
        """The newest event of the stream (of the type) that is still stored."""
        ...

    def find(self, namespace: int, id: str) -> Event | None: ...

    def head(self, namespace: int, stream: str) -> Head | None:
        """None: never written. A stream that retention has emptied keeps its version, with count 0."""
        ...

    def heads(self, namespace: int, *, prefix: str = "", after: str = "", limit: int = 100) -> list[Head]:
        """Streams by name in byte order: those that begin with `prefix`, letter for letter, behind `after`."""
        ...

    def categories(self, namespace: int) -> list[tuple[str, int, int]]:
        """(category, streams, messages) of those that store messages, by name in byte order.

        `streams` counts as `NamespaceStats` does. A stream without a dash is in the category of its own name.
        """
        ...

    def namespaces(self) -> list[Namespace]: ...

    def stats(self, namespace: int) -> NamespaceStats: ...

    def tokens(self) -> list[TokenRow]: ...

    def state(self, namespace: int, owner: str, key: str) -> StateRow | None: ...

    def states(
        self,
        namespace: int,
        owner: str,
        *,
        prefix: str = "",
        after: str = "",
        limit: int = 100,
        where: Index = (),
        newest_first: bool = False,
    ) -> list[StateRow]:
        """By key in byte order: those that begin with `prefix`, letter for letter, behind `after`.

        Args:
            where: (name, value) pairs that must all be in the index of a value.
            newest_first: the other way round, those before `after`. (Keys mostly begin with the time.)
        """
        ...

    def count_states(self, namespace: int, owner: str, *, prefix: str = "", where: Index = ()) -> int: ...

    def newest(self, namespace: int, categories: tuple[str, ...] = ()) -> int:
        """Global position of the newest event ever written, or of the newest stored in `categories`; 0: none."""
        ...

    def position_at(self, namespace: int, time_us: int) -> int:
        """First global position stored at or after a time; one behind the newest if there is none.

        Found by bisection: where times do not rise with positions (imports, a clock set back) it is near.
        """
        ...

    def oldest(self, namespace: int, category: str | None = None) -> int:
        """Global position before which retention has removed events (of the category); 1: nothing removed."""
        ...

    def close(self) -> None: ...


class Engine(Protocol):
    """The writing half. One caller at a time, except `seal`, `reader` and `backup`."""

    @property
    def kind(self) -> str:
        """ "sqlite", "memory", "postgres"."""
        ...

    @property
    def recovery(self) -> Recovery: ...

    def commit(self, units: Sequence[Unit], *, now_us: int, new_ids: Iterator[str]) -> Committed:
        """Write the units in order, each whole or not at all, in one synced transaction.

        A draft or change sees those and the units before it. A refused unit leaves nothing behind: no event, no
        position used up, no key, no changed value. Its outcome is VersionConflict; Conflict (a value has not the
        version that a change or check expects; facts `owner`, `key`, `expected`, `actual`); Duplicate with fact `id`
        (ids are unique per namespace); KeyReused (another fingerprint within `KEY_LIFETIME_US` of the first use);
        or NotFound (no such namespace). What one batch changes has one version.
        A key that comes back with its fingerprint gets the first events again, also within one batch and after a
        restart; Duplicate with fact `key`, once retention has removed one of them. Positions go up by one from 0
        per stream, global positions by one from 1 per namespace.

        Raises:
            Unavailable: nothing was written and nothing may be acknowledged (disk full, I/O error).
            Broken: a sync failed; the process must end.
        """
        ...

    def seal(self, mark: object) -> None:
        """Sync the high-water mark. Only then may the commit be acknowledged. May run beside the next commit."""
        ...

    def import_batch(self, namespace: int, records: Sequence[Imported]) -> Committed:
        """One synced transaction of records that keep positions, ids and times; gaps and any order are fine.

        What is written later goes on behind the highest position of its stream and of the namespace. `outcomes`
        has one entry, for all of them; `mark` is to be sealed as after `commit`.

        Raises:
            Duplicate: a global position, id or stream position exists; nothing is written.
            NotFound: no such namespace.
        """
        ...

    def create_namespace(self, id: str, description: str, token: TokenRow, now_us: int) -> Namespace:
        """A fresh, empty one; a new engine has none. `token.namespace` is filled in here.

        Raises:
            Duplicate: it exists.
        """
        ...

    def delete_namespace(self, key: int) -> int:
        """Everything in it goes, tokens, keys and state too. Returns how many events there were. Raises NotFound."""
        ...

    def clear_namespace(self, key: int) -> int:
        """All events, versions and idempotency keys go, positions start again; tokens and state stay.

        Returns how many events there were. Raises NotFound.
        """
        ...

    def put_token(self, row: TokenRow) -> None:
        """Insert, or replace the one with this id."""
        ...

    def change_state(self, changes: Sequence[StateChange]) -> int:
        """A unit of changes alone, committed and sealed: all of them in order, or none. Each sees those before it.

        Returns the version that everything written here has from now on.

        Raises:
            Conflict: something has not the version that was expected; facts `owner`, `key`, `expected`, `actual`.
            NotFound: no such namespace.
        """
        ...

    def retain(self, namespace: int, category: str, before_us: int, limit: int) -> int:
        """Remove the first `limit` events, in log order, of the category that are older than `before_us`.

        Returns how many went. No version and no global position ever falls; `oldest` rises.
        """
        ...

    def forget_receipts(self, now_us: int) -> int:
        """Drop idempotency keys older than `KEY_LIFETIME_US`. Returns how many."""
        ...

    def reader(self) -> Reader: ...

    def backup(self, target: Path, *, stop: Callable[[], bool] = lambda: False) -> None:
        """A consistent copy into the existing, empty directory `target`, in any thread, while writing goes on.

        Synced (the directory too) and ready for `open` of the same engine.

        Args:
            stop: asked now and then; True gives up.

        Raises:
            Unavailable: given up, or the disk is full; nothing is left behind.
        """
        ...

    def close(self) -> None: ...
