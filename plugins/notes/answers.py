"""How notes look in answers. What has no value is null: clients count on every member being there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .note import Note
from .text import snippet

__all__ = ["found", "linked", "row", "whole"]


def whole(note: Note, links: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """GET /api/v1/notes/{id}."""
    return {
        "note": {
            "id": note.id,
            "collection_id": note.collection_id,
            "format": note.format,
            "source": note.source,
            "created_at_utc": note.created_at,
            "updated_at_utc": note.updated_at,
            "starred": note.starred,
            "archived": note.archived,
            "last_accessed_at": None,  # reading writes nothing down
            "access_count": 0,
            "title": note.shown_title,
            "metadata": note.metadata,
            "document_type": note.document_type,
            "document_type_id": note.document_type_id,
            "deleted_at": note.deleted_at,
        },
        "original": {
            "content": note.content,
            "hash": note.hash,
            "user_created_at": note.created_at,
            "user_last_edited_at": note.edited_at,
        },
        "revised": _revised(note),
        "tags": list(note.tags),
        "concepts": list(note.concepts),
        "links": list(links),
    }


def row(note: Note) -> dict[str, Any]:
    """A note in a list."""
    return {
        "id": note.id,
        "title": note.shown_title,
        "snippet": snippet(note.shown_content),
        "created_at_utc": note.created_at,
        "updated_at_utc": note.updated_at,
        "starred": note.starred,
        "archived": note.archived,
        "tags": list(note.tags),
        "concepts": list(note.concepts),
        "has_revision": note.revised is not None,
        "metadata": note.metadata,
    }


def found(note: Note, score: float) -> dict[str, Any]:
    """A note that is like what was asked for."""
    return {**row(note), "score": round(score, 4)}


def linked(note: Note, score: float) -> dict[str, Any]:
    """The far end of a link."""
    return {"note_id": note.id, "kind": "semantic", "score": score, "title": note.shown_title}


def _revised(note: Note) -> dict[str, Any]:
    made = note.revised
    return {
        "content": note.shown_content,
        "last_revision_id": made and made.id,
        "ai_metadata": made and made.metadata,
        "ai_generated_at": made and made.at,
        "user_last_edited_at": note.edited_at,
        "is_user_edited": made is None,
        "generation_count": note.revisions,
        "model": made and made.model,
    }
