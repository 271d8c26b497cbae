"""Events in passing that differ by who sees them: each says for whom it is, as exactly the memories they see.

The number of jobs that wait is another one for a caller who sees one memory than for one who sees all. Such an event
is announced once for each set of memories, and only readers with that sight are shown it.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from appliance.model.event import Event

__all__ = ["SIGHT", "Sight", "sight_label", "sight_of"]

SIGHT = "sight"  # member of the metadata; the door takes it away from what others write

Sight = tuple[str, ...] | None  # memories a reader sees, sorted; "": events without one; None: all


class _Labels(msgspec.Struct):
    sight: Sight | UnsetType = UNSET


_labels = msgspec.json.Decoder(_Labels).decode


def sight_label(sight: Sight) -> str:
    """Metadata of an event for those who see exactly this."""
    return msgspec.json.encode({SIGHT: sight}).decode()


def sight_of(event: Event) -> Sight | UnsetType:
    """For whom an event in passing is; UNSET: its memory decides, as with any other."""
    if event.metadata is None or not event.ephemeral:
        return UNSET
    try:
        return _labels(event.metadata).sight
    except msgspec.MsgspecError:
        return UNSET
