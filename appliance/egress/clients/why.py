"""What became of an event at a live client, or why it is not for it. Pure."""

from __future__ import annotations

from appliance.clock import stamp
from appliance.egress.clients.roster import Entry
from appliance.model.event import Event
from appliance.model.legs import Leg, since_accepted

__all__ = ["leg_of"]

LATER = "it came after the event, and did not ask for what was before"


def leg_of(entry: Entry, event: Event, handed: int) -> Leg | None:
    """None: the client has nothing to do with the event's namespace.

    Args:
        handed: when the event had been offered to all who keep up, in microseconds since 1970; 0: not known. Who is
            behind, or reads what was before, gets it later: that moment is not kept.
    """
    readings = entry.follows(event)
    if not readings:
        return None
    who = "" if entry.principal is None else entry.principal.subject
    name = f"{who or 'somebody'} ({entry.habits.dialect})"
    told = [sent for reading in readings if (sent := reading.sent(event)) is not None]
    if not told:
        reasons = dict.fromkeys(reading.topic.misses(event) or LATER for reading in readings)
        return Leg("client", name, "skipped", "; ".join(reasons), id=entry.id)
    if not any(told):
        lag = sum(reading.lag for reading in readings)
        return Leg("client", name, "waiting", f"it is {lag} events behind", id=entry.id)
    follows = f"follows {', '.join(entry.topics)}" if entry.topics else ""
    if handed < entry.connected:
        return Leg("client", name, "done", follows, id=entry.id)
    return Leg("client", name, "done", follows, stamp(handed), since_accepted(event, handed), entry.id)
