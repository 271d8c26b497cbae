"""Keeps what was given up, and hands it back to whoever can try it again.

The shelf knows nothing of webhooks, jobs or plugins: each says once how a letter of its kind is tried again. A letter
leaves the shelf after that was begun, so a crash in between leaves it there, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import msgspec
import trio

from appliance.egress.dead_letters.wishes import Choice, Chosen
from appliance.errors import ApplianceError, NotFound
from appliance.model.letters import SHELF, Letter, Retry, shelved, unshelved
from appliance.model.state import StateChange
from appliance.storage.ports import Engine, Reader

__all__ = ["DeadLetters", "Log"]

T = TypeVar("T")

PAGE = 500  # rows read at once
AT_ONCE = 50  # letters tried again side by side, and taken away together


class Log(Protocol):
    """What the shelf needs of the log."""

    async def reading(self, work: Callable[[Reader], T]) -> T: ...

    async def control(self, work: Callable[[Engine], T]) -> T: ...


class DeadLetters:
    """`model.letters.Shelf`, and what people do with it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._retries: dict[str, Retry] = {}

    def serve(self, kind: str, retry: Retry) -> None:
        self._retries[kind] = retry

    async def put(self, namespace: int, letter: Letter) -> None:
        await self._change([shelved(namespace, letter)])

    async def forget(self, namespace: int, kind: str, source: str) -> None:
        await self.drop(namespace, await self.some(namespace, Choice(kind, source)))

    async def some(self, namespace: int, choice: Choice) -> list[Letter]:
        """Oldest first."""

        def read(reader: Reader) -> list[Letter]:
            return [letter for letter in _letters(reader, namespace, choice) if choice.takes(letter)]

        return await self._log.reading(read)

    async def one(self, namespace: int, id: str) -> Letter:
        """Raises NotFound."""
        return (await self._named(namespace, (id,)))[0]

    async def chosen(self, namespace: int, wish: Chosen) -> list[Letter]:
        """Those that `wish` names, oldest first.

        Raises:
            NotFound: one of the ids is not there.
            Rejected: it names none.
        """
        choice = wish.choice()
        if not wish.ids:
            return await self.some(namespace, choice)
        return [letter for letter in await self._named(namespace, sorted(set(wish.ids))) if choice.takes(letter)]

    async def retry(self, namespace: int, letters: Sequence[Letter]) -> int:
        """Have them tried again. Returns how many could be; the others stay where they are."""
        done = 0
        for start in range(0, len(letters), AT_ONCE):
            done += await self._retry_some(namespace, letters[start : start + AT_ONCE])
        return done

    async def drop(self, namespace: int, letters: Sequence[Letter]) -> None:
        """Nobody will miss them."""
        if letters:
            await self._change([unshelved(namespace, letter) for letter in letters])

    async def _retry_some(self, namespace: int, letters: Sequence[Letter]) -> int:
        begun: list[Letter] = []
        trouble: list[ApplianceError] = []

        async def one(letter: Letter, retry: Retry) -> None:
            try:
                if await retry(namespace, letter):
                    begun.append(letter)
            except ApplianceError as error:
                trouble.append(error)

        async with trio.open_nursery() as nursery:
            for letter in letters:
                retry = self._retries.get(letter.kind)
                if retry is not None:
                    nursery.start_soon(one, letter, retry)
        await self.drop(namespace, begun)
        if trouble:
            raise trouble[0]
        return len(begun)

    async def _named(self, namespace: int, ids: Sequence[str]) -> list[Letter]:
        def read(reader: Reader) -> list[Letter]:
            rows = [(id, reader.state(namespace, SHELF, id)) for id in ids]
            missing = [id for id, row in rows if row is None]
            if missing:
                id = missing[0]
                raise NotFound(f"there is no dead letter {id}", hint="appliance dlq list shows them", letter=id)
            return [_letter(row.value) for _, row in rows if row is not None]

        return await self._log.reading(read)

    async def _change(self, changes: Sequence[StateChange]) -> None:
        await self._log.control(lambda engine: engine.change_state(changes))


def _letters(reader: Reader, namespace: int, choice: Choice) -> Iterator[Letter]:
    """At least those that `choice` takes."""
    known = (("kind", choice.kind), ("source", choice.source))
    where = tuple((name, value) for name, value in known if value is not None)
    after = ""
    while rows := reader.states(namespace, SHELF, after=after, limit=PAGE, where=where):
        yield from (_letter(row.value) for row in rows)
        after = rows[-1].key


def _letter(text: str) -> Letter:
    return msgspec.json.decode(text, type=Letter)
