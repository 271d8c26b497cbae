"""The newest events by stream, until the table of places takes them in.

That happens thousands of events at a time (see migration 0003). Meanwhile this is where they are found: the writer
adds what it is about to commit, readers ask before they look at the database. Whoever asked first and looked then
misses nothing that was committed before it asked: an event is here, or in the table, or in both. One that is here
and not committed has no row yet.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from appliance.model.event import Event
from appliance.storage.sqlite.sql import KEY_BITS

__all__ = ["Run", "Tail"]

FIRST_LOOK, WIDER = 8, 8  # keys looked at from the end: 8, 64, 512 …


@dataclass(slots=True)
class Run:
    """The end of a stream: events in a row, behind every one that has its place."""

    first: int  # position
    keys: list[int] = field(default_factory=list)  # of events, ascending

    @property
    def version(self) -> int:
        return self.first + len(self.keys) - 1


class Tail:
    """One thread changes it, any may look."""

    def __init__(self, runs: dict[tuple[int, str], Run] | None = None) -> None:
        self._runs = {} if runs is None else runs

    def view(self) -> Tail:
        """What it has now stays to be seen in the view, also when it gets its place."""
        return Tail(self._runs)

    @contextlib.contextmanager
    def adding(self, events: Sequence[Event]) -> Iterator[None]:
        """Add events that go on where their streams end; if the block fails, take them back."""
        runs = self._runs
        for event in events:
            name = (event.namespace, event.stream)
            run = runs.get(name)
            if run is None:
                run = runs[name] = Run(event.position)
            run.keys.append(event.namespace << KEY_BITS | event.global_position)
        try:
            yield
        except BaseException:
            for event in events:
                self._take_back(event.namespace, event.stream)
            raise

    def recall(self, namespace: int, stream: str, position: int, key: int) -> bool:
        """Add an event that an earlier process has written. False: its stream does not go on there."""
        run = self._runs.get((namespace, stream))
        if run is None:
            run = self._runs[namespace, stream] = Run(position)
        fits = position == run.first + len(run.keys)
        run.keys.append(key)
        return fits

    def _take_back(self, namespace: int, stream: str) -> None:
        run = self._runs[namespace, stream]
        run.keys.pop()
        if not run.keys:
            del self._runs[namespace, stream]

    def clear(self) -> None:
        """Everything has its place."""
        self._runs = {}

    def version(self, namespace: int, stream: str) -> int:
        """Position of the last event; -1: there is none here."""
        run = self._runs.get((namespace, stream))
        return -1 if run is None else run.version

    def first(self, namespace: int, stream: str) -> int | None:
        """Position of the first event; None: there is none here."""
        run = self._runs.get((namespace, stream))
        return None if run is None else run.first

    def since(self, namespace: int, stream: str, position: int, limit: int | None) -> Run | None:
        """Events from `position` on, at most `limit`. None: all of them have their place, or there are none."""
        run = self._runs.get((namespace, stream))
        if run is None:
            return None
        skipped = max(0, position - run.first)
        keys = run.keys[skipped:] if limit is None else run.keys[skipped : skipped + limit]
        return Run(run.first + skipped, keys) if keys else None

    def newest(self, namespace: int, stream: str) -> int | None:
        """Key of the last event."""
        run = self._runs.get((namespace, stream))
        return None if run is None else next(reversed(run.keys), None)  # it may be taken back meanwhile

    def backwards(self, namespace: int, stream: str) -> Iterator[list[int]]:
        """All keys, from the last to the first, in growing bunches: what is wanted is mostly in the first."""
        run = self._runs.get((namespace, stream))
        if run is None:
            return
        keys = run.keys[::-1]
        start, size = 0, FIRST_LOOK
        while start < len(keys):
            yield keys[start : start + size]
            start, size = start + size, size * WIDER
