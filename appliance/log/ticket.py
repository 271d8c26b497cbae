"""A result that is on its way, and the one who waits for it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, ClassVar, Generic, TypeVar

import outcome
import trio

__all__ = ["Ticket"]

T = TypeVar("T")


class Ticket(Generic[T]):
    """Await it, or be told when it is `done`, once. Whoever stops waiting leaves the work alone.

    Leaner than a `trio.Event` and a slot for the result: there is one per append. To be told costs a call;
    to await costs a task that is woken, a fifth of an append. The latest to wait is the one who is told.
    """

    __slots__ = ("_error", "_result", "_then", "done")

    tells: ClassVar[bool] = True

    def __init__(self) -> None:
        self.done = False
        self._result: T | None = None
        self._error: Exception | None = None
        self._then: Callable[[], object] | None = None

    def resolve(self, result: T) -> None:
        self._result = result
        self._finish()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._finish()

    def tell(self, then: Callable[[], object]) -> None:
        """Call `then`, which must not raise, on the loop and as soon as this is done; at once if it is."""
        if self.done:
            then()
        else:
            self._then = then

    def result(self) -> T:
        """What came out of it. It is done.

        Raises:
            whatever the work failed with.
        """
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def _finish(self) -> None:
        self.done = True
        then, self._then = self._then, None
        if then is not None:
            then()

    def __await__(self) -> Generator[Any, None, T]:
        if not self.done:
            task = trio.lowlevel.current_task()
            self._then = lambda: trio.lowlevel.reschedule(task, outcome.Value(None))
            yield from trio.lowlevel.wait_task_rescheduled(self._give_up).__await__()  # noqa: ASYNC105 - it is
        return self.result()

    def _give_up(self, _: object) -> trio.lowlevel.Abort:
        self._then = None
        return trio.lowlevel.Abort.SUCCEEDED
