"""How the way of an event looks on a terminal: a line for each place, or two where there is no room. Pure.

✓ webhook  erp                    200                                         12 ms
– webhook  big orders             `data.total` is 90, needed > 100
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.cli.render import Paint, plain

__all__ = ["legs_text"]

MARKS = {"done": ("✓", "green"), "waiting": ("…", "yellow"), "failed": ("✗", "red"), "skipped": ("–", "dim")}
NAME_WIDTH = 40  # columns at most; longer names push the rest to the right
DETAIL_WIDTH = 24  # columns a reason needs; with less it stands below
INDENT = 4


def legs_text(legs: Sequence[Mapping[str, Any]], paint: Paint, width: int) -> list[str]:
    """Lines.

    Args:
        width: columns there are; 0: as many as are needed.
    """
    kinds = max((len(leg["kind"]) for leg in legs), default=0)
    names = min(NAME_WIDTH, max((len(plain(leg["name"])) for leg in legs), default=0))
    return [line for leg in legs for line in _lines(leg, paint, width, kinds, names)]


def _lines(leg: Mapping[str, Any], paint: Paint, width: int, kinds: int, names: int) -> list[str]:
    mark, colour = MARKS.get(leg["outcome"], ("?", "dim"))
    name = plain(leg["name"])
    start = f"{leg['kind'].ljust(kinds)}  {name.ljust(names)}"
    painted = f" {paint(mark, colour)} {paint(leg['kind'].ljust(kinds), 'dim')}  {name.ljust(names)}"
    told = [part for part in (plain(leg.get("detail", "")), _time(leg)) if part]
    if not told:
        return [painted.rstrip()]
    room = width - len(start) - 5
    if not width or len("  ".join(told)) <= room:
        return [f"{painted}  {'  '.join(told)}"]
    if room >= DETAIL_WIDTH:
        first, *rest = textwrap.wrap("  ".join(told), room)
        return [f"{painted}  {first}", *(" " * (len(start) + 5) + line for line in rest)]
    below = textwrap.wrap("  ".join(told), max(DETAIL_WIDTH, width - INDENT))
    return [painted.rstrip(), *(" " * INDENT + line for line in below)]


def _time(leg: Mapping[str, Any]) -> str:
    after = leg.get("after_ms")
    if after is None:
        return ""
    return f"after {after:.0f} ms" if after < 10_000 else f"after {after / 1000:.0f} s"
