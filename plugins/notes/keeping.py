"""Notes in the plugin's state: read, changed in one transaction with their events, listed, and purged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from appliance.api import Conflict, Context, NotFound, State, Transaction

from .events import purges
from .note import Note, note_key, vector_key
from .wishes import List

__all__ = ["change", "fits", "keep", "known", "listed", "live", "page", "present", "purge", "settled"]

T = TypeVar("T")

TRIES = 5  # of a change that others get in the way of
PAGE = 100  # notes read at once


async def known(state: State, memory: str, id: str) -> Note:
    """The note, deleted or not. Raises NotFound: it was never there, or it was purged."""
    kept = await state.get(note_key(memory, id))
    if kept is None:
        raise NotFound(f"no note has the id {id}", hint="`GET /api/v1/notes` lists those of this memory")
    return Note.of(kept)


async def live(state: State, memory: str, id: str) -> Note:
    """The note. Raises NotFound: it is not there, or deleted."""
    note = await known(state, memory, id)
    if not note.live:
        raise NotFound(
            f"no note has the id {id}: it was deleted", hint=f"`POST /api/v1/notes/{id}/restore` brings it back"
        )
    return note


def keep(tx: Transaction, memory: str, note: Note) -> None:
    """Store it when the transaction ends."""
    tx.put(note_key(memory, note.id), asdict(note), index=note.index)


async def change(
    ctx: Context[Any],
    id: str,
    how: Callable[[Note], Note],
    told: Callable[[Note, Note], Iterable[object]],
    *,
    deleted: bool = False,
    then: Callable[[Transaction, Note, Note], Any] | None = None,
) -> Note:
    """Change a note; what it became, and the events that tell of it, are written together.

    Args:
        how: the new note from the old one; called again when somebody else was faster.
        told: the events, from the old note and the new one.
        deleted: change it also if it is deleted.
        then: more to be written with it: an async function of the transaction, the old and the new note.

    Raises:
        NotFound: there is no such note.
        Conflict: somebody else was faster, again and again.
    """

    async def write(tx: Transaction) -> Note:
        old = await (known if deleted else live)(tx, ctx.memory, id)
        new = how(old)
        if new != old:
            keep(tx, ctx.memory, new)
        for event in told(old, new):
            tx.emit(event)
        if then is not None:
            await then(tx, old, new)
        return new

    return await settled(ctx, write)


async def settled(ctx: Context[Any], work: Callable[[Transaction], Awaitable[T]], *, key: str = "") -> T:
    """What `work` gives, written in one transaction; done anew when somebody else was faster.

    Args:
        key: makes the transaction idempotent.

    Raises:
        Conflict: somebody else was faster, again and again.
    """
    for left in reversed(range(TRIES)):
        try:
            async with ctx.transaction(key=key) as tx:
                return await work(tx)
        except Conflict:
            if not left:
                raise
    raise AssertionError("the last try returns or raises")


async def purge(ctx: Context[Any], id: str) -> None:
    """Forget a note and all that was made of it. A note that was not even deleted is told to be."""

    async def write(tx: Transaction) -> None:
        note = await known(tx, ctx.memory, id)
        for key in (note_key(ctx.memory, id), vector_key(ctx.memory, id)):
            tx.delete(key)
        for event in purges(note):
            tx.emit(event)

    await settled(ctx, write)


async def present(ctx: Context[Any], hits: Iterable[tuple[str, float]]) -> list[tuple[Note, float]]:
    """The notes of these ids, with their scores; without those that are gone."""
    kept = [(await ctx.get(note_key(ctx.memory, id)), score) for id, score in hits]
    notes = [(Note.of(value), score) for value, score in kept if value is not None]
    return [(note, score) for note, score in notes if note.live]


async def page(ctx: Context[Any], wish: List, after: str = "") -> list[Note]:
    """The next notes that the index says are wanted, in the order of creation; empty: there are no more."""
    kept = await ctx.list(
        note_key(ctx.memory), where=wish.where, after=after, limit=PAGE, newest_first=wish.newest_first
    )
    return [Note.of(value) for _, value in kept]


async def listed(ctx: Context[Any], wish: List) -> tuple[list[Note], int]:
    """The notes of one page of a list, and how many there are on all."""
    if wish.walks:
        return await _walked(ctx, wish)
    total = await ctx.count(note_key(ctx.memory), where=wish.where)
    end = min(wish.offset + wish.limit, total)
    found: list[Note] = []
    while wish.offset < end and len(found) < end and (notes := await page(ctx, wish, _after(ctx, found))):
        found += notes
    return found[wish.offset : end], total


def fits(note: Note, wish: List) -> bool:
    """Whether the index would find it, and it is what else is wanted."""
    said = {name: [value] if isinstance(value, str) else value for name, value in note.index.items()}
    return _wanted(note, wish) and all(value in said.get(name, ()) for name, value in wish.where.items())


async def _walked(ctx: Context[Any], wish: List) -> tuple[list[Note], int]:
    found: list[Note] = []
    after = ""
    while notes := await page(ctx, wish, after):
        found += [note for note in notes if _wanted(note, wish)]
        after = _after(ctx, notes)
    if wish.by != "created":
        found.sort(key=(lambda note: note.updated_at) if wish.by == "updated" else _by_title, reverse=wish.newest_first)
    return found[wish.offset : wish.offset + wish.limit], len(found)


def _wanted(note: Note, wish: List) -> bool:
    tags = note.index["tag"]
    return (
        all(tag in tags for tag in wish.more_tags)
        and wish.created_after <= note.created_at
        and (not wish.created_before or note.created_at < wish.created_before)
        and wish.updated_after <= note.updated_at
        and (not wish.updated_before or note.updated_at < wish.updated_before)
    )


def _by_title(note: Note) -> str:
    return (note.shown_title or "").casefold()


def _after(ctx: Context[Any], notes: Sequence[Note]) -> str:
    return note_key(ctx.memory, notes[-1].id) if notes else ""
