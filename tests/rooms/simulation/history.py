"""What clients were told, and whether it was true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from appliance.model.event import Event, Unit
from appliance.model.topic import Topic

__all__ = ["Connection", "History", "Violation"]


class Violation(AssertionError):
    """A promise was broken."""


@dataclass
class Connection:
    """What one subscriber got over one connection."""

    topic: Topic
    first: int  # position from which on it wants events: of its stream, else global
    got: list[int] = field(default_factory=list)  # global positions


@dataclass
class History:
    """Everything anybody was shown in one universe; `check` compares it with what is stored."""

    shown: dict[tuple[int, int], str] = field(default_factory=dict)  # (namespace, global position) -> id
    begun: dict[str, Unit] = field(default_factory=dict)  # by the marker in its data
    tries: Counter[str] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)  # markers
    refused: set[str] = field(default_factory=set)
    connections: list[Connection] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def show(self, namespace: int, place: int, id: str) -> None:
        """Somebody outside has seen this event."""
        before = self.shown.setdefault((namespace, place), id)
        if before != id:
            raise Violation(f"{place} of {namespace} was {before} and is {id} now")

    def begin(self, unit: Unit) -> None:
        self.begun[marker_of(unit)] = unit
        self.tries[marker_of(unit)] += 1

    def refuse(self, unit: Unit, reason: Exception) -> None:
        if self.tries[marker_of(unit)] == 1:  # else an earlier try, of unknown fate, may have been written
            self.refused.add(marker_of(unit))
        self.counts[type(reason).__name__] += 1

    def acknowledge(self, unit: Unit, events: Sequence[Event]) -> None:
        marker = marker_of(unit)
        if [event.data for event in events] != [draft.data for draft in unit.drafts]:
            raise Violation(f"the receipt of {marker} is for something else")
        for draft, event in zip(unit.drafts, events, strict=True):
            if draft.expected_version is not None and event.position != draft.expected_version + 1:
                raise Violation(f"{marker} expected version {draft.expected_version}, got position {event.position}")
        self.acknowledged.add(marker)
        self.counts["acknowledged"] += 1
        self.counts["with changes"] += bool(unit.changes)
        for event in events:
            self.show(event.namespace, event.global_position, event.id)

    def check(self, stored: Sequence[Event]) -> None:
        """Everything shown is stored; units are whole and there once; positions have no gap."""
        places = {(event.namespace, event.global_position): event.id for event in stored}
        for place, id in self.shown.items():
            if places.get(place) != id:
                raise Violation(f"event {id} was shown at {place}, there is {places.get(place)} now")
        self._check_positions(stored)
        self._check_units(stored)

    def check_connections(self, stored: Sequence[Event]) -> None:
        """Nobody missed an event, got one twice or out of order."""
        for connection in self.connections:
            of_stream = connection.topic.stream is not None
            wanted = [
                event.global_position
                for event in stored
                if connection.topic.matches(event)
                and (event.position if of_stream else event.global_position) >= connection.first
            ]
            if connection.got != wanted[: len(connection.got)]:
                raise Violation(f"{connection.topic} from {connection.first}: got {connection.got}, wanted {wanted}")

    def _check_positions(self, stored: Sequence[Event]) -> None:
        newest: Counter[int] = Counter()
        versions: Counter[tuple[int, str]] = Counter()
        for event in stored:
            newest[event.namespace] += 1
            stream = (event.namespace, event.stream)
            if (event.global_position, event.position) != (newest[event.namespace], versions[stream]):
                raise Violation(f"gap before {event}")
            versions[stream] += 1

    def _check_units(self, stored: Sequence[Event]) -> None:
        found = Counter(msgspec.json.decode(event.data)["unit"] for event in stored)
        for marker, unit in self.begun.items():
            if found[marker] not in (0, len(unit.drafts)):
                raise Violation(f"{found[marker]} of {len(unit.drafts)} events of {marker} are stored")
            if marker in self.acknowledged and unit.drafts and not found[marker]:
                raise Violation(f"{marker} was acknowledged and is not stored")
            if marker in self.refused and found[marker]:
                raise Violation(f"{marker} was refused and is stored")


def marker_of(unit: Unit) -> str:
    """What all its events carry in their data."""
    return unit.fingerprint.decode()
