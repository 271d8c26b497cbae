"""What a plugin keeps: JSON values by key, read in one namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from appliance.errors import Rejected
from appliance.model.state import StateRow
from appliance.plugins.encoding import pairs
from appliance.plugins.ports import Records
from appliance.storage.ports import Reader

__all__ = ["Kept", "owner_of"]

MOST_LISTED = 10_000  # values read at once


@dataclass(frozen=True, slots=True)
class Kept:
    """A plugin's values in one namespace."""

    log: Records
    namespace: int
    owner: str

    async def row(self, key: str) -> StateRow | None:
        return await self.log.reading(lambda reader: reader.state(self.namespace, self.owner, key))

    async def get(self, key: str) -> Any:
        row = await self.row(key)
        return None if row is None else msgspec.json.decode(row.value)

    async def list(
        self,
        prefix: str = "",
        *,
        where: Mapping[str, str] | None = None,
        after: str = "",
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[tuple[str, Any]]:
        if not 0 <= limit <= MOST_LISTED:
            raise Rejected(f"{limit} values cannot be listed at once", hint=f"0 to {MOST_LISTED}, then go on `after`")

        def read(reader: Reader) -> list[StateRow]:
            return reader.states(
                self.namespace,
                self.owner,
                prefix=prefix,
                after=after,
                limit=limit,
                where=pairs(where),
                newest_first=newest_first,
            )

        rows = await self.log.reading(read) if limit else []
        return [(row.key, msgspec.json.decode(row.value)) for row in rows]

    async def count(self, prefix: str = "", *, where: Mapping[str, str] | None = None) -> int:
        count: Callable[[Reader], int] = lambda reader: reader.count_states(  # noqa: E731
            self.namespace, self.owner, prefix=prefix, where=pairs(where)
        )
        return await self.log.reading(count)


def owner_of(plugin: str) -> str:
    """Under what name a plugin's values are kept."""
    return f"plugin:{plugin}"
