"""The floors under the benchmark: a slow run of these is a broken product, not a slow machine.

The goals that `make load` judges lie far above. A floor counts the best of three rounds, since other work on the
machine can only make a round worse.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.load import requests, servers
from tests.load.data import Filled, fill
from tests.load.generator import Load, Sample, drive
from tests.load.machine import Started

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return fill(tmp_path_factory.mktemp("load") / "data", 50_000)


@pytest.fixture(scope="module")
def server(filled: Filled) -> Iterator[Started]:
    with servers.appliance(filled.folder) as started:
        yield started


def rounds(server: Started, load: Load, count: int = 3) -> list[Sample]:
    return [drive(server, load, seconds=0.5, seed=seed) for seed in range(1, count + 1)]


def best_p95(samples: list[Sample]) -> float:
    return min(sample.p95_ms for sample in samples)


def test_write_p95_is_under_10_ms_and_over_1000_writes_go_through_in_a_second(server: Started):
    """MDB003_4A_T1 MDB003_4A_T5"""
    samples = rounds(server, Load(requests.http(requests.append(), server.token), connections=16))

    assert best_p95(samples) < 10
    assert max(sample.rate for sample in samples) > 1000


def test_reading_100_events_of_a_stream_p95_is_under_20_ms(server: Started, filled: Filled):
    """MDB003_4A_T2"""
    body = requests.read_stream(filled.streams, positions=300)

    samples = rounds(server, Load(requests.http(body, server.token), connections=4))

    assert best_p95(samples) < 20


def test_reading_100_events_of_a_category_p95_is_under_30_ms(server: Started, filled: Filled):
    """MDB003_4A_T3"""
    body = requests.read_category(filled.reachable, group=4)

    samples = rounds(server, Load(requests.http(body, server.token), connections=4))

    assert best_p95(samples) < 30


def test_a_poke_comes_within_5_ms(server: Started):
    """MDB003_4A_T4"""
    samples = []
    for number in range(3):
        stream = f"poke-{time.time_ns()}-{number}"
        write = requests.http(requests.append(stream), server.token)
        load = Load(write, subscribe=requests.subscribe(stream, server.token))
        samples.append(drive(server, load, seconds=0.5))

    assert best_p95(samples) < 5
