"""Moving whole logs: NDJSON records in and out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from appliance.client.replies import decoded, import_error
from appliance.client.shapes import Imported, Message
from appliance.client.sse import Comment, Frame
from appliance.errors import PeerFailed, Rejected

__all__ = ["ImportRun", "LineSplitter", "Window", "moment", "record_of", "records", "segments"]

SEGMENT_LINES = 10_000  # of an import sent as one request: bounds memory on both sides and gives true progress
SEGMENT_BYTES = 8 * 1024 * 1024

_any = msgspec.json.Decoder(Any)
_encode = msgspec.json.Encoder().encode


@dataclass
class ImportRun:
    """Adds up what the answers of an import say. Lines are counted over all segments."""

    count: int = 0
    global_position: int | None = None
    lines: int = 0  # sent with the segments before

    def took(self, seen: Iterable[Frame | Comment], lines: int) -> Imported:
        """Progress after one segment of `lines` lines.

        Raises:
            ApplianceError: the server refused a record; facts hold the line. Earlier batches stay.
        """
        ends = [self._take(frame) for frame in seen if isinstance(frame, Frame)]
        if not any(ends):
            raise PeerFailed(
                "the server ended the import without a result",
                hint="look at the server's log, then import the rest",
                imported=self.count,
            )
        self.lines += lines
        return Imported(self.count, self.global_position)

    def _take(self, frame: Frame) -> bool:
        """Whether this was the end."""
        match decoded(_any, frame.data.encode()):
            case {"error": str(code), "message": str(message), **rest}:
                line = rest.get("line", 0)
                raise import_error(code, message, self.lines + (line if isinstance(line, int) else 0))
            case {"done": True, "imported": int(count)}:
                self.count += count
                return True
            case {"gpos": int(place)}:
                self.global_position = place
        return False


def segments(
    lines: Iterable[bytes], most_lines: int = SEGMENT_LINES, most_bytes: int = SEGMENT_BYTES
) -> Iterator[list[bytes]]:
    """Groups of lines, each small enough for one request. Nothing at all is one empty group."""
    group: list[bytes] = []
    size, sent = 0, False
    for line in lines:
        if group and (len(group) >= most_lines or size + len(line) > most_bytes):
            yield group
            group, size, sent = [], 0, True
        group.append(line.rstrip(b"\r\n"))
        size += len(line)
    if group or not sent:
        yield group


@dataclass
class LineSplitter:
    """Whole, non-empty lines out of chunks cut anywhere."""

    _rest: bytes = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        return [line for line in whole if line]

    def end(self) -> list[bytes]:
        """What was left without a line end."""
        return [self._rest] if self._rest else []


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time: from `since` up to, not including, `until`. Empty text means open."""

    since: str = ""
    until: str = ""

    def __post_init__(self) -> None:
        for text in filter(None, (self.since, self.until)):
            moment(text)

    def holds(self, time: str) -> bool:
        stamp = moment(time)
        return (not self.since or moment(self.since) <= stamp) and (not self.until or stamp < moment(self.until))


def moment(text: str) -> datetime:
    """An RFC 3339 time, or a day (its beginning in UTC).

    Raises:
        Rejected: neither.
    """
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError as error:
        raise Rejected(f"{text!r} is not a time", hint="write 2026-01-31 or 2026-01-31T12:00:00Z") from error
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)


def record_of(message: Message) -> bytes:
    """One line of an export, without its end."""
    return _encode(
        {
            "id": message.id,
            "stream": message.stream,
            "type": message.type,
            "pos": message.position,
            "gpos": message.global_position,
            "data": message.data,
            "meta": message.metadata,
            "time": message.time,
        }
    )


def records(page: Sequence[Message], window: Window) -> Iterator[bytes]:
    return (record_of(message) for message in page if window.holds(message.time))
