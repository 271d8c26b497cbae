"""What writers ask for: events, changes of state, or both, with and without expectations.

Every unit says in its events what it does to state, so that the two can be compared afterwards:

- it leaves a value of its own, `unit/<marker>`, so that a unit that is stored in part shows;
- it counts: reads a counter, and writes one more on condition that nobody else has;
- it raises or lowers the flag of a stream, without looking: the last event that says so must be right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from appliance.log import Log
from appliance.model.event import Draft, Unit
from appliance.model.state import StateChange, StateCheck, StateRow

__all__ = ["ALL", "COUNTERS", "FLAGS", "OWNER", "STREAMS", "Order", "make_unit"]

STREAMS = ("a-1", "a-2", "b-1", "c")
COUNTERS = ("counter/x", "counter/y")
FLAGS = ("flag/1", "flag/2")
OWNER = "sim"
ALL = ("is", "unit")  # what all values `unit/…` are found by


@dataclass
class Order:
    """A unit in the making."""

    namespace: int
    marker: str
    told: dict[str, Any] = field(default_factory=dict)  # in the data of its first event
    changes: list[StateChange] = field(default_factory=list)
    checks: list[StateCheck] = field(default_factory=list)

    def count(self, rng: Random, counter: str, found: StateRow | None) -> None:
        version, number = (0, 0) if found is None else (found.version, int(found.value))
        checked = rng.random() < 0.5
        if checked:
            self.checks.append(StateCheck(self.namespace, OWNER, counter, version))
        self.changes.append(StateChange(self.namespace, OWNER, counter, str(number + 1), None if checked else version))
        self.told |= {"counter": counter, "to": number + 1}

    def wave(self, rng: Random, flag: str) -> None:
        value = f'"{self.marker}"' if rng.random() < 0.6 else None
        self.changes.append(StateChange(self.namespace, OWNER, flag, value, None, (("by", self.marker),)))
        self.told |= {"flag": flag, "up": value is not None}

    def leave_a_value(self) -> None:
        key = f"unit/{self.marker}"
        self.changes.append(StateChange(self.namespace, OWNER, key, "1", None, (ALL, ("by", self.marker))))


async def make_unit(rng: Random, log: Log, namespace: int, marker: str) -> Unit:
    """A unit nobody has tried yet. Its fingerprint is its marker.

    Raises:
        Unavailable: what it wanted to count could not be read.
    """
    order = Order(namespace, marker)
    if rng.random() < 0.5:
        order.leave_a_value()
    if rng.random() < 0.3:
        counter = rng.choice(COUNTERS)
        order.count(rng, counter, await log.reading(lambda reader: reader.state(namespace, OWNER, counter)))
    if rng.random() < 0.3:
        order.wave(rng, rng.choice(FLAGS))
    alone = order.changes and not order.told and rng.random() < 0.3
    size = 0 if alone else rng.choice((1, 1, 1, 2, 4))
    drafts = tuple(_draft(rng, log, order, number) for number in range(size))
    key = marker if rng.random() < 0.4 else ""
    return Unit(namespace, drafts, key, marker.encode(), tuple(order.changes), tuple(order.checks))


def _draft(rng: Random, log: Log, order: Order, number: int) -> Draft:
    stream = rng.choice(STREAMS)
    seen = log.peek_version(order.namespace, stream)
    expected = seen if number == 0 and rng.random() < 0.4 else None
    told = order.told if number == 0 else {}
    data = {"unit": order.marker, "n": number, **told, "filler": "x" * rng.choice((0, 0, 50, 3000))}
    return Draft(stream, "Noted", msgspec.json.encode(data).decode(), None, "", expected)
