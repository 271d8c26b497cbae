"""What webhooks count, for whoever scrapes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from appliance.model.buckets import Buckets

__all__ = ["Figures"]

ATTEMPTS = (1, 2, 3, 4, 5, 10)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of all endpoints, since the start."""

    outcomes: Counter[str] = field(default_factory=Counter)  # attempts by what came of them: success, retry, failed
    seconds: Buckets = field(default_factory=Buckets)  # of one attempt
    attempts: Buckets = field(default_factory=lambda: Buckets(ATTEMPTS))  # of one delivery, when it is settled
