"""The bytes of the eventing WebSocket: each event as its bare payload, and what the endpoint itself has to say.

    {"type":"NoteUpdated","note_id":"…","tags":[],"timestamp":"2026-01-02T03:04:05.678901Z","seq":7,"event_id":"…"}

Whatever the endpoint says itself (QueueStatus, Subscribed, EventsLagged …) has the same shape as an ephemeral event,
so a client needs one reader. Pure: time and ids are asked of the callables given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from appliance.egress.envelope import bare
from appliance.egress.memo import Plain, once
from appliance.model.catalog import Catalog
from appliance.model.event import Event
from appliance.model.frames import text_frame
from appliance.model.topic import Lost

__all__ = ["EventingDialect", "QueueStatus", "Voice"]

QueueStatus = Callable[[int, tuple[str, ...] | None], Mapping[str, int]]  # of a namespace, and of these memories

SPOKEN = "connection"  # the stream that what we say ourselves would stand in, were it stored


class Voice:
    """Makes frames.

    Args:
        newest: global position of the newest event of a namespace.
        wall_us: microseconds since 1970.
    """

    def __init__(
        self,
        catalog: Catalog,
        queue_status: QueueStatus,
        newest: Callable[[int], int],
        *,
        new_id: Callable[[], str],
        wall_us: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._queue_status = queue_status
        self._newest = newest
        self._new_id = new_id
        self._wall_us = wall_us
        self.encode = once(self._frame)

    def say(self, namespace: int, type: str, fields: Mapping[str, object], seq: int | None = None) -> bytes:
        """One message of our own.

        Args:
            seq: global position it stands behind; None: that of the newest event.
        """
        position = self._newest(namespace) if seq is None else seq
        data = msgspec.json.encode(fields).decode()
        return self._frame(Event(namespace, SPOKEN, type, -1, position, self._new_id(), data, None, self._wall_us()))

    def status(self, namespace: int, memories: tuple[str, ...] | None, seq: int | None = None) -> bytes:
        """The state of the job queue as this caller may see it."""
        return self.say(namespace, "QueueStatus", self._queue_status(namespace, memories), seq)

    def resync(self, namespace: int, reason: str, last_known: str, oldest: int = 0, seq: int | None = None) -> bytes:
        """The client's past cannot be shown from where it asked: it has to fetch its state anew.

        Args:
            oldest: first position there is; 0: that is not the trouble.
        """
        fields: dict[str, object] = {"reason": reason, "last_known_id": last_known}
        return self.say(namespace, "ResyncRequired", fields | ({"oldest": oldest} if oldest else {}), seq)

    def _frame(self, event: Event) -> bytes:
        return text_frame(bare(event, self._catalog.view(event)).encode())


@dataclass(frozen=True, slots=True)
class EventingDialect(Plain):
    """Frames from a server are unmasked, so the same bytes serve everyone.

    Clients of one namespace that see the same memories have equal dialects: only what is said after a lag depends
    on who they are.
    """

    voice: Voice
    namespace: int
    memories: tuple[str, ...] | None

    def encode(self, event: Event) -> bytes:
        return self.voice.encode(event)

    def join(self, parts: Sequence[bytes]) -> bytes:
        return b"".join(parts)

    def lagged(self, missed: int) -> bytes:
        fields = {"dropped_count": missed, "reason": "too slow for the live stream; stored events follow"}
        return self.voice.say(self.namespace, "EventsLagged", fields) + self.voice.status(self.namespace, self.memories)

    def gap(self, lost: Lost) -> bytes:
        return self.voice.resync(
            self.namespace, f"events before {lost.oldest} have been removed", str(lost.asked - 1), lost.oldest
        )
