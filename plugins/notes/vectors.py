"""How alike two texts are: each becomes a vector of hashed n-grams, and a library finds the nearest of thousands.

A text's features are its words and the letters inside them, four at a time, so that "summarise" is near "summary" and
a misspelt word near the right one. A feature's hash is its dimension ("the hashing trick": no dictionary to keep), its
weight grows with the logarithm of how often it comes. A vector is sparse, so a library keeps, for each dimension, who
has it and how much of it: a search looks only at the dimensions of its query.

Source: K. Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009; J. Zobel, A. Moffat,
"Inverted Files for Text Search Engines", 2006.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from math import log, sqrt
from zlib import crc32

from .text import words

__all__ = ["Library", "Vector", "packed", "unpacked", "vector_of"]

Vector = Mapping[int, float]  # dimension -> weight; of length 1, or empty

DIMENSIONS = 2**16
GRAM = 4  # letters
GRAM_WEIGHT = 0.6  # of a word's own weight, for all its pieces together
STRONGEST = 256  # dimensions kept of one text: what a long text holds beyond them hardly turns its vector
ASKED = 64  # dimensions of a query that are looked at
STEPS = 255  # a weight is kept in a byte
SLICE = 5_000  # entries scored before somebody else has a turn: one or two milliseconds

_SLOT_BITS = 24  # of an entry: which text; the other eight are the weight
_SLOT = 2**_SLOT_BITS - 1


def vector_of(text: str) -> Vector:
    """The vector of a text. Empty for a text without words."""
    weights: defaultdict[int, float] = defaultdict(float)
    for word, times in Counter(words(text)).items():
        weight = 1 + log(times)
        weights[_dimension(word)] += weight
        grams = [padded[n : n + GRAM] for padded in [f"<{word}>"] for n in range(max(1, len(padded) - GRAM + 1))]
        for gram in grams:
            weights[_dimension("#" + gram)] += GRAM_WEIGHT * weight / sqrt(len(grams))
    strongest = dict(nlargest(STRONGEST, weights.items(), key=lambda pair: pair[1]))
    length = sqrt(sum(weight * weight for weight in strongest.values()))
    return {dimension: weight / length for dimension, weight in strongest.items()}


def packed(vector: Vector) -> str:
    """As text, about four bytes for a dimension. Weights become steps of a 255th of the greatest."""
    greatest = max(vector.values(), default=0.0)
    dimensions = array("H", sorted(vector))
    steps = bytes(max(1, round(STEPS * vector[dimension] / greatest)) for dimension in dimensions)
    return b64encode(dimensions.tobytes() + steps).decode()


def unpacked(text: str) -> Vector:
    """Raises ValueError: not from `packed`."""
    raw = b64decode(text, validate=True)
    count, rest = divmod(len(raw), 3)
    if rest:
        raise ValueError("a packed vector has three bytes for a dimension")
    dimensions = array("H", raw[: 2 * count])
    length = sqrt(sum(step * step for step in raw[2 * count :]))
    return {dimension: step / length for dimension, step in zip(dimensions, raw[2 * count :], strict=True)}


def _nothing() -> defaultdict[int, array[int]]:
    return defaultdict(lambda: array("I"))


@dataclass
class Library:
    """Vectors by the id of their text, and who is near a vector. Ten thousand notes take some 15 MB."""

    whole: bool = False  # everything that was stored is in it
    _entries: defaultdict[int, array[int]] = field(default_factory=_nothing)  # slot and weight, by dimension
    _slots: dict[str, int] = field(default_factory=dict)
    _ids: list[str] = field(default_factory=list)  # by slot; "": nobody's any more
    _gone: set[str] = field(default_factory=set)  # forgotten before it was whole

    def __len__(self) -> int:
        return len(self._slots)

    def put(self, id: str, vector: Vector) -> None:
        """Add a text, or replace its vector."""
        self.forget(id)
        if len(self._ids) > 64 + 2 * len(self):
            self._clear_out()
        slot = self._slots[id] = len(self._ids)
        self._ids.append(id)
        for dimension, weight in vector.items():
            self._entries[dimension].append(slot | round(STEPS * weight) << _SLOT_BITS)

    def put_once(self, id: str, vector: Vector) -> None:
        """Add a text unless it was put or forgotten before: what is loaded is older than what happened meanwhile."""
        if id not in self._slots and id not in self._gone:
            self.put(id, vector)

    def forget(self, id: str) -> None:
        """Never find it again. It need not be there."""
        slot = self._slots.pop(id, None)
        if slot is not None:
            self._ids[slot] = ""
        if not self.whole:
            self._gone.add(id)

    def complete(self) -> None:
        """Everything that was stored has been put."""
        self.whole, self._gone = True, set()

    def search(self, query: Vector) -> Iterator[dict[str, float] | None]:
        """Who is near, and how near, 0 to 1. None is a pause: a millisecond of work was done, and there is more.

        Rare dimensions count more: the query's weights are multiplied by how much a dimension tells (its inverse
        document frequency), so that what is in every text brings nobody near.
        """
        asked = self._telling(query)
        length = sqrt(sum(weight * weight for weight in asked.values())) or 1.0
        ids, done = self._ids, 0
        scores = [0.0] * len(ids)
        for dimension, weight in nlargest(ASKED, asked.items(), key=lambda pair: pair[1]):
            entries = self._entries[dimension]
            share = weight / length / STEPS
            scores += [0.0] * (len(ids) - len(scores))  # somebody was added during a pause
            for entry in entries:
                scores[entry & _SLOT] += share * (entry >> _SLOT_BITS)
            done += len(entries)
            if done > SLICE:
                done = 0
                yield None
                if self._ids is not ids:  # they were given other places meanwhile
                    yield from self.search(query)
                    return
        yield {id: score for id, score in zip(ids, scores, strict=False) if score and id}

    def _telling(self, query: Vector) -> dict[int, float]:
        count = len(self._ids)
        return {
            dimension: weight * log(1 + count / len(self._entries[dimension]))
            for dimension, weight in query.items()
            if dimension in self._entries
        }

    def _clear_out(self) -> None:
        """Give the places of forgotten texts back."""
        places = {old: new for new, old in enumerate(slot for slot, id in enumerate(self._ids) if id)}
        self._ids = [id for id in self._ids if id]
        self._slots = {id: slot for slot, id in enumerate(self._ids)}
        entries, self._entries = self._entries, _nothing()
        for dimension, old in entries.items():
            kept = [places[entry & _SLOT] | entry & ~_SLOT for entry in old if entry & _SLOT in places]
            if kept:
                self._entries[dimension] = array("I", kept)


def _dimension(feature: str) -> int:
    return crc32(feature.encode()) % DIMENSIONS
