"""A shelf of dead letters that only remembers."""

from __future__ import annotations

from appliance.model.letters import Letter, Retry

__all__ = ["MemoryShelf"]


class MemoryShelf:
    """`model.letters.Shelf`."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.retries: dict[str, Retry] = {}

    async def put(self, namespace: int, letter: Letter) -> None:
        self.letters.append(letter)

    async def forget(self, namespace: int, kind: str, source: str) -> None:
        self.letters = [one for one in self.letters if (one.kind, one.source) != (kind, source)]

    def serve(self, kind: str, retry: Retry) -> None:
        self.retries[kind] = retry
