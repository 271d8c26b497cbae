"""Server-sent events, read byte by byte if need be.

Source: WHATWG HTML, "Server-sent events", section 9.2.6 (interpretation of an event stream).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Comment", "Frame", "SseParser"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One event; `name` is "message" unless the server says otherwise."""

    data: str
    name: str = "message"
    id: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """A line for nobody; servers use it to say that they are ready, or alive."""

    text: str


@dataclass
class SseParser:
    """Turns bytes, cut anywhere, into frames and comments. Pure; one parser per connection."""

    _line: bytearray = field(default_factory=bytearray)
    _after_cr: bool = False  # a LF that follows belongs to the line end already seen
    _first: bool = True
    _data: list[str] = field(default_factory=list)
    _name: str = ""
    _id: str = ""

    def feed(self, chunk: bytes) -> Iterator[Frame | Comment]:
        for line in self._lines(chunk):
            seen = self._take(line)
            if seen is not None:
                yield seen

    def _lines(self, chunk: bytes) -> Iterator[str]:
        """Complete lines; LF, CR and CRLF all end one."""
        if not chunk:
            return
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        self._line += chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = self._line.split(b"\n")
        self._line = rest
        for raw in whole:
            yield raw.decode("utf-8", "replace")

    def _take(self, line: str) -> Frame | Comment | None:
        if self._first:
            line, self._first = line.removeprefix("\ufeff"), False
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            return Comment(line[1:].strip())
        name, _, value = line.partition(":")
        self._remember(name, value.removeprefix(" "))
        return None

    def _remember(self, field_name: str, value: str) -> None:
        match field_name:
            case "data":
                self._data.append(value)
            case "event":
                self._name = value
            case "id" if "\0" not in value:
                self._id = value

    def _dispatch(self) -> Frame | None:
        """An empty line ends an event; one without data is dropped, as the standard says."""
        data, name = self._data, self._name
        self._data, self._name = [], ""
        return Frame("\n".join(data), name or "message", self._id) if data else None
