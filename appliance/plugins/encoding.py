"""Values of plugins as they are stored and sent. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from appliance.api import Rejected
from appliance.api.context import Index

__all__ = ["View", "encoded", "pairs", "viewed"]


def encoded(value: object, what: str) -> str:
    """Raises Rejected: JSON cannot hold it."""
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Rejected(f"{what} is something JSON cannot hold: {error}") from error


def pairs(index: Index | None) -> tuple[tuple[str, str], ...]:
    """{"tag": ["a", "b"], "archived": "no"} as pairs of names and values."""
    return tuple(
        (name, value)
        for name, values in (index or {}).items()
        for value in ((values,) if isinstance(values, str) else values)
    )


class View(Mapping[str, Any]):
    """An object of JSON whose members are attributes too; nothing can be changed in it."""

    __slots__ = ("_members",)

    def __init__(self, members: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_members", members)

    def __getattr__(self, name: str) -> Any:
        try:
            return viewed(self._members[name])
        except KeyError:
            raise AttributeError(
                f"the event has no {name!r}; it has {', '.join(self._members) or 'nothing'}", name=name, obj=self
            ) from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an event cannot be changed")

    def __getitem__(self, name: str) -> Any:
        return viewed(self._members[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"View({self._members!r})"


def viewed(value: Any) -> Any:
    """JSON as handlers read it: objects as `View`, arrays as tuples."""
    if isinstance(value, dict):
        return View(value)
    if isinstance(value, list):
        return tuple(viewed(one) for one in value)
    return value
