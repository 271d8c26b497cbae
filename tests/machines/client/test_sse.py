from appliance.client.sse import Comment, Frame, SseParser

WIRE = (
    "\ufeff: ready\n\n"
    'event: poke\ndata: {"stream":"a-1",\ndata: "position":0}\nid: 7\n\n'
    "data:no blank\r\n\r\n"
    "data\r\rretry: 5\nid: bad\0id\nevent: lonely\n\n"
    "data: ünï\n\ndata: never ended"
).encode()

SEEN = [
    Comment("ready"),
    Frame('{"stream":"a-1",\n"position":0}', "poke", "7"),
    Frame("no blank", id="7"),
    Frame("", id="7"),
    Frame("ünï", id="7"),
]


def test_a_stream_fed_at_once_gives_its_events_and_comments():
    seen = list(SseParser().feed(WIRE))

    assert seen == SEEN


def test_a_stream_fed_byte_by_byte_gives_the_same():
    parser = SseParser()

    seen = [item for byte in WIRE for item in parser.feed(bytes([byte]))]

    assert seen == SEEN


def test_every_way_to_cut_a_stream_in_two_gives_the_same():
    for cut in range(len(WIRE)):
        parser = SseParser()

        seen = [*parser.feed(WIRE[:cut]), *parser.feed(WIRE[cut:])]

        assert seen == SEEN, cut


def test_an_empty_chunk_between_cr_and_lf_does_not_end_two_lines():
    parser = SseParser()

    seen = [item for chunk in (b"data: a\r", b"", b"\ndata: b\r", b"\n\r\n") for item in parser.feed(chunk)]

    assert seen == [Frame("a\nb")]


def test_an_event_without_data_is_dropped():
    assert list(SseParser().feed(b"event: poke\n\n")) == []
