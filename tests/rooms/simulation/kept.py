"""Whether the state that is kept is what the events say of it: see `units`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from appliance.model.event import Event
from appliance.model.state import StateRow
from appliance.storage.ports import Reader
from tests.rooms.simulation.history import History, Violation
from tests.rooms.simulation.units import ALL, COUNTERS, FLAGS, OWNER

__all__ = ["check_state", "read_state"]

MOST = 1_000_000

Kept = dict[str, str]


def read_state(reader: Reader, namespace: int) -> Kept:
    """All values by key.

    Raises:
        Violation: the index does not find them all, or finds others.
    """
    rows = reader.states(namespace, OWNER, limit=MOST)
    own = [row for row in rows if row.key.startswith("unit/")]
    _check_same(own, reader.states(namespace, OWNER, where=(ALL,), limit=MOST))
    _check_same(own[::-1], reader.states(namespace, OWNER, prefix="unit/", newest_first=True, limit=MOST))
    for row in own:
        marker = row.key.removeprefix("unit/")
        _check_same([row], reader.states(namespace, OWNER, prefix="unit/", where=(("by", marker), ALL)))
    return {row.key: row.value for row in rows}


def check_state(history: History, stored: Sequence[Event], kept: Mapping[int, Kept]) -> None:
    """Units are stored with their changes or not at all; counters and flags are as the events say.

    Raises:
        Violation: they are not.
    """
    for namespace, values in kept.items():
        told = [msgspec.json.decode(event.data) for event in stored if event.namespace == namespace]
        _check_counters(told, values)
        _check_flags(told, values)
    _check_units(history, stored, kept)


def _check_counters(told: Sequence[dict[str, Any]], values: Kept) -> None:
    for counter in COUNTERS:
        counted = [data["to"] for data in told if data.get("counter") == counter]
        if counted != list(range(1, len(counted) + 1)):
            raise Violation(f"{counter} was counted {counted}")
        if values.get(counter, "0") != str(len(counted)):
            raise Violation(f"{counter} is {values.get(counter)}, {len(counted)} events have counted")


def _check_flags(told: Sequence[dict[str, Any]], values: Kept) -> None:
    for flag in FLAGS:
        waved = [data for data in told if data.get("flag") == flag]
        wanted = f'"{waved[-1]["unit"]}"' if waved and waved[-1]["up"] else None
        if values.get(flag) != wanted:
            raise Violation(f"{flag} is {values.get(flag)}, the last event says {wanted}")


def _check_units(history: History, stored: Sequence[Event], kept: Mapping[int, Kept]) -> None:
    written = {msgspec.json.decode(event.data)["unit"] for event in stored}
    for marker, unit in history.begun.items():
        key = f"unit/{marker}"
        if not any(change.key == key for change in unit.changes):
            continue
        there = key in kept[unit.namespace]
        if unit.drafts and there != (marker in written):
            raise Violation(f"{marker} has its {'value' if there else 'events'} and not the other")
        if marker in history.acknowledged and not there:
            raise Violation(f"{key} was acknowledged and is not there")
        if marker in history.refused and there:
            raise Violation(f"{marker} was refused and {key} is there")


def _check_same(wanted: Sequence[StateRow], found: Sequence[StateRow]) -> None:
    if wanted != found:
        raise Violation(f"the index finds {found}, there is {wanted}")
