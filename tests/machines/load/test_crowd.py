"""From the generator's one line to figures, and what the endpoints promise it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.load.crowd import EVENT, Crowd, tally
from tests.load.endpoints import ENDPOINTS
from tests.load.machine import Started

SAID: dict[str, Any] = {
    "codes": {"1012": 3},
    "latency": {"count": 1990, "p50_us": 1500.0, "p95_us": 2500.0, "p99_us": 3500.0, "max_us": 9000.0},
    "seconds": 1.0,
    "rate": 2000.0,
    "events": 20,
    "delivered": 1990,
    "gaps": 4,
    "doubles": 1,
    "missing": 6,
    "open_s": 0.5,
    "kib_before": 10240.0,
    "kib_open": 11240.0,
    "kib_most": 20480.0,
    "cpu_s": 0.02,
    "counted": 2000,
    "busy": 0.5,
    "drops": 7,
    "comebacks": 8,
    "refused": 2,
    "lost": 3,
    "back_s": 1.25,
    "cut": 9,
    "open": 100,
}


def test_figures_have_the_units_they_are_shown_in():
    seen = tally(json.dumps(SAID), Crowd(100, rate=20))

    assert (seen.p50_ms, seen.p95_ms, seen.p99_ms) == (1.5, 2.5, 3.5)
    assert seen.cpu_us == pytest.approx(10.0)
    assert (seen.kib, seen.before_mib, seen.most_mib) == (10.0, 10.0, 20.0)
    assert (seen.cut_by_server, seen.cut_stalled, seen.codes) == (3, 9, {1012: 3})


def test_lost_is_what_was_skipped_and_what_never_came():
    seen = tally(json.dumps(SAID), Crowd(100, rate=20))

    assert seen.lost == 10
    assert seen.figures()["lost"] == 10


def test_a_run_that_counted_nothing_has_no_time_per_delivery():
    seen = tally(json.dumps(SAID | {"counted": 0}), Crowd(100, rate=20))

    assert seen.cpu_us == 0.0


def test_an_event_is_160_bytes_of_json():
    text = EVENT.replace("{n}", "1000000007").replace("{t}", "1000000000000000")

    assert len(text) == 160
    assert json.loads(text)["n"] == 1_000_000_007


@pytest.mark.parametrize("who", ENDPOINTS)
def test_every_event_is_sent_with_number_and_time_to_the_channel_of_its_readers(who: str):
    endpoint = ENDPOINTS[who](Started(who, 1, 1, "secret"))

    assert EVENT in endpoint.item
    assert endpoint.publish in {"ws", "http", "resp"}
    assert ("Bearer secret" in endpoint.subscribe) == who.startswith("appliance")
    assert endpoint.publish != "http" or "{length}" in endpoint.head
    for head in (endpoint.subscribe, endpoint.again, endpoint.hello):
        assert not head or head.endswith("\r\n\r\n")
    said = endpoint.again + endpoint.greeting_again
    assert not said or ("{since}" in said) != ("{last}" in said)
