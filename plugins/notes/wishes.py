"""What requests ask for, checked: bodies of notes, and the parameters of a list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from appliance.api import UNSET, Rejected, Request, UnsetType

from .note import Mode, check_tags
from .text import LONGEST_TITLE, each_of

__all__ = [
    "MOST_AT_ONCE",
    "Invalid",
    "List",
    "NewNote",
    "NewNotes",
    "NoteChange",
    "StatusChange",
    "TagsChange",
    "body",
    "wanted",
]

MOST_AT_ONCE = 100  # notes of one request
MOST_LISTED = 1000
LISTED = 50  # unless asked for more or fewer

LIVE: Mapping[str, str] = {"state": "live"}

T = TypeVar("T")


class Invalid(Rejected):
    """A request that says something about a note that cannot be."""

    status = 400


@dataclass(frozen=True)
class NewNote:
    """Body of POST /api/v1/notes."""

    content: str
    format: str = "markdown"
    source: str = "api"
    collection_id: str | None = None
    tags: list[str] = field(default_factory=list)
    title: str | None = None
    revision_mode: Mode | None = None  # None: as the configuration says
    metadata: dict[str, Any] = field(default_factory=dict)
    document_type: str | None = None
    document_type_id: str | None = None
    model: str | None = None  # for its revision, instead of the configured one
    pipeline: list[str] | None = None  # jobs to queue; []: store only; None: as the configuration says
    chunk_max_chars: int | None = None  # for clients that send them: notes are embedded whole
    chunk_overlap: int | None = None

    def __post_init__(self) -> None:
        check_tags(self.tags)
        _check_title(self.title)


@dataclass(frozen=True)
class NewNotes:
    """Body of POST /api/v1/notes/bulk."""

    notes: list[NewNote]

    def __post_init__(self) -> None:
        if len(self.notes) > MOST_AT_ONCE:
            raise ValueError(f"at most {MOST_AT_ONCE} notes at once, not {len(self.notes)}")
        if any(note.revision_mode not in (None, "full", "light", "none") for note in self.notes):
            raise ValueError("revision_mode of many notes is full, light or none")


@dataclass(frozen=True)
class NoteChange:
    """Body of PATCH and PUT /api/v1/notes/{id}; what is left out stays."""

    content: str | UnsetType = UNSET
    title: str | UnsetType | None = UNSET  # None: take it away
    starred: bool | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    revision_mode: Mode | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.tags, list):
            check_tags(self.tags)
        _check_title(self.title)


@dataclass(frozen=True)
class StatusChange:
    """Body of PATCH /api/v1/notes/{id}/status."""

    starred: bool | UnsetType = UNSET
    archived: bool | UnsetType = UNSET


@dataclass(frozen=True)
class TagsChange:
    """Body of PUT /api/v1/notes/{id}/tags."""

    tags: list[str]

    def __post_init__(self) -> None:
        check_tags(self.tags)


async def body(request: Request, into: type[T]) -> T:
    """The body of a request. Raises Invalid: it is no JSON, or not of this form."""
    try:
        return await request.json(into)
    except Rejected as error:
        raise Invalid(error.message, hint=error.hint) from error


@dataclass(frozen=True)
class List:
    """Which notes, in which order."""

    limit: int = LISTED
    offset: int = 0
    where: Mapping[str, str] = field(default_factory=lambda: LIVE)  # for the index
    more_tags: Sequence[str] = ()  # that must be there beside the one in `where`
    created_after: str = ""  # RFC 3339
    created_before: str = ""
    updated_after: str = ""
    updated_before: str = ""
    by: Literal["created", "updated", "title"] = "created"
    newest_first: bool = True
    query: str = ""  # those like this, most alike first

    @property
    def walks(self) -> bool:
        """Whether each note has to be looked at: the index alone cannot tell."""
        return self._looks or self.by != "created"

    @property
    def narrow(self) -> bool:
        """Whether not all notes will do that are there."""
        return self._looks or self.where != LIVE

    @property
    def _looks(self) -> bool:
        times = self.created_after, self.created_before, self.updated_after, self.updated_before
        return any(times) or bool(self.more_tags)


FILTERS: Mapping[str, Mapping[str, str]] = {
    "all": {},
    "active": {"archived": "no"},
    "starred": {"starred": "yes"},
    "archived": {"archived": "yes"},
    "deleted": {"state": "deleted"},
    "trash": {"state": "deleted"},
}
ORDERS: Mapping[str, Literal["created", "updated", "title"]] = {
    "created_at": "created",
    "created_at_utc": "created",
    "updated_at": "updated",
    "updated_at_utc": "updated",
    "title": "title",
}
KNOWN = each_of(
    "limit offset filter sort_by sort_order collection_id tags concept created_after created_before updated_after"
    " updated_before since query q memory"
)


def wanted(query: Mapping[str, str], now: str) -> List:
    """The parameters of a list.

    Args:
        now: RFC 3339, for "7d".

    Raises:
        Invalid: one is unknown, or is not what it has to be.
    """
    for name in query.keys() - KNOWN:
        raise Invalid(f"there is no parameter {name!r}", hint=f"there are {', '.join(sorted(KNOWN))}")
    tags = [tag.strip() for tag in query.get("tags", "").split(",") if tag.strip()]
    where = {**LIVE, **_choice(query, "filter", FILTERS, "all")}
    places = {
        "collection": query.get("collection_id"),
        "concept": query.get("concept"),
        "tag": tags[0] if tags else None,
    }
    return List(
        limit=_count(query, "limit", LISTED, MOST_LISTED),
        offset=_count(query, "offset", 0, None),
        where=where | {name: value for name, value in places.items() if value},
        more_tags=tuple(tags[1:]),
        created_after=_time(query, "created_after", now) or _time(query, "since", now),
        created_before=_time(query, "created_before", now),
        updated_after=_time(query, "updated_after", now),
        updated_before=_time(query, "updated_before", now),
        by=_choice(query, "sort_by", ORDERS, "created_at"),
        newest_first=_choice(query, "sort_order", {"desc": True, "asc": False}, "desc"),
        query=query.get("query", "") or query.get("q", ""),
    )


def _check_title(title: str | UnsetType | None) -> None:
    if isinstance(title, str) and len(title) > LONGEST_TITLE:
        raise ValueError(f"a title has at most {LONGEST_TITLE} characters")


def _count(query: Mapping[str, str], name: str, default: int, most: int | None) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid(f"{name} is a whole number from 0, not {text[:20]!r}")
    return int(text) if most is None else min(int(text), most)


def _choice(query: Mapping[str, str], name: str, choices: Mapping[str, T], default: str) -> T:
    word = query.get(name, default)
    if word not in choices:
        raise Invalid(f"{name} is one of {', '.join(choices)}, not {word[:40]!r}")
    return choices[word]


_AGO = re.compile(r"(\d{1,6})\s*(min|h|d|w)", re.ASCII)
_UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def _time(query: Mapping[str, str], name: str, now: str) -> str:
    """RFC 3339 in UTC of a time, a date, or a while ago ("7d"); empty: not given."""
    text = query.get(name, "").strip()
    if not text:
        return ""
    try:
        ago = _AGO.fullmatch(text)
        if ago:
            moment = datetime.fromisoformat(now) - int(ago[1]) * _UNITS[ago[2]]
        else:
            moment = datetime.fromisoformat(text.replace(" ", "+"))  # a plus sign in a query is a space
    except (ValueError, OverflowError):
        hint = 'write "2026-01-31", "2026-01-31T12:00:00Z" or "7d" (min, h, d, w)'
        raise Invalid(f"{name} is no time: {text[:40]!r}", hint=hint) from None
    whole = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{whole.microsecond:06d}Z"
