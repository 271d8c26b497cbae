"""A change that is begun is made to its end, even if who asked for it leaves; and no two are made at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from appliance.errors import ApplianceError, Unavailable

__all__ = ["Turns"]


class Turns:
    """One change after the other, in tasks of whoever runs.

    Args:
        limit: seconds for a change, whoever waits for it.
    """

    def __init__(self, *, limit: float) -> None:
        self._limit = limit
        self._nursery: trio.Nursery | None = None
        self._turn = trio.Lock()

    def begin(self, nursery: trio.Nursery) -> None:
        """From now on, in tasks of `nursery`."""
        self._nursery = nursery

    def end(self) -> None:
        """Nothing is changed any more."""
        self._nursery = None

    async def take(self, change: Callable[[], Awaitable[None]]) -> None:
        """Returns when it is made.

        Raises:
            Unavailable: it took too long, or nothing is changed now.
            ApplianceError: what `change` raises.
        """
        if self._nursery is None:
            raise Unavailable("this part is not ready", hint="try again in a few seconds")
        trouble: list[ApplianceError] = []
        over = trio.Event()

        async def carry() -> None:
            trouble.append(Unavailable("the appliance is stopping", hint="try again in a few seconds"))
            try:
                async with self._turn:
                    with trio.fail_after(self._limit):
                        await change()
                trouble.clear()
            except ApplianceError as error:
                trouble[:] = [error]
            except trio.TooSlowError:
                trouble[:] = [Unavailable("the change took too long", hint="try again")]
            finally:
                over.set()

        self._nursery.start_soon(carry)
        await over.wait()
        if trouble:
            raise trouble[0]
