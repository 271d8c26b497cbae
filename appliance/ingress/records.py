"""Records of an import, out of bytes that come in any pieces: plain or gzip, one JSON object a line."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import msgspec

from appliance.clock import parse_stamp
from appliance.errors import ApplianceError
from appliance.ingress.calls import metadata_text, object_text
from appliance.ingress.door import Door
from appliance.ingress.jsontext import Malformed, check
from appliance.model.event import Imported

__all__ = ["BATCH", "LONGEST_LINE", "ImportFailed", "Records", "Unpacker"]

BATCH = 1000  # records of one transaction
BATCH_CHARACTERS = 16 * 1024 * 1024  # of its lines; and no more than this, so that large events do not fill the memory
LONGEST_LINE = 16 * 1024 * 1024  # bytes
PIECE = 1024 * 1024  # bytes unpacked at a time
GZIP = b"\x1f\x8b"
GZIP_WINDOW = 31  # zlib's number for "with a gzip header"

NULL = msgspec.Raw(b"null")


class ImportFailed(Exception):
    """The import ends here; what was written before stays."""

    def __init__(self, code: str, message: str, line: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line = line


class _Record(msgspec.Struct):
    id: str
    stream: str
    type: str
    pos: int
    gpos: int
    data: msgspec.Raw
    time: str
    meta: msgspec.Raw = NULL


_decode = msgspec.json.Decoder(_Record).decode


class Unpacker:
    """Bytes as they are, or out of gzip if they begin like it. Never more than a megabyte at a time."""

    def __init__(self) -> None:
        self._head = b""
        self._decided = False
        self._gzip: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises zlib.error."""
        if not self._decided:
            data = self._head = self._head + data
            if len(data) < len(GZIP):
                return
            self._decided = True
            if data.startswith(GZIP):
                self._gzip = zlib.decompressobj(GZIP_WINDOW)
        if self._gzip is None:
            yield data
            return
        while data:
            if self._gzip.eof:  # one file behind another
                self._gzip = zlib.decompressobj(GZIP_WINDOW)
            yield self._gzip.decompress(data, PIECE)
            data = self._gzip.unconsumed_tail or self._gzip.unused_data

    def end(self) -> bytes:
        """What was held back. Raises zlib.error."""
        if self._gzip is None:
            return b"" if self._decided else self._head
        rest = self._gzip.flush()
        if not self._gzip.eof:
            raise zlib.error("it ends too early")
        return rest


class Records:
    """Takes bytes as they arrive and gives batches of records, each to be one transaction.

    Unpacking and checking may take long: run `next` of what these return aside.

    Raises:
        ImportFailed: with the line that is wrong.
    """

    def __init__(self, door: Door, *, longest_line: int = LONGEST_LINE) -> None:
        self.line = 0  # number of the last line looked at
        self._door = door
        self._longest_line = longest_line
        self._unpacker = Unpacker()
        self._tail: list[bytes] = []  # of a line that goes on
        self._tail_size = 0
        self._batch: list[Imported] = []
        self._characters = 0

    def feed(self, data: bytes) -> Iterator[list[Imported]]:
        """Batches that are full."""
        try:
            for piece in self._unpacker.feed(data):
                for line in self._lines(piece):
                    self._add(line)
                    if len(self._batch) >= BATCH or self._characters >= BATCH_CHARACTERS:
                        yield self._cut()
        except zlib.error as error:
            raise self._unreadable(f"gzip is damaged: {error}") from error

    def end(self) -> Iterator[list[Imported]]:
        """The last batch, which is not full, if there is one."""
        try:
            rest = self._unpacker.end()
        except zlib.error as error:
            raise self._unreadable(f"gzip is damaged: {error}") from error
        if rest or self._tail_size:  # the last line has no newline
            for line in self._lines(rest + b"\n"):
                self._add(line)
        if self._batch:
            yield self._cut()

    def _lines(self, piece: bytes) -> Iterator[bytes]:
        *whole, tail = piece.split(b"\n")
        for line in whole:
            self._tail.append(line)
            self._grow(len(line))
            joined = b"".join(self._tail)
            self._tail, self._tail_size = [], 0
            yield joined
        self._tail.append(tail)
        self._grow(len(tail))

    def _grow(self, size: int) -> None:
        self._tail_size += size
        if self._tail_size > self._longest_line:
            raise self._unreadable(f"it is longer than {self._longest_line} bytes", self.line + 1)

    def _add(self, line: bytes) -> None:
        self.line += 1
        if not line.strip():
            return
        try:
            record = self._record(line)
        except Malformed as error:
            raise ImportFailed("INVALID_JSON", f"malformed JSON at line {self.line}: {error}", self.line) from error
        except (ApplianceError, ValueError, OverflowError) as error:
            raise ImportFailed("INVALID_RECORD", f"invalid record at line {self.line}: {error}", self.line) from error
        self._batch.append(record)
        self._characters += len(line)

    def _record(self, line: bytes) -> Imported:
        check(line)
        fields = _decode(line)
        return self._door.checked_record(
            Imported(
                fields.stream,
                fields.type,
                fields.pos,
                fields.gpos,
                fields.id,
                object_text(fields.data, "data must be an object"),
                metadata_text(fields.meta, "meta must be an object"),
                parse_stamp(fields.time),
            )
        )

    def _cut(self) -> list[Imported]:
        batch, self._batch, self._characters = self._batch, [], 0
        return batch

    def _unreadable(self, reason: str, line: int = 0) -> ImportFailed:
        line = line or self.line
        return ImportFailed("READ_ERROR", f"cannot read line {line}: {reason}", line)
