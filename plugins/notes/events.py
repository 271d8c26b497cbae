"""What is told of notes: never their text, and no title but the one that people gave.

Clients of the first days know `NoteUpdated` only, so every change of a note tells it, with its `operation`, beside the
event of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.api import UNSET, UnsetType

from .note import Note

__all__ = ["OF_INDEXES", "OF_NOTES", "changes", "discoveries", "purges", "returns", "updated"]


@dataclass(frozen=True, kw_only=True)
class NoteUpdated:
    note_id: str
    title: str | UnsetType = UNSET
    tags: list[str]
    has_ai_content: bool
    has_links: bool
    operation: str | UnsetType = UNSET  # create, update, delete, restore, or job: one has changed it


@dataclass(frozen=True, kw_only=True)
class NoteCreated:
    note_id: str
    title: str | UnsetType = UNSET
    tags: list[str]


@dataclass(frozen=True, kw_only=True)
class NoteDeleted:
    note_id: str


@dataclass(frozen=True, kw_only=True)
class NoteArchived:
    note_id: str


@dataclass(frozen=True, kw_only=True)
class NoteRestored:
    note_id: str


@dataclass(frozen=True, kw_only=True)
class NoteTagsUpdated:
    note_id: str
    tags: list[str]


@dataclass(frozen=True, kw_only=True)
class NoteLinksUpdated:
    note_id: str


@dataclass(frozen=True, kw_only=True)
class NoteRevisionCreated:
    note_id: str


@dataclass(frozen=True, kw_only=True)
class IndexEmbeddingUpdated:
    note_id: str
    job_id: str | UnsetType = UNSET


@dataclass(frozen=True, kw_only=True)
class IndexLinkingUpdated:
    note_id: str
    job_id: str | UnsetType = UNSET


OF_NOTES: tuple[type, ...] = (
    NoteUpdated,
    NoteCreated,
    NoteDeleted,
    NoteArchived,
    NoteRestored,
    NoteTagsUpdated,
    NoteLinksUpdated,
    NoteRevisionCreated,
)
OF_INDEXES: tuple[type, ...] = (IndexEmbeddingUpdated, IndexLinkingUpdated)


def updated(note: Note, operation: str) -> NoteUpdated:
    """How the note is now."""
    return NoteUpdated(
        note_id=note.id,
        title=note.title or UNSET,
        tags=list(note.tags),
        has_ai_content=note.revised is not None,
        has_links=bool(note.links),
        operation=operation,
    )


def changes(old: Note | None, new: Note) -> Iterator[object]:
    """The events that tell how people turned `old` into `new`, in their order; None: there was none."""
    if old is None:
        yield NoteCreated(note_id=new.id, title=new.title or UNSET, tags=list(new.tags))
        yield updated(new, "create")
        return
    operation = "update"
    if old.live and not new.live:
        operation = "delete"
        yield NoteDeleted(note_id=new.id)
    elif new.live and not old.live:
        operation = "restore"
        yield NoteRestored(note_id=new.id)
    if old.archived != new.archived:
        yield NoteArchived(note_id=new.id) if new.archived else NoteRestored(note_id=new.id)
    if old.tags != new.tags:
        yield NoteTagsUpdated(note_id=new.id, tags=list(new.tags))
    yield updated(new, operation)


def returns(old: Note, new: Note) -> Iterator[object]:
    """The events of a restored note; none if it was there all the time."""
    return iter(()) if old == new else changes(old, new)


def discoveries(old: Note, new: Note) -> Iterator[object]:
    """The events that tell what a job has found out or made. That the note has changed is told when the job is done."""
    if old.links != new.links:
        yield NoteLinksUpdated(note_id=new.id)
    if old.revised != new.revised and new.revised is not None:
        yield NoteRevisionCreated(note_id=new.id)


def purges(note: Note) -> Iterator[object]:
    """The events of a note that is forgotten: those of its deletion, unless it was deleted before."""
    if note.live:
        yield NoteDeleted(note_id=note.id)
        yield updated(note, "delete")
