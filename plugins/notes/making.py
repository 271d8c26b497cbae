"""What jobs make of notes, and what is found by it. What was made of a text is dropped if there is another by now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from appliance.api import Context, Job, Rejected, Transaction

from . import answers, events, keeping
from .answers import Hits
from .config import Config
from .nearness import Nearness, keep_vector, made_of
from .note import Link, Mode, Note, Revised, note_key
from .revision import ORDERS, Model, by_model, extracted
from .text import concepts, title
from .vectors import Vector
from .wishes import MOST_LISTED, List

__all__ = ["alike", "embed", "embed_all", "find_concepts", "find_title", "link", "revise"]

CONTEXT = 5  # related notes a model is shown

_Changes = Callable[[Note], Note]


async def alike(ctx: Context[Config], near: Nearness, wish: List) -> Hits:
    """Those of the notes like a text that are wanted."""
    hits = await near.to_text(ctx, wish.query)
    page = slice(wish.offset, wish.offset + wish.limit)
    if not wish.narrow:
        shown = await keeping.present(ctx, hits[page])
        return Hits(notes=[answers.found(note, score) for note, score in shown], total=len(hits))
    looked_at = await keeping.present(ctx, hits[:MOST_LISTED])
    found = [answers.found(note, score) for note, score in looked_at if keeping.fits(note, wish)]
    return Hits(notes=found[page], total=len(found))


async def embed(ctx: Context[Config], near: Nearness, id: str) -> int:
    """Store the vector of a note; how many dimensions it has."""

    async def write(tx: Transaction) -> Vector:
        note = await keeping.live(tx, ctx.memory, id)
        vector = await made_of(ctx, note.content)
        keep_vector(tx, ctx.memory, note, vector)
        return vector

    vector = await keeping.settled(ctx, write)
    near.stored(ctx, id, vector)
    return len(vector)


async def embed_all(ctx: Context[Config], near: Nearness, job: Job) -> int:
    """Store the vectors of all notes of the memory, and tell how far it is; how many there were."""
    wish = List(newest_first=False)
    total = await ctx.count(note_key(ctx.memory), where=wish.where)
    done, after = 0, ""
    while page := await keeping.page(ctx, wish, after):
        for note in page:
            await embed(ctx, near, note.id)
        done, after = done + len(page), note_key(ctx.memory, page[-1].id)
        await job.progress(min(99, 100 * done // total), f"{done} of {total}")
    return done


async def link(ctx: Context[Config], near: Nearness, id: str) -> int:
    """Link a note to those that are like it; how many there are."""
    note = await keeping.live(ctx, ctx.memory, id)
    hits = await near.to_note(ctx, note, ctx.config.links)
    links = tuple(Link(other, round(score, 4)) for other, score in hits if score >= ctx.config.link_above)
    await _made(ctx, note, lambda now: replace(now, links=links))
    return len(links)


async def find_concepts(ctx: Context[Config], id: str) -> int:
    """Store what a note is about; how many concepts that are."""
    note = await keeping.live(ctx, ctx.memory, id)
    found = await ctx.run_in_thread(lambda: concepts(note.content))
    await _made(ctx, note, lambda now: replace(now, concepts=tuple(found)))
    return len(found)


async def find_title(ctx: Context[Config], id: str) -> int:
    """Store a title for a note; how long it is."""
    note = await keeping.live(ctx, ctx.memory, id)
    found = await ctx.run_in_thread(lambda: title(note.content))
    await _made(ctx, note, lambda now: replace(now, made_title=found or None))
    return len(found)


async def revise(
    ctx: Context[Config], near: Nearness, job: Job, id: str, mode: Mode, model: str | None
) -> dict[str, Any]:
    """Store a revised text; how it was made."""
    if mode not in ORDERS:
        raise Rejected(f"a revision is one of {', '.join(ORDERS)}")
    note = await keeping.live(ctx, ctx.memory, id)
    await job.progress(10, "read")
    if ctx.config.endpoint:
        asked = Model(ctx.config.endpoint, model or ctx.config.model, ctx.config.key, ctx.config.timeout)
        others = await _related(ctx, near, note, mode)
        made = await by_model(ctx.http, asked, note.content, mode, others, job.progress)
    else:
        made = await ctx.run_in_thread(lambda: extracted(note.content, mode))
    await job.progress(90, "made")
    id_of_it, at = ctx.new_id(), ctx.wall()

    def revised(now: Note) -> Note:
        revision = Revised(made.content, id_of_it, note.version, at, made.metadata, made.model)
        return replace(now, revised=revision, revisions=now.revisions + 1)

    await _made(ctx, note, revised)
    return dict(made.metadata)


async def _made(ctx: Context[Config], read: Note, how: _Changes) -> None:
    """Store what was made of a note, unless its text is another by now: then a job for the new one is on its way."""
    await keeping.change(ctx, read.id, lambda now: how(now) if now.version == read.version else now, events.discoveries)


async def _related(ctx: Context[Config], near: Nearness, note: Note, mode: Mode) -> list[str]:
    if mode not in ("contextual", "contextual_filtered"):
        return []
    floor = ctx.config.link_above if mode == "contextual_filtered" else 0.0
    hits = await keeping.present(ctx, await near.to_note(ctx, note, CONTEXT))
    return [other.content for other, score in hits if score >= floor]
