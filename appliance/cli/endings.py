"""Ids as people type them: any unambiguous ending will do, or a name. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from appliance.errors import Rejected

__all__ = ["by_ending", "by_name"]


def by_ending(text: str, ids: Sequence[str]) -> str:
    """The one id that ends so, or `text` itself if none does.

    Raises:
        Rejected: several do.
    """
    found = [id for id in ids if id == text] or [id for id in ids if id.endswith(text)]
    if len(found) > 1:
        raise Rejected(f"{len(found)} ids end with {text}", hint="give more of it")
    return found[0] if found else text


def by_name(text: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The id of the one row, of those with `id` and `name`, that is named so; else as `by_ending`.

    Raises:
        Rejected: several are, or several ids end so.
    """
    named = [row["id"] for row in rows if row["name"] == text]
    if len(named) > 1:
        raise Rejected(f"{len(named)} are named {text}", hint=f"name one by its id: {', '.join(named)}")
    return named[0] if named else by_ending(text, [row["id"] for row in rows])
