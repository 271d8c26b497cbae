"""The bytes of the event stream: blocks that all known parsers read alike.

    event: NoteUpdated
    data: {"event_id":"…","event_type":"note.updated","occurred_at":"…",…,"payload":{"type":"NoteUpdated",…}}
    id: 7

Parsers disagree about blocks with an `id` or a `retry` and nothing else, so there are none: every block has `event`
and `data`. Only stored events have an `id`, which is their global position: a client that comes back names it, and
nothing ephemeral can be gone back to. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from appliance.egress.envelope import envelope
from appliance.egress.memo import once
from appliance.model.catalog import Catalog
from appliance.model.event import Event
from appliance.model.frames import chunk
from appliance.model.topic import Lost

__all__ = ["KEEP_ALIVE", "Blocks", "block", "farewell"]

RETRY = 3000  # ms until a client that lost us comes back
KEEP_ALIVE = b": keepalive\n"  # an empty line behind it would be an empty event to httpx-sse, once there was an id

# No line ends to the standard, but to JavaScript of old, and to readers that split text as Python does.
LINE_ENDS = tuple((end.encode(), b"\\u%04x" % ord(end)) for end in "\x85\u2028\u2029")


def block(name: str, data: bytes, *, id: int | None = None, retry: int | None = None) -> bytes:
    """One block. `data` is JSON without raw line ends; what could end a line in `name` becomes a blank."""
    for end, escaped in LINE_ENDS:
        if end in data:
            data = data.replace(end, escaped)
    more = b"" if id is None else b"id: %d\n" % id
    more += b"" if retry is None else b"retry: %d\n" % retry
    line = " ".join(name.splitlines()) or "message"
    return b"event: %b\ndata: %b\n%b\n" % (line.encode(), data, more)


def farewell(pause: int, reason: str = "Server restarting") -> bytes:
    """The last block of a stream that we end; come back after `pause` ms."""
    data = msgspec.json.encode({"type": "Closing", "reason": reason, "retry_ms": pause})
    return block("closing", data, retry=pause)


class Blocks:
    """`model.topic.Dialect`, once for each way of naming events.

    Args:
        names: "pascal": `NoteUpdated`, and the payload's fields also stand at the top of the envelope;
            "dotted": `note.updated`.
        window: seconds in which progress and status are merged; 0: never.
    """

    transport = "sse"

    def __init__(self, catalog: Catalog, names: str, window: float) -> None:
        self.names = names
        self.window = window
        self.lags = 0  # events that readers were told to have missed
        self.gaps = 0  # readers whose past was gone
        self._catalog = catalog
        self.encode = once(self._encode)

    def _encode(self, event: Event) -> bytes:
        view = self._catalog.view(event)
        name = view.type.dotted if self.names == "dotted" else view.type.name
        data = envelope(event, view, self.names).encode()
        return block(name, data, id=None if event.ephemeral else event.global_position)

    def join(self, parts: Sequence[bytes]) -> bytes:
        return chunk(b"".join(parts))

    def key(self, event: Event) -> str:
        return self._catalog.view(event).key

    def settles(self, event: Event) -> str:
        return self._catalog.view(event).settles

    # What we say ourselves

    def connected(self, seq: int, place: int) -> bytes:
        """The first block: the stream stands, and nothing written behind `seq` is missed.

        Args:
            place: its id. Who is cut off before the first stored event comes returns to here, and misses nothing.
        """
        fields = {"type": "Connected", "dialect": self.names, "seq": seq}
        return block("connected", msgspec.json.encode(fields), id=place, retry=RETRY)

    def resync(self, reason: str, last_known: str, oldest: int = 0) -> bytes:
        """The client's past cannot be shown from where it asked: it has to fetch its state anew.

        Args:
            oldest: first position there is; 0: that is not the trouble.
        """
        self.gaps += 1
        fields: dict[str, object] = {"reason": reason, "last_known_id": last_known}
        return block("resync_required", msgspec.json.encode(fields | ({"oldest": oldest} if oldest else {})))

    def lagged(self, missed: int) -> bytes:
        self.lags += missed
        fields = {"dropped_count": missed, "reason": "too slow for the live stream; stored events follow"}
        return chunk(block("events.lagged", msgspec.json.encode(fields)))

    def gap(self, lost: Lost) -> bytes:
        return chunk(self.resync(f"events before {lost.oldest} have been removed", str(lost.asked - 1), lost.oldest))
