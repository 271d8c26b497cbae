"""The shelf of the dead: what cannot be done without a person, to be tried again or dropped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from appliance.egress.webhooks.service import Webhooks
from appliance.egress.webhooks.store import forget
from appliance.egress.webhooks.wishes import Letters
from appliance.errors import NotFound, Rejected
from appliance.model.event import Event
from appliance.model.letters import Letter

__all__ = ["DeadLetters"]

Find = Callable[[int, str], Awaitable[Event | None]]


class DeadLetters:
    """Of all endpoints of a namespace.

    Args:
        find: a namespace's stored event by its id.
    """

    def __init__(self, webhooks: Webhooks, find: Find) -> None:
        self._webhooks = webhooks
        self._find = find

    async def all(self, namespace: int) -> list[Letter]:
        """Oldest first."""
        return await self._webhooks.store.letters(namespace)

    async def one(self, namespace: int, id: str) -> Letter:
        """Raises NotFound."""
        return (await self.chosen(namespace, Letters(ids=(id,))))[0]

    async def chosen(self, namespace: int, wish: Letters) -> list[Letter]:
        """Those that `wish` names.

        Raises:
            NotFound: one of the ids is not there.
            Rejected: it names none.
        """
        if not (wish.ids or wish.source or wish.all):
            raise Rejected("say which ones", hint='give "ids", or a "source", or "all": true')
        letters = await self.all(namespace)
        missing = set(wish.ids) - {letter.id for letter in letters}
        if missing:
            id = min(missing)
            raise NotFound(f"there is no dead letter {id}", hint="appliance dlq list shows them", letter=id)
        return [
            letter
            for letter in letters
            if (not wish.ids or letter.id in wish.ids) and wish.source in (None, letter.source)
        ]

    async def retry(self, namespace: int, letters: Sequence[Letter]) -> int:
        """Bring them once more. Returns how many could be; those whose event is not kept any more stay."""
        done = 0
        for letter in letters:
            event = await self._find(namespace, letter.event)
            if event is None:
                continue
            await self._webhooks.again(namespace, letter.source, [event])
            await self.drop(namespace, [letter])
            done += 1
        return done

    async def drop(self, namespace: int, letters: Sequence[Letter]) -> None:
        """Nobody will miss them."""
        await self._webhooks.store.save([forget(namespace, letter) for letter in letters])
