from random import Random

import msgspec
import pytest

from appliance.client.follow import Backoff, Following, Ready, Tail
from appliance.client.paging import Pages, boundary, reader_of
from appliance.client.replies import Unreachable
from appliance.client.shapes import Message, Poke, Topic
from appliance.client.sse import Comment, Frame
from appliance.errors import Forbidden, Unavailable


def poke(stream, position, place):
    return Frame(f'{{"stream":"{stream}","position":{position},"globalPosition":{place}}}', "poke")


def message(stream, position, place):
    return Message(f"id-{place}", stream, "T", position, place, {}, None, "2026-01-01T00:00:00Z")


EVERYTHING = Topic()


def following(topic=EVERYTHING, position=1):
    return Following(topic, position, Backoff(Random(7)))


def test_waits_double_up_to_a_bound_and_stay_within_their_jitter():
    backoff = Backoff(Random(7), first=0.1, longest=1.0)

    waits = [backoff.wait() for _ in range(6)]

    for wait, full in zip(waits, (0.1, 0.2, 0.4, 0.8, 1.0, 1.0), strict=True):
        assert full / 2 <= wait <= full


def test_a_connection_that_works_starts_the_waits_afresh():
    backoff = Backoff(Random(7))
    for _ in range(30):
        backoff.wait()

    backoff.worked()

    assert backoff.wait() <= 0.1


def test_a_subscription_goes_on_after_the_last_poke():
    follow = following(Topic("a-1"), 0)

    seen = [follow.took(frame) for frame in (Comment("ready"), poke("a-1", 0, 10), poke("a-1", 1, 14))]

    assert seen == [Ready(), Poke("a-1", 0, 10), Poke("a-1", 1, 14)]
    assert follow.call().target == "/subscribe?stream=a-1&position=2"


def test_a_poke_that_comes_again_after_a_reconnect_is_dropped():
    follow = following()
    follow.took(poke("a-1", 0, 10))

    assert [follow.took(poke("a-1", 0, 10)), follow.took(poke("b-1", 0, 11))] == [None, Poke("b-1", 0, 11)]


def test_comments_and_other_events_mean_nothing_but_life():
    follow = following()
    follow.backoff.failures = 5

    assert [follow.took(Comment("")), follow.took(Frame("{}", "other"))] == [None, None]
    assert follow.backoff.failures == 0


def test_readiness_alone_does_not_shorten_the_waits():
    follow = following()
    follow.backoff.failures = 5

    follow.took(Comment("ready"))

    assert follow.backoff.failures == 5


def test_the_first_connection_must_succeed():
    with pytest.raises(Unreachable):
        following().lost(Unreachable("nobody"))


def test_a_lost_connection_is_tried_again_but_a_refusal_is_not():
    follow = following()
    follow.connected()

    waits = [follow.lost(None), follow.lost(Unreachable("gone")), follow.lost(Unavailable("soon", retry_after=9))]

    assert waits[0] <= 0.1
    assert waits[1] <= 0.2
    assert waits[2] == 9
    with pytest.raises(Forbidden):
        follow.lost(Forbidden("no longer"))


def test_a_tail_reads_from_where_it_is_and_skips_covered_pokes():
    tail = Tail(Topic(categories=("a",)), 5)

    pages = tail.pages(Ready())
    first = pages.next()
    kept = pages.took([message("a-1", 0, 5), message("a-2", 0, 9)])

    assert read([message("a-1", 0, 4), message("a-1", 1, 6)], tail.topic, first) == [message("a-1", 1, 6)]
    assert kept == [message("a-1", 0, 5), message("a-2", 0, 9)]
    assert tail.pages(Poke("a-2", 0, 9)) is None
    assert tail.pages(Poke("a-1", 1, 12)).position == 10


def test_a_tail_of_several_categories_skips_what_others_wrote():
    tail = Tail(Topic(categories=("a", "b")), 1)

    pages = tail.pages(Poke("b-1", 0, 70))
    kept = pages.took([message("b-1", 0, 70), message("c-1", 0, 71)])

    assert (pages.position, kept, tail.position) == (72, [message("b-1", 0, 70)], 72)


def test_a_tail_of_a_stream_counts_stream_positions():
    tail = Tail(Topic("a-1"), 0)

    tail.pages(Ready()).took([message("a-1", 0, 50), message("a-1", 1, 60)])

    assert tail.position == 2


def read(messages, topic, operation):
    """What a server holding `messages` answers."""
    method, name, options = msgspec.json.decode(operation.call.body)
    found = [
        m
        for m in messages
        if (m.stream == name if method == "stream.get" else name in ("", m.stream.partition("-")[0]))
        and topic.place(m) >= options["position"]
    ]
    return found[: options["batchSize"]]


@pytest.mark.parametrize(
    ("limit", "batch", "count", "reads"), [(None, 2, 5, 3), (4, 2, 4, 2), (3, 2, 3, 2), (0, 2, 0, 0), (None, 5, 5, 2)]
)
def test_pages_go_on_until_one_is_short_or_the_limit_is_reached(limit, batch, count, reads):
    stored = [message("a-1", n, n + 10) for n in range(5)]
    topic = Topic("a-1")
    pages = Pages(reader_of(topic), topic.place, 0, limit, batch)

    got, asked = [], 0
    while (operation := pages.next()) is not None:
        page = read(stored, topic, operation)
        pages.took(page)
        got, asked = got + page, asked + 1

    assert (got, asked) == (stored[:count], reads)


def found(stored, topic, before):
    steps, reads = boundary(topic, before), 1
    operation = next(steps)
    while True:
        try:
            operation = steps.send(read(stored, topic, operation))
        except StopIteration as end:
            return end.value, reads
        reads += 1


def test_the_boundary_is_found_for_every_size_and_with_gaps():
    topic = Topic()
    for size in range(20):
        stored = [message("a-1", n, 1 + n * 3) for n in range(size)]
        for cut in range(size + 1):
            (low, place), _ = found(stored, topic, lambda m, cut=cut: m.position < cut)

            assert low == (stored[cut - 1] if cut else None)
            assert [m for m in stored if m.global_position >= place] == stored[cut:]


def test_the_end_of_a_long_log_takes_few_reads():
    stored = [message("a-1", n, n + 1) for n in range(5000)]

    (low, place), reads = found(stored, Topic(), lambda m: True)

    assert (low.global_position, place) == (5000, 5001)
    assert reads < 30
