"""A subscription that survives its connection, and a tail made of it.

A subscription is resumed from the place after the last poke, so a lost connection costs time but no poke. A tail
reads history to its end, then lets every poke that is not covered yet cause one more read; what it yields comes
from reads only, so nothing is shown twice and nothing is missed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from appliance.client.paging import Pages, Paging, reader_of
from appliance.client.protocol import PAGE, Call, poke_of, subscribe
from appliance.client.shapes import Message, Poke, Topic
from appliance.client.sse import Comment, Frame
from appliance.errors import ApplianceError, LimitReached, PeerFailed, Unavailable

__all__ = ["Backoff", "Following", "OnLost", "Ready", "Tail"]


OnLost = Callable[[ApplianceError | None, float], None]  # why, if known; seconds until the next try


@dataclass(frozen=True, slots=True)
class Ready:
    """The subscription stands: what is written from now on will be poked."""


@dataclass
class Backoff:
    """How long to wait before trying again: doubling, jittered, bounded.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    rng: Random
    first: float = 0.1  # seconds
    longest: float = 15.0
    failures: int = 0

    def wait(self, at_least: float = 0.0) -> float:
        """Seconds until the next try, between half and all of what the doubling gives."""
        full = min(self.longest, self.first * 2.0 ** min(self.failures, 20))
        self.failures += 1
        return max(at_least, full * self.rng.uniform(0.5, 1.0))

    def worked(self) -> None:
        self.failures = 0


@dataclass
class Following:
    """One subscription over as many connections as it takes."""

    topic: Topic
    position: int  # the next place wanted
    backoff: Backoff
    stood: bool = False  # there was a connection

    def call(self) -> Call:
        return subscribe(self.topic, self.position)

    def connected(self) -> None:
        self.stood = True

    def took(self, seen: Frame | Comment) -> Poke | Ready | None:
        """What a frame or comment means to the subscriber; None: nothing.

        The server says first that it is ready; whatever comes after proves that the connection is good.
        """
        if isinstance(seen, Comment) and seen.text == "ready":
            return Ready()
        self.backoff.worked()
        if isinstance(seen, Comment) or seen.name != "poke":
            return None
        poke = poke_of(seen.data)
        if self.topic.place(poke) < self.position:
            return None  # seen before the connection was lost
        self.position = self.topic.place(poke) + 1
        return poke

    def lost(self, error: ApplianceError | None) -> float:
        """Seconds to wait before connecting again. `error` is None when the server ended the stream.

        Raises:
            ApplianceError: trying again would not help, or there never was a connection.
        """
        if error is None:
            return self.backoff.wait()
        if not self.stood or not isinstance(error, PeerFailed | Unavailable | LimitReached):
            raise error
        return self.backoff.wait(getattr(error, "retry_after", 0.0))


@dataclass
class Tail:
    """Which reads turn signals into messages."""

    topic: Topic
    position: int  # the next place not covered yet
    batch: int = PAGE

    def pages(self, signal: Poke | Ready) -> Paging[Message] | None:
        """The reads a signal calls for; None: it is covered already."""
        start = self.position
        if isinstance(signal, Poke):
            if self.topic.place(signal) < start:
                return None
            if len(self.topic.categories) > 1:  # skip what other categories wrote in between
                start = signal.global_position
        return _Covering(reader_of(self.topic), self.topic.place, start, batch=self.batch, tail=self)


@dataclass
class _Covering(Pages):
    """Pages of which only the topic's messages are kept; the tail learns how far they reach."""

    tail: Tail = field(kw_only=True)

    def took(self, page: list[Message]) -> list[Message]:
        super().took(page)
        self.tail.position = self.position
        return [message for message in page if self.tail.topic.covers(message.stream)]
