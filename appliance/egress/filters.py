"""What a client of the eventing streams wants to see: kinds of events, a memory, one thing.

The same for WebSocket and server-sent events. Pure. Everything given must hold (AND); a type is named as it is
written ("NoteUpdated"), with dots ("note.updated"), or by the front part of its dotted name ("note": all of its kind,
and neither "notebook.opened" nor "notes.merged").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from msgspec import UNSET

from appliance.errors import Rejected
from appliance.model.catalog import Catalog
from appliance.model.event import Event
from appliance.model.http import Request
from appliance.model.principal import Principal
from appliance.model.sight import sight_of
from appliance.model.topic import Topic

__all__ = ["NOTHING", "BadFilter", "EventFilter", "Memories", "Wish", "asked", "checked", "topic_for", "type_names"]

Memories = Callable[[Principal, str | None], tuple[str, ...] | None]  # see `auth.rights.memories_for`

MOST_TYPES = 100
MOST_NAMED = 5  # names in an explanation
LONGEST = 200  # characters of a type's name, a memory, or an entity's id


class BadFilter(Rejected):
    """What was asked for can match nothing, or means nothing. Clients of this dialect know 400 for it."""

    status = 400


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asked for, checked."""

    types: tuple[str, ...] = ()  # dotted names and front parts of them, sorted; empty: all
    memory: str | None = None
    entity_id: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """As people read it."""
        memory = () if self.memory is None else (f"memory {self.memory}",)
        entity = () if self.entity_id is None else (f"entity {self.entity_id}",)
        return (*(self.types or ("everything",)), *memory, *entity)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """`model.topic.Filter`: clients that want the same share one audience.

    The catalog remembers its view of the last event, so a hundred filters look into an event's JSON once.
    """

    catalog: Catalog = field(compare=False, repr=False)
    types: tuple[str, ...] = ()
    memories: tuple[str, ...] | None = None  # "": events without a memory; None: all
    entity_id: str | None = None
    _starts: tuple[str, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", tuple(f"{name}." for name in self.types))

    def passes(self, event: Event) -> bool:
        view = self.catalog.view(event)
        sight = sight_of(event)
        if sight is not UNSET:
            if sight != self.memories:
                return False
        elif self.memories is not None and view.memory not in self.memories:
            return False
        if self.types:
            name = view.type.dotted
            if name not in self.types and not name.startswith(self._starts):
                return False
        return self.entity_id is None or view.entity_id == self.entity_id

    def misses(self, event: Event) -> str:
        view = self.catalog.view(event)
        if self.memories is not None and view.memory not in self.memories:
            is_in = f"memory {view.memory}" if view.memory else "no memory"
            return f"the event is in {is_in}, wanted {_any_of(name or 'none' for name in self.memories)}"
        if self.types and view.type.dotted not in self.types and not view.type.dotted.startswith(self._starts):
            return f"{view.type.dotted} is not wanted, only {_any_of(self.types)}"
        if self.entity_id is not None and view.entity_id != self.entity_id:
            about = f"{view.entity} {view.entity_id}".strip() or "nothing in particular"
            return f"the event is about {about}, wanted {self.entity_id}"
        return ""


def _any_of(names: Iterable[str]) -> str:
    """A few of them, for people."""
    listed = list(names)
    more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    return f"{', '.join(listed[:MOST_NAMED])}{more}"


@dataclass(frozen=True, slots=True)
class _Nothing:
    """For a client that wants no events for now."""

    def passes(self, event: Event) -> bool:
        return False

    def misses(self, event: Event) -> str:
        return "it wants no events for now"


NOTHING = _Nothing()


def topic_for(catalog: Catalog, namespace: int, wish: Wish, seen: tuple[str, ...] | None) -> Topic:
    """What a caller is shown of what it wishes.

    Args:
        seen: the memories it may see, as `Memories` says.
    """
    wanted = EventFilter(catalog, wish.types, None if seen is None else tuple(sorted(seen)), wish.entity_id)
    return Topic(namespace, filter=wanted, ephemeral=True)


def asked(request: Request, catalog: Catalog) -> Wish:
    """The filter in a request: `types`, `events`, `memory` (or a header), `entity_id`.

    Raises:
        BadFilter: a parameter is there and empty, or too long.
    """
    query = request.query
    names = [name for key in ("types", "events") if key in query for name in _listed(key, query[key])]
    memory = request.memory
    return Wish(
        type_names(catalog, names),
        None if memory is None else checked("memory", memory.strip()),
        checked("entity_id", query["entity_id"].strip()) if "entity_id" in query else None,
    )


def type_names(catalog: Catalog, names: Iterable[str]) -> tuple[str, ...]:
    """Names of types in any spelling as sorted dotted ones, each once.

    Raises:
        BadFilter: a name is empty or too long, or there are too many.
    """
    found = {_dotted(catalog, checked("types", name.strip())) for name in names}
    if len(found) > MOST_TYPES:
        raise BadFilter(f"a filter names {MOST_TYPES} types at most")
    return tuple(sorted(found))


def checked(name: str, value: str) -> str:
    """`value`, if a filter can be made of it.

    Raises:
        BadFilter: it cannot.
    """
    if not value:
        raise BadFilter(f"{name} is empty, so nothing would match", hint=f"name what you want, or leave {name} out")
    if len(value) > LONGEST:
        raise BadFilter(f"{name} is longer than {LONGEST} characters")
    return value


def _listed(key: str, text: str) -> list[str]:
    names = [name for name in (part.strip() for part in text.split(",")) if name]
    return names or [checked(key, "")]


def _dotted(catalog: Catalog, name: str) -> str:
    declared = catalog.find(name)
    if declared is not None:
        return declared.dotted
    return name.lower() if "." in name or name.islower() else catalog.of(name).dotted
