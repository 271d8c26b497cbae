"""The bytes of pokes and of the tail."""

from __future__ import annotations

import json

from appliance.egress.sse.pokes import PokeDialect
from appliance.egress.websocket.tail import TailDialect
from appliance.model.event import Event

EVENT = Event(
    1, 'account-"ü"', "Deposited", 5, 1234, "an-id", '{"n":12345678901234567890}', None, 1_795_254_725_666_684
)


def test_poke_is_one_block_with_its_keys_in_the_documented_order():
    assert PokeDialect().encode(EVENT).decode() == (
        'event: poke\ndata: {"stream":"account-\\"ü\\"","position":5,"globalPosition":1234}\n\n'
    )


def test_pokes_of_a_batch_travel_in_one_http_chunk_without_being_merged():
    dialect = PokeDialect()
    poke = dialect.encode(EVENT)

    data = dialect.join([poke, poke])

    size, rest = data.split(b"\r\n", 1)
    assert int(size, 16) == 2 * len(poke)
    assert rest == poke + poke + b"\r\n"


def test_tail_envelope_carries_the_event_as_it_was_written():
    frame = TailDialect().encode(EVENT)

    header, text = frame[:4], frame[4:]
    assert header == bytes((0x81, 126)) + len(text).to_bytes(2, "big")
    assert b'"data":{"n":12345678901234567890}' in text
    assert json.loads(text) == {
        "id": "an-id",
        "stream": 'account-"ü"',
        "type": "Deposited",
        "position": 5,
        "globalPosition": 1234,
        "data": {"n": 12345678901234567890},
        "metadata": None,
        "time": "2026-11-21T09:52:05.666684Z",
    }


def test_an_event_is_encoded_once_for_several_audiences():
    dialect = PokeDialect()

    assert dialect.encode(EVENT) is dialect.encode(EVENT)
