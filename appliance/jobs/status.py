"""QueueStatus for everybody who listens: to each the numbers of what it may see. Pure.

One event is the same for all who are shown it, and those who see other memories have other numbers. So there is one
event for each set of memories that somebody sees, and its label `sight` says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from appliance.model.event import Event
from appliance.model.sight import Sight, sight_label
from appliance.model.topic import Topic
from appliance.world import World

__all__ = ["QueueStatus", "sights", "status_events"]

QueueStatus = Callable[[int, Sight], Mapping[str, int]]  # of a namespace, and of these memories

STREAM = "jobs"


def sights(topics: Iterable[Topic]) -> set[tuple[int, Sight]]:
    """Namespaces and sets of memories that somebody follows now, of those who are told things in passing."""
    return {(topic.namespace, getattr(topic.filter, "memories", None)) for topic in topics if topic.ephemeral}


def status_events(
    topics: Iterable[Topic], busy: Iterable[int], status: QueueStatus, newest: Callable[[int], int], world: World
) -> Iterator[Event]:
    """What to announce: of a namespace the whole comes last.

    Args:
        busy: namespaces to tell of although no reader may follow: whoever counts what is announced wants the whole.
        newest: global position of a namespace.
    """
    wanted = sights(topics) | {(namespace, None) for namespace in busy}
    for namespace, sight in sorted(wanted, key=lambda one: (one[0], one[1] is None, one[1] or ())):
        yield Event(
            namespace,
            STREAM,
            "QueueStatus",
            -1,
            newest(namespace),
            world.new_id(),
            msgspec.json.encode(status(namespace, sight)).decode(),
            sight_label(sight),
            world.wall_us(),
        )
