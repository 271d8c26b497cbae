"""Which notes are like a text: the vectors of each memory's notes, brought into memory when somebody first asks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from appliance.api import Context, Transaction

from .note import Note, key_of, vector_key
from .vectors import Library, Vector, packed, unpacked, vector_of

__all__ = ["Hit", "Nearness", "keep_vector"]

PAGE = 20  # vectors unpacked before somebody else has a turn

FLOOR = 0.05  # what two texts have in common by chance

Hit = tuple[str, float]  # id of a note; how near it is, 0 to 1


def keep_vector(tx: Transaction, memory: str, note: Note, vector: Vector) -> None:
    """Store the vector of this version of the note when the transaction ends."""
    tx.put(vector_key(memory, note.id), {"version": note.version, "vector": packed(vector)})


@dataclass
class Nearness:
    """Finds notes by likeness, in each memory of each namespace for itself.

    It is a copy of what is stored: whoever stores or deletes a vector tells it afterwards.
    """

    _libraries: dict[tuple[str, str], Library] = field(default_factory=lambda: defaultdict(Library))

    async def to_text(self, ctx: Context[Any], text: str) -> list[Hit]:
        """Notes like a text, most alike first."""
        return await self._nearest(ctx, await made_of(ctx, text))

    async def to_note(self, ctx: Context[Any], note: Note, most: int) -> list[Hit]:
        """Other notes like this one, most alike first."""
        kept = await ctx.get(vector_key(ctx.memory, note.id))
        current = kept is not None and kept["version"] == note.version
        vector = unpacked(kept["vector"]) if current else await made_of(ctx, note.content)
        return [hit for hit in await self._nearest(ctx, vector) if hit[0] != note.id][:most]

    def stored(self, ctx: Context[Any], id: str, vector: Vector) -> None:
        """The note has this vector now."""
        self._of(ctx).put(id, vector)

    def gone(self, ctx: Context[Any], id: str) -> None:
        """The note is to be found no more."""
        self._of(ctx).forget(id)

    async def _nearest(self, ctx: Context[Any], vector: Vector) -> list[Hit]:
        library = self._of(ctx)
        if not library.whole:
            await self._load(ctx, library)
        search = library.search(vector)
        while (scores := next(search)) is None:
            await ctx.sleep(0)
        return sorted(
            ((id, score) for id, score in scores.items() if score >= FLOOR), key=lambda hit: (-hit[1], hit[0])
        )

    async def _load(self, ctx: Context[Any], library: Library) -> None:
        prefix, after = vector_key(ctx.memory), ""
        while page := await ctx.list(prefix, after=after, limit=PAGE):
            for key, kept in page:
                library.put_once(key_of(key), unpacked(kept["vector"]))
            after = page[-1][0]
        library.complete()

    def _of(self, ctx: Context[Any]) -> Library:
        return self._libraries[ctx.namespace, ctx.memory]


async def made_of(ctx: Context[Any], text: str) -> Vector:
    """The vector of a text, worked out aside: a long one takes a while."""
    return await ctx.run_in_thread(lambda: vector_of(text))
