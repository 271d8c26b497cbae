"""How notes look in answers. What has no value is null: clients count on every member being there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .note import Note
from .text import snippet

__all__ = [
    "Found",
    "Hits",
    "Linked",
    "Listed",
    "Made",
    "MadeMany",
    "Neighbour",
    "Purging",
    "Related",
    "Restored",
    "Row",
    "Whole",
    "found",
    "neighbour",
    "row",
    "whole",
]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A stored note."""

    id: str


@dataclass(frozen=True, kw_only=True)
class MadeMany:
    """Stored notes, in the order of the request."""

    ids: list[str]
    count: int


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A note that is back."""

    restored: bool
    id: str


@dataclass(frozen=True, kw_only=True)
class Purging:
    """A job that will forget a note."""

    status: str
    job_id: str
    note_id: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """A note in a list."""

    id: str
    title: str | None
    snippet: str
    created_at_utc: str
    updated_at_utc: str
    starred: bool
    archived: bool
    tags: Sequence[str]
    concepts: Sequence[str]
    has_revision: bool
    metadata: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Found(Row):
    """A note that is like what was asked for."""

    score: float  # 0 to 1


@dataclass(frozen=True, kw_only=True)
class Neighbour(Found):
    """A note that is like another."""

    linked: bool  # that one has a link to it


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A page of notes, and how many there are on all."""

    notes: list[Row]
    total: int


@dataclass(frozen=True, kw_only=True)
class Hits:
    """The same, most alike first."""

    notes: list[Found]
    total: int


@dataclass(frozen=True, kw_only=True)
class Related:
    """Notes like one note, most alike first."""

    note_id: str
    related: list[Neighbour]


@dataclass(frozen=True, kw_only=True)
class Linked:
    """The far end of a link."""

    note_id: str
    kind: str
    score: float
    title: str | None


@dataclass(frozen=True, kw_only=True)
class Head:
    """What there is to say of a note besides its text."""

    id: str
    collection_id: str | None
    format: str
    source: str
    created_at_utc: str
    updated_at_utc: str
    starred: bool
    archived: bool
    last_accessed_at: str | None  # reading writes nothing down
    access_count: int
    title: str | None
    metadata: Mapping[str, Any]
    document_type: str | None
    document_type_id: str | None


@dataclass(frozen=True, kw_only=True)
class Original:
    """What people wrote."""

    content: str
    hash: str
    user_created_at: str
    user_last_edited_at: str


@dataclass(frozen=True, kw_only=True)
class Revision:
    """What is shown: a revision, or the original while there is none."""

    content: str
    last_revision_id: str | None
    ai_metadata: Mapping[str, Any] | None
    ai_generated_at: str | None
    user_last_edited_at: str
    is_user_edited: bool
    generation_count: int
    model: str | None


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A note."""

    note: Head
    original: Original
    revised: Revision
    tags: Sequence[str]
    concepts: Sequence[str]
    links: Sequence[Linked]


def whole(note: Note, ends: Sequence[tuple[Note, float]]) -> Whole:
    """A note, with the far ends of its links."""
    head = Head(
        id=note.id,
        collection_id=note.collection_id,
        format=note.format,
        source=note.source,
        created_at_utc=note.created_at,
        updated_at_utc=note.updated_at,
        starred=note.starred,
        archived=note.archived,
        last_accessed_at=None,
        access_count=0,
        title=note.shown_title,
        metadata=note.metadata,
        document_type=note.document_type,
        document_type_id=note.document_type_id,
    )
    original = Original(
        content=note.content, hash=note.hash, user_created_at=note.created_at, user_last_edited_at=note.edited_at
    )
    links = [Linked(note_id=end.id, kind="semantic", score=score, title=end.shown_title) for end, score in ends]
    return Whole(
        note=head, original=original, revised=_revision(note), tags=note.tags, concepts=note.concepts, links=links
    )


def row(note: Note) -> Row:
    """A note in a list."""
    return Row(**_row(note))


def found(note: Note, score: float) -> Found:
    """A note that is like what was asked for."""
    return Found(**_row(note), score=round(score, 4))


def neighbour(note: Note, score: float, linked: bool) -> Neighbour:
    """A note that is like another."""
    return Neighbour(**_row(note), score=round(score, 4), linked=linked)


def _row(note: Note) -> dict[str, Any]:
    return {
        "id": note.id,
        "title": note.shown_title,
        "snippet": snippet(note.shown_content),
        "created_at_utc": note.created_at,
        "updated_at_utc": note.updated_at,
        "starred": note.starred,
        "archived": note.archived,
        "tags": note.tags,
        "concepts": note.concepts,
        "has_revision": note.revised is not None,
        "metadata": note.metadata,
    }


def _revision(note: Note) -> Revision:
    made = note.revised
    return Revision(
        content=note.shown_content,
        last_revision_id=None if made is None else made.id,
        ai_metadata=None if made is None else made.metadata,
        ai_generated_at=None if made is None else made.at,
        user_last_edited_at=note.edited_at,
        is_user_edited=made is None,
        generation_count=note.revisions,
        model=None if made is None else made.model,
    )
