"""A result that is on its way from the writer to one waiting task."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Generic, TypeVar

import outcome
import trio

__all__ = ["Ticket"]

T = TypeVar("T")


class Ticket(Generic[T]):
    """Await it, once, for the result. Cancelling the wait leaves the work alone.

    Leaner than a `trio.Event` and a slot for the result: there is one per append.
    """

    __slots__ = ("_done", "_error", "_result", "_task")

    def __init__(self) -> None:
        self._done = False
        self._result: T | None = None
        self._error: Exception | None = None
        self._task: trio.lowlevel.Task | None = None

    def resolve(self, result: T) -> None:
        self._result = result
        self._finish()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._finish()

    def _finish(self) -> None:
        self._done = True
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task, outcome.Value(None))

    def __await__(self) -> Generator[Any, None, T]:
        if not self._done:
            self._task = trio.lowlevel.current_task()
            yield from trio.lowlevel.wait_task_rescheduled(self._give_up).__await__()  # noqa: ASYNC105 - it is
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def _give_up(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
