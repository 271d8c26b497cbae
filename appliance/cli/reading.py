"""How stored events are shown, shared by all verbs that read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from appliance.cli.desk import Desk
from appliance.cli.render import event_line
from appliance.client import Client, Message, Topic
from appliance.clock import stamp
from appliance.errors import Rejected

__all__ = ["FIELDS", "Wanted", "event_of", "place_of", "show_event", "show_events", "since", "topic_of"]

FIELDS = """one line per event:
id, stream, type, position, global_position, time, data, metadata"""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}  # seconds


def event_of(message: Message) -> dict[str, Any]:
    """An event as JSON shows it."""
    return {
        "id": message.id,
        "stream": message.stream,
        "type": message.type,
        "position": message.position,
        "global_position": message.global_position,
        "time": message.time,
        "data": message.data,
        "metadata": message.metadata,
    }


def show_event(desk: Desk, message: Message) -> None:
    """One line: for people on a terminal, JSON for everybody else."""
    event = event_of(message)
    if desk.json or not desk.on_terminal:
        desk.say(json.dumps(event, ensure_ascii=False, separators=(",", ":")))
    else:
        desk.say(event_line(event, desk.paint, desk.width))


def show_events(desk: Desk, messages: Iterable[Message], empty: str) -> None:
    seen = False
    for message in messages:
        show_event(desk, message)
        seen = True
    if not seen and not desk.json:
        desk.note(empty)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for, where a topic holds more than that."""

    names: frozenset[str] = frozenset()  # of streams and categories; none: everything

    def covers(self, stream: str) -> bool:
        return not self.names or stream in self.names or stream.partition("-")[0] in self.names


def topic_of(names: Iterable[str]) -> tuple[Topic, Wanted]:
    """The smallest topic that holds all these; a name with a dash is a stream, one without a category."""
    wanted = list(dict.fromkeys(names))
    if len(wanted) == 1 and "-" in wanted[0]:
        return Topic(wanted[0]), Wanted(frozenset(wanted))
    categories = dict.fromkeys(name.partition("-")[0] for name in wanted)
    return Topic(categories=tuple(categories)), Wanted(frozenset(wanted))


def place_of(client: Client, topic: Topic, start: str | None, last: Message | None) -> int:
    """Where to read from.

    Args:
        start: what --since says; None: behind the newest.
        last: the newest there is.
    """
    if start in (None, "last"):
        return topic.start if last is None else topic.place(last) + 1
    moment = since(start or "", time.time_ns() // 1000)
    return int(start or 0) if moment is None else client.place_at(topic, moment)


def since(text: str, now_us: int) -> datetime | None:
    """The moment `1h`, `30m`, `2026-01-31` or `2026-01-31T12:00:00Z` means; None: it is something else.

    Raises:
        Rejected: it looks like a time and is none.
    """
    if text[:-1].isdigit() and text[-1] in UNITS:
        return datetime.fromisoformat(stamp(now_us - int(text[:-1]) * UNITS[text[-1]] * 1_000_000))
    if "-" in text:
        from appliance.client.transfer import moment

        return moment(text)
    if not text.isdigit():
        raise Rejected(f"--since {text} is not understood", hint="write 1h, 2026-01-31, last, or a position")
    return None
