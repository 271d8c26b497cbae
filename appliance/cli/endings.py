"""Ids as people type them: any unambiguous ending will do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.errors import Rejected

__all__ = ["by_ending"]


def by_ending(text: str, ids: Sequence[str]) -> str:
    """The one id that ends so, or `text` itself if none does.

    Raises:
        Rejected: several do.
    """
    found = [id for id in ids if id == text] or [id for id in ids if id.endswith(text)]
    if len(found) > 1:
        raise Rejected(f"{len(found)} ids end with {text}", hint="give more of it")
    return found[0] if found else text
