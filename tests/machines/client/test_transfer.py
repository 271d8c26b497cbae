import msgspec
import pytest

from appliance.client.shapes import Imported, Message
from appliance.client.sse import Frame
from appliance.client.transfer import ImportRun, LineSplitter, Window, record_of, records, segments
from appliance.errors import Duplicate, PeerFailed, Rejected


def frame(**values):
    return Frame(msgspec.json.encode(values).decode())


def test_segments_keep_every_line_and_stay_small():
    lines = [f"{n}\n".encode() for n in range(25)]

    groups = list(segments(lines, most_lines=10))

    assert [len(group) for group in groups] == [10, 10, 5]
    assert [line for group in groups for line in group] == [f"{n}".encode() for n in range(25)]


def test_segments_are_bounded_in_bytes_but_hold_at_least_one_line():
    groups = list(segments([b"x" * 50, b"y" * 60, b"z" * 10], most_bytes=55))

    assert [len(group) for group in groups] == [1, 1, 1]


def test_nothing_is_one_empty_segment_so_that_force_can_empty_a_namespace():
    assert list(segments([])) == [[]]


def test_an_import_adds_up_its_segments():
    run = ImportRun()

    progress = [
        run.took([frame(imported=1000, gpos=1000), frame(done=True, imported=1500, elapsed="0.1s")], 1500),
        run.took([frame(done=True, imported=20, elapsed="0.1s")], 20),
    ]

    assert progress == [Imported(1500, 1000), Imported(1520, 1000)]


def test_a_refused_record_is_named_by_its_line_in_the_whole():
    run = ImportRun()
    run.took([frame(done=True, imported=1000, elapsed="0.1s")], 1000)

    with pytest.raises(Duplicate) as caught:
        run.took([frame(error="POSITION_EXISTS", message="global position already exists: 4", line=7)], 10)

    assert caught.value.facts == {"wire_code": "POSITION_EXISTS", "line": 1007}


def test_an_import_that_ends_without_a_result_is_the_peers_failure():
    with pytest.raises(PeerFailed, match="without a result"):
        ImportRun().took([frame(imported=1000, gpos=1000)], 1000)


def test_lines_are_whole_wherever_chunks_are_cut():
    splitter = LineSplitter()

    lines = [line for chunk in (b"on", b"e\ntw", b"o\n\n", b"three") for line in splitter.feed(chunk)]

    assert lines + splitter.end() == [b"one", b"two", b"three"]
    assert LineSplitter().end() == []


@pytest.mark.parametrize(
    ("since", "until", "held"),
    [
        ("", "", True),
        ("2026-01-02", "", True),
        ("2026-01-02T12:00:00Z", "", True),
        ("2026-01-02T12:00:00.000001Z", "", False),
        ("", "2026-01-02T12:00:00Z", False),
        ("", "2026-01-02T15:00:00+02:00", True),
    ],
)
def test_a_window_includes_its_beginning_and_not_its_end(since, until, held):
    assert Window(since, until).holds("2026-01-02T12:00:00Z") is held


def test_a_window_refuses_what_is_no_time():
    with pytest.raises(Rejected, match="'yesterday' is not a time"):
        Window("yesterday")


def test_a_record_has_the_fields_of_the_format_in_order():
    message = Message("id", "a-1", "T", 0, 9, {"x": 1}, None, "2026-01-02T12:00:00.5Z")

    assert record_of(message) == (
        b'{"id":"id","stream":"a-1","type":"T","pos":0,"gpos":9,"data":{"x":1},"meta":null,"time":"2026-01-02T12:00:00.5Z"}'
    )
    assert list(records([message], Window(until="2026-01-02"))) == []
