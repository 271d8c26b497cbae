"""Bytes in any pieces become the same records, and damage is told, never raised as something else."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ingress.door import Door
from appliance.ingress.records import BATCH, ImportFailed, Records, Unpacker
from appliance.model.event import Imported


class Nowhere:
    """A log that is never asked."""

    def submit(self, unit: object) -> Any:
        raise AssertionError

    async def import_batch(self, namespace: int, records: object) -> Any:
        raise AssertionError


def a_line(place: int, **data: Any) -> bytes:
    fields = {"id": f"00000000-0000-7000-8000-{place:012d}", "stream": "a-1", "type": "T", "pos": place, "gpos": place}
    return json.dumps(fields | {"data": data, "time": "2026-01-31T12:00:00Z"}).encode() + b"\n"


def failure(pieces: Iterable[bytes]) -> ImportFailed | None:
    try:
        parsed(pieces)
    except ImportFailed as failed:
        return failed
    return None


def parsed(pieces: Iterable[bytes], **limits: int) -> list[Imported]:
    records = Records(Door(Nowhere()), **limits)
    found = [record for piece in pieces for batch in records.feed(piece) for record in batch]
    return found + [record for batch in records.end() for record in batch]


BODY = b"".join(a_line(place) for place in range(1, 30))


@given(st.lists(st.integers(0, len(BODY)), max_size=20), st.booleans())
def test_where_the_pieces_are_cut_changes_nothing(cuts: list[int], packed: bool):
    body = gzip.compress(BODY) if packed else BODY
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]

    records = parsed(body[start:end] for start, end in pairwise(edges))

    assert [record.global_position for record in records] == list(range(1, 30))


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_records_or_a_failure_with_a_line(pieces: list[bytes]):
    failed = failure(pieces)

    assert parsed(pieces) == [] if failed is None else failed.line >= 0


@given(st.integers(0, 200), st.integers(0, 255))
def test_damaged_gzip_is_a_failure_or_harmless(place: int, byte: int):
    packed = bytearray(gzip.compress(BODY))
    packed[place % len(packed)] = byte

    pieces = [bytes(packed)]
    failed = failure(pieces)

    if failed is None:
        assert len(parsed(pieces)) == 29
    else:
        assert failed.code in ("READ_ERROR", "INVALID_JSON", "INVALID_RECORD")


def test_gzip_that_ends_too_early_is_a_read_error():
    with pytest.raises(ImportFailed, match="ends too early") as failed:
        parsed([gzip.compress(BODY)[:-10]])

    assert failed.value.code == "READ_ERROR"


def test_batch_is_cut_at_a_thousand_records_or_at_its_size():
    records = Records(Door(Nowhere()))
    many = [len(batch) for batch in records.feed(b"".join(a_line(place) for place in range(1, BATCH + 501)))]
    rest = [len(batch) for batch in records.end()]
    large = Records(Door(Nowhere()))
    wide = [len(batch) for batch in large.feed(b"".join(a_line(n, x="y" * 6_000_000) for n in (1, 2, 3, 4)))]

    assert (many, rest) == ([1000], [500])
    assert wide == [3]


@pytest.mark.parametrize(
    "pieces", [[b"x" * 101], [b"x" * 60, b"x" * 60], [b"x" * 101 + b"\n"], [b"x" * 60, b"x" * 60 + b"\n"]]
)
def test_line_that_is_too_long_is_a_read_error(pieces: list[bytes]):
    with pytest.raises(ImportFailed) as failed:
        parsed([b"\n\n", *pieces], longest_line=100)

    assert (failed.value.code, failed.value.line) == ("READ_ERROR", 3)


def test_bomb_comes_out_a_megabyte_at_a_time():
    unpacker = Unpacker()

    sizes = [len(piece) for piece in unpacker.feed(gzip.compress(bytes(50 * 1024 * 1024)))]

    assert sum(sizes) == 50 * 1024 * 1024
    assert max(sizes) <= 1024 * 1024
    assert unpacker.end() == b""
