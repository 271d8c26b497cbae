"""What a note is: what people wrote, what jobs made of it, and how it is kept. Pure: no clock, no ids of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args
from urllib.parse import quote

__all__ = [
    "ANY",
    "VECTORS",
    "Link",
    "Mode",
    "Note",
    "Revised",
    "check_tags",
    "key_of",
    "note_key",
    "vector_key",
]

Mode = Literal["full", "light", "standard", "contextual", "contextual_filtered", "none"]  # how much of a revision
MODES: tuple[str, ...] = get_args(Mode)

LONGEST_TAG = 100  # characters
DEEPEST_TAG = 5  # parts between slashes
MOST_TAGS = 100

ANY = "notes/"  # what the keys of all notes begin with
VECTORS = "vectors/"


@dataclass(frozen=True)
class Revised:
    """A text that `ai_revision` made of the original."""

    content: str
    id: str
    of: int  # the `version` of the content it was made of
    at: str
    metadata: Mapping[str, Any]  # how it was made: by which model, or without one
    model: str | None = None


@dataclass(frozen=True)
class Link:
    """A related note that `linking` found."""

    note_id: str
    score: float  # 0 to 1


@dataclass(frozen=True)
class Note:
    """One note. Its id is in the order of creation; a deleted one stays until it is purged."""

    id: str
    content: str
    created_at: str  # RFC 3339, UTC
    updated_at: str
    edited_at: str  # of the content
    version: int = 1  # of the content: jobs work for one version
    title: str | None = None  # as given
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    format: str = "markdown"
    source: str = "api"
    collection_id: str | None = None
    document_type: str | None = None
    document_type_id: str | None = None
    starred: bool = False
    archived: bool = False
    deleted_at: str | None = None
    made_title: str | None = None  # by `title_generation`
    concepts: tuple[str, ...] = ()  # by `concept_tagging`
    links: tuple[Link, ...] = ()
    revised: Revised | None = None
    revisions: int = 0  # how many there have been

    @property
    def live(self) -> bool:
        return self.deleted_at is None

    @property
    def shown_title(self) -> str | None:
        return self.title or self.made_title

    @property
    def shown_content(self) -> str:
        """The revision if there is one of this version, else what people wrote."""
        return self.content if self.revised is None else self.revised.content

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()

    @property
    def index(self) -> dict[str, str | list[str]]:
        """What it can be found by."""
        found: dict[str, str | list[str]] = {
            "state": "live" if self.live else "deleted",
            "starred": _word(self.starred),
            "archived": _word(self.archived),
            "tag": sorted(_with_parents(self.tags)),
            "concept": list(self.concepts),
        }
        return found | ({"collection": self.collection_id} if self.collection_id else {})

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Note:
        """From what is kept."""
        revised = value.get("revised")
        return cls(
            **{name: value[name] for name in _PLAIN if name in value},
            tags=tuple(value.get("tags", ())),
            concepts=tuple(value.get("concepts", ())),
            links=tuple(Link(**link) for link in value.get("links", ())),
            revised=None if revised is None else Revised(**revised),
        )

    def edited(self, content: str, at: str) -> Note:
        """With another text. The revision of the old one goes; title, concepts and links stay until made again."""
        if content == self.content:
            return self
        return replace(self, content=content, edited_at=at, version=self.version + 1, revised=None)


_PLAIN = frozenset(one.name for one in fields(Note)) - {"tags", "concepts", "links", "revised"}


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The same tags, trimmed, each once.

    Raises:
        ValueError: too many, or one is empty, too long, too deep or not printable.
    """
    cleaned = list(dict.fromkeys(tag.strip() for tag in tags))
    if len(cleaned) > MOST_TAGS:
        raise ValueError(f"a note has at most {MOST_TAGS} tags")
    for tag in cleaned:
        parts = tag.split("/")
        if not tag or len(tag) > LONGEST_TAG:
            raise ValueError(f"a tag has 1 to {LONGEST_TAG} characters")
        if len(parts) > DEEPEST_TAG or not all(part.strip() for part in parts) or not tag.isprintable():
            raise ValueError(f'a tag is printable and has at most {DEEPEST_TAG} parts, as in "work/plans"')
    return tuple(cleaned)


def note_key(memory: str, id: str = "") -> str:
    """Under which a note is kept; without an id, what those of a memory begin with."""
    return f"{ANY}{quote(memory, safe='')}/{id}"


def vector_key(memory: str, id: str = "") -> str:
    """Under which the vector of a note is kept."""
    return f"{VECTORS}{quote(memory, safe='')}/{id}"


def key_of(key: str) -> str:
    """The id of the note or vector that is kept there."""
    return key.rpartition("/")[2]


def _with_parents(tags: Iterable[str]) -> set[str]:
    """`work/plans` is found under `work`, too."""
    return {"/".join(parts[: n + 1]) for parts in (tag.split("/") for tag in tags) for n in range(len(parts))}


def _word(yes: bool) -> str:
    return "yes" if yes else "no"
