"""Notes made and changed as requests wish, with the jobs that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from appliance.api import UNSET, Context, NotFound, Receipt, Request, Transaction, UnsetType, pascal

from . import events, keeping
from .config import PIPELINE, Config
from .note import Mode, Note, check_tags, note_key
from .wishes import Invalid, NewNote, NoteChange

__all__ = ["Coming", "add", "changed", "check_length", "check_memory", "follow"]

NAMES = {name: name for name in PIPELINE} | {pascal(name): name for name in PIPELINE}


Coming = set[str]  # ids of notes that are being stored: their jobs are queued with them, before they are there


async def add(ctx: Context[Config], coming: Coming, request: Request, wishes: Sequence[NewNote]) -> list[str]:
    """Store notes with their events and jobs, all or none; their ids.

    A request that comes again with its idempotency key gets the ids of the first.

    Raises:
        Invalid: a text is too long, or a pipeline holds no job of ours.
        NotFound: there is no such memory.
        KeyReused: the key came with another request before.
    """
    check_memory(ctx)
    pipelines = [_pipeline(ctx.config, wish) for wish in wishes]
    for wish in wishes:
        check_length(ctx.config, wish.content)
    at = ctx.wall()
    notes = [_new(ctx.new_id(), wish, at) for wish in wishes]

    async def write(tx: Transaction) -> list[Receipt]:
        receipts = []
        for note, wish, names in zip(notes, wishes, pipelines, strict=True):
            keeping.keep(tx, ctx.memory, note)
            created, *_ = [tx.emit(event) for event in events.changes(None, note)]
            receipts.append(created)
            await follow(ctx, tx, note, names, _mode(wish), wish.model)
        return receipts

    ids = {note.id for note in notes}
    coming |= ids
    try:
        key = request.idempotency_key and note_key(ctx.memory, request.idempotency_key)
        receipts = await keeping.settled(ctx, write, key=key)
    finally:
        coming -= ids
    return [receipt.stream.removeprefix("note-") for receipt in receipts]  # of the first time, if the key came back


def changed(note: Note, wish: NoteChange, at: str) -> Note:
    """The note as somebody wants it."""
    new = note if isinstance(wish.content, UnsetType) else note.edited(wish.content, at)
    given: dict[str, Any] = {
        "title": wish.title or None if wish.title is not UNSET else UNSET,
        "starred": wish.starred,
        "archived": wish.archived,
        "metadata": wish.metadata,
        "tags": UNSET if isinstance(wish.tags, UnsetType) else check_tags(wish.tags),
    }
    new = replace(new, **{name: value for name, value in given.items() if value is not UNSET})
    return note if new == note else replace(new, updated_at=at)


async def follow(
    ctx: Context[Config], tx: Transaction, note: Note, names: Sequence[str], mode: Mode | None, model: str | None
) -> None:
    """Queue jobs for this version of the note when the transaction ends."""
    version = f"{note.id}:{note.version}"
    for name in names:
        if name != "ai_revision":
            await tx.enqueue(pascal(name), note_id=note.id, key=version)
    chosen = mode or ctx.config.revision_mode or ("standard" if ctx.config.endpoint else "none")
    if "ai_revision" in names and chosen != "none":
        await tx.enqueue("AiRevision", note_id=note.id, key=f"{version}:{chosen}", mode=chosen, model=model)


def check_length(config: Config, content: str | UnsetType) -> None:
    """Raises Invalid: the text is too long."""
    if isinstance(content, str) and len(content) > config.max_chars:
        raise Invalid(
            f"a note holds {config.max_chars} characters, this one has {len(content)}",
            hint="split the note, or raise plugins.notes.max_chars",
        )


def check_memory(ctx: Context[Config]) -> None:
    """Raises NotFound: the configuration names memories, and not this one."""
    if ctx.memory and ctx.config.memories and ctx.memory not in ctx.config.memories:
        raise NotFound(
            f"there is no memory {ctx.memory!r}",
            hint="plugins.notes.memories lists them, and without it any name is one",
        )


def _new(id: str, wish: NewNote, at: str) -> Note:
    return Note(
        id=id,
        content=wish.content,
        created_at=at,
        updated_at=at,
        edited_at=at,
        title=wish.title or None,
        tags=check_tags(wish.tags),
        metadata=wish.metadata,
        format=wish.format,
        source=wish.source,
        collection_id=wish.collection_id,
        document_type=wish.document_type,
        document_type_id=wish.document_type_id,
    )


def _mode(wish: NewNote) -> Mode | None:
    """Who names `ai_revision` wants one."""
    named = wish.pipeline is not None and any(NAMES[name] == "ai_revision" for name in wish.pipeline)
    return wish.revision_mode or ("standard" if named else None)


def _pipeline(config: Config, wish: NewNote) -> list[str]:
    """Names of the jobs to queue. Who gives a mode wants a revision."""
    if wish.pipeline is None:
        asked = wish.revision_mode is not None and "ai_revision" not in config.pipeline
        return [*(["ai_revision"] if asked else []), *config.pipeline]
    if unknown := [name for name in wish.pipeline if name not in NAMES]:
        raise Invalid(f"pipeline knows {', '.join(PIPELINE)}, not {unknown[0][:40]!r}")
    return list(dict.fromkeys(NAMES[name] for name in wish.pipeline))
