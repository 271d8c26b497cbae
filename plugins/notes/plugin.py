"""Notes: short texts that tell every client when they change, and the jobs that make something of them.

This file is what the plugin offers: events, routes, jobs. What a note is stands in `note.py`, what is told of it in
`events.py`, how it is kept in `keeping.py`, and what people may ask for in `wishes.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from appliance.api import Context, Event, Job, NotFound, Plugin, Request, Response, Transaction

from . import answers, events, keeping, making
from .answers import Hits, Listed, Made, MadeMany, Purging, Related, Restored, Whole
from .config import Config
from .nearness import Nearness
from .note import ANY, VECTORS, Mode, Note, vector_key
from .wishes import Invalid, NewNote, NewNotes, NoteChange, StatusChange, TagsChange, body, wanted
from .writing import Coming, add, changed, check_length, check_memory, follow

plugin = Plugin("notes", summary="Short texts that tell every client when they change.", config=Config)
near = Nearness()
coming: Coming = set()

for fact in events.OF_NOTES:
    plugin.event(stream="note-{note_id}")(fact)
for fact in events.OF_INDEXES:
    plugin.event(stream="index-{note_id}", priority="normal")(fact)


@plugin.route("POST", "/api/v1/notes", scope="write", request=NewNote, answer=Made, status=201)
async def create(ctx: Context[Config], request: Request) -> Made:
    """Store a note, and queue the jobs that make something of it."""
    (id,) = await add(ctx, coming, request, [await body(request, NewNote)])
    return Made(id=id)


@plugin.route("POST", "/api/v1/notes/bulk", scope="write", request=NewNotes, answer=MadeMany, status=201)
async def create_many(ctx: Context[Config], request: Request) -> MadeMany | Response:
    """Store up to 100 notes, all of them or none."""
    wishes = (await body(request, NewNotes)).notes
    if not wishes:
        return Response(MadeMany(ids=[], count=0))
    ids = await add(ctx, coming, request, wishes)
    return MadeMany(ids=ids, count=len(ids))


@plugin.route("GET", "/api/v1/notes", scope="read", answer=Listed)
async def list_notes(ctx: Context[Config], request: Request) -> Listed | Hits:
    """Notes of a memory: filtered, sorted, or by likeness to `query`."""
    check_memory(ctx)
    wish = wanted(request.query, ctx.wall())
    if wish.query:
        return await making.alike(ctx, near, wish)
    notes, total = await keeping.listed(ctx, wish)
    return Listed(notes=[answers.row(note) for note in notes], total=total)


@plugin.route("GET", "/api/v1/notes/search", scope="read", answer=Hits)
async def search(ctx: Context[Config], request: Request) -> Hits:
    """Notes like the text `q`, most alike first."""
    check_memory(ctx)
    wish = wanted(request.query, ctx.wall())
    if not wish.query:
        raise Invalid("it is not said what to search for", hint="give a text as q")
    return await making.alike(ctx, near, wish)


@plugin.route("GET", "/api/v1/notes/{note_id}", scope="read", answer=Whole)
async def show(ctx: Context[Config], note_id: UUID) -> Whole:
    """A note: original, revision, tags, concepts and links."""
    note = await keeping.live(ctx, ctx.memory, str(note_id))
    ends = await keeping.present(ctx, [(link.note_id, link.score) for link in note.links])
    return answers.whole(note, ends)


@plugin.route("GET", "/api/v1/notes/{note_id}/related", scope="read", answer=Related)
async def related(ctx: Context[Config], request: Request, note_id: UUID) -> Related:
    """Notes like this one, most alike first."""
    wish = wanted(request.query, ctx.wall())
    note = await keeping.live(ctx, ctx.memory, str(note_id))
    hits = await keeping.present(ctx, await near.to_note(ctx, note, wish.limit))
    linked = {link.note_id for link in note.links}
    return Related(note_id=note.id, related=[answers.neighbour(end, score, end.id in linked) for end, score in hits])


@plugin.route("PATCH", "/api/v1/notes/{note_id}", scope="write", request=NoteChange, answer=Whole)
@plugin.route("PUT", "/api/v1/notes/{note_id}", scope="write", request=NoteChange, answer=Whole)
async def edit(ctx: Context[Config], request: Request, note_id: UUID) -> Whole:
    """Change what is given of a note; the rest stays."""
    wish, at = await body(request, NoteChange), ctx.wall()
    check_length(ctx.config, wish.content)

    async def queue(tx: Transaction, old: Note, new: Note) -> None:
        again = ctx.config.pipeline if new.version != old.version else ()
        asked = () if wish.revision_mode is None or "ai_revision" in again else ("ai_revision",)
        await follow(ctx, tx, new, (*again, *asked), wish.revision_mode, wish.model)

    await keeping.change(ctx, str(note_id), lambda note: changed(note, wish, at), events.changes, then=queue)
    return await show(ctx, note_id)


@plugin.route("PATCH", "/api/v1/notes/{note_id}/status", scope="write", request=StatusChange)
async def set_status(ctx: Context[Config], request: Request, note_id: UUID) -> None:
    """Star or archive a note, or undo that."""
    wish, at = await body(request, StatusChange), ctx.wall()
    change = NoteChange(starred=wish.starred, archived=wish.archived)
    await keeping.change(ctx, str(note_id), lambda note: changed(note, change, at), events.changes)


@plugin.route("PUT", "/api/v1/notes/{note_id}/tags", scope="write", request=TagsChange)
async def set_tags(ctx: Context[Config], request: Request, note_id: UUID) -> None:
    """Give a note these tags instead of those it has."""
    wish, at = await body(request, TagsChange), ctx.wall()
    change = NoteChange(tags=wish.tags)
    await keeping.change(ctx, str(note_id), lambda note: changed(note, change, at), events.changes)


@plugin.route("DELETE", "/api/v1/notes/{note_id}", scope="write")
async def delete(ctx: Context[Config], note_id: UUID) -> None:
    """Take a note away; it can be restored until it is purged."""
    at = ctx.wall()

    async def found_no_more(tx: Transaction, _: Note, new: Note) -> None:
        tx.delete(vector_key(ctx.memory, new.id))

    def gone(note: Note) -> Note:
        return replace(note, deleted_at=at, updated_at=at)

    await keeping.change(ctx, str(note_id), gone, events.changes, then=found_no_more)
    near.gone(ctx, str(note_id))


@plugin.route("POST", "/api/v1/notes/{note_id}/restore", scope="write", answer=Restored)
async def restore(ctx: Context[Config], note_id: UUID) -> Restored:
    """Bring a deleted note back."""
    at = ctx.wall()

    async def found_again(tx: Transaction, old: Note, new: Note) -> None:
        if not old.live and "embedding" in ctx.config.pipeline:
            await tx.enqueue(embedding, note_id=new.id)

    def back(note: Note) -> Note:
        return note if note.live else replace(note, deleted_at=None, updated_at=at)

    await keeping.change(ctx, str(note_id), back, events.returns, deleted=True, then=found_again)
    return Restored(restored=True, id=str(note_id))


@plugin.route("POST", "/api/v1/notes/{note_id}/purge", scope="delete", answer=Purging)
async def purge(ctx: Context[Config], note_id: UUID) -> Purging:
    """Queue that a note is forgotten for good."""
    note = await keeping.known(ctx, ctx.memory, str(note_id))
    job = await ctx.enqueue(purge_note, note_id=note.id)
    return Purging(status="queued", job_id=job, note_id=note.id)


@plugin.on("JobCompleted", when="data.note_id is not null")
async def tell_what_a_job_did(ctx: Context[Config], event: Event[Any]) -> None:
    """Clients look at a note again when a job has ended that was about it."""
    try:
        note = await keeping.live(ctx, ctx.memory, event.data.note_id)
    except NotFound:
        return  # purged or deleted meanwhile, or no note of ours
    await ctx.emit(events.updated(note, "job"))


async def is_there(ctx: Context[Config], note_id: str = "") -> None:
    """Jobs are queued for notes that are there, or are being stored with them."""
    if note_id not in coming:
        await keeping.known(ctx, ctx.memory, note_id)


@plugin.job(priority=9, check=is_there, scope="delete")
async def purge_note(ctx: Context[Config], note_id: str) -> None:
    """Forget a note, and all that was made of it."""
    await keeping.purge(ctx, note_id)
    near.gone(ctx, note_id)


@plugin.job(priority=8, concurrency=2, check=is_there)
async def ai_revision(
    ctx: Context[Config], job: Job, note_id: str, mode: Mode = "standard", model: str | None = None
) -> dict[str, Any]:
    """A revised text, by the configured model or without one."""
    return await making.revise(ctx, near, job, note_id, mode, model)


@plugin.job(priority=5, concurrency=2, check=is_there)
async def embedding(ctx: Context[Config], note_id: str) -> dict[str, Any]:
    """The vector a note is found by."""
    return {"dimensions": await making.embed(ctx, near, note_id)}


@plugin.job(priority=4, check=is_there)
async def concept_tagging(ctx: Context[Config], note_id: str) -> dict[str, Any]:
    """What a note is about."""
    return {"concepts": await making.find_concepts(ctx, note_id)}


@plugin.job(priority=3, check=is_there)
async def linking(ctx: Context[Config], note_id: str) -> dict[str, Any]:
    """Links to the notes that are like it."""
    return {"links": await making.link(ctx, near, note_id)}


@plugin.job(priority=2, check=is_there)
async def title_generation(ctx: Context[Config], note_id: str) -> dict[str, Any]:
    """A title, shown where nobody gave one."""
    return {"characters": await making.find_title(ctx, note_id)}


@plugin.job(priority=1)
async def re_embed_all(ctx: Context[Config], job: Job) -> dict[str, Any]:
    """All vectors of a memory anew, as after a change of how they are made."""
    return {"notes": await making.embed_all(ctx, near, job)}


@plugin.action("re_embed")
async def re_embed(ctx: Context[Config]) -> dict[str, Any]:
    """Queue that all vectors of the memory are made anew."""
    return {"job_id": await ctx.enqueue(re_embed_all)}


@plugin.panel("Notes")
async def panel(ctx: Context[Config]) -> dict[str, int]:
    """What is stored in all memories."""
    stored, embedded = await ctx.count(ANY, where={"state": "live"}), await ctx.count(VECTORS)
    return {
        "stored": stored,
        "deleted": await ctx.count(ANY, where={"state": "deleted"}),
        "embedded": embedded,
        "not embedded": stored - embedded,
    }
