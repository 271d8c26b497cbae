"""Counts by names that came from outside: labels that stay few. Pure, and cheap enough for the loop.

A label comes from outside as often as not. It is shown only if it looks like a name, and only the first names get a
series of their own: the rest are counted together, so that nobody can fill a monitoring system by inventing types.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from appliance.telemetry.redact import anonymous

__all__ = ["OTHER", "Tally"]

OTHER = "other"
MOST_LABELS = 200

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")


class Tally:
    """Counts by a label, of which there are never more than `most` and one for all others."""

    def __init__(self, most: int = MOST_LABELS) -> None:
        self._most = most
        self._labels: dict[str, str] = {}  # as they came: as they are shown
        self._counts: Counter[str] = Counter()

    def add(self, name: str, count: int = 1) -> None:
        self._counts[self._labels.get(name) or self.label(name)] += count

    def label(self, name: str) -> str:
        """What `name` is counted under."""
        known = self._labels.get(name)
        if known is not None:
            return known
        if len(self._labels) >= self._most or _NAME.fullmatch(name) is None or anonymous(name) != name:
            return OTHER
        self._labels[name] = name
        return name

    def counts(self) -> Mapping[str, int]:
        """As they are now; safe to ask from another thread."""
        return self._counts.copy()
