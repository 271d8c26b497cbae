"""The benchmark drives the real server in every way it judges, and its figures are whole.

How fast is no question for a test: machines are noisy, and these run beside others. The floors stand beside the
figures they print, and `make load` judges goals that lie above them.
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


def told(sample: Sample, what: str, floor: str) -> Sample:
    print(f"{what}: {sample.rate:,.0f}/s, p50 {sample.p50_ms:.2f} ms, p95 {sample.p95_ms:.2f} ms; floor {floor}")
    return sample


def whole(sample: Sample) -> bool:
    """Whether something was counted, and counted sensibly. `drive` raises if any answer was an error."""
    return sample.count > 0 and sample.rate > 0 and 0 < sample.p50_ms <= sample.p95_ms <= sample.p99_ms


def test_appends_are_driven_and_counted(server: Started):
    """MDB003_4A_T1 MDB003_4A_T5"""
    load = Load(requests.http(requests.append(), server.token), connections=16)

    assert whole(told(drive(server, load, seconds=0.5), "append", "p95 10 ms and 1,000 a second"))


def test_reads_of_a_stream_are_driven_and_counted(server: Started, filled: Filled):
    """MDB003_4A_T2"""
    load = Load(requests.http(requests.read_stream(filled.streams, positions=300), server.token), connections=4)

    assert whole(told(drive(server, load, seconds=0.5), "read of 100", "p95 20 ms"))


def test_reads_of_a_category_are_driven_and_counted(server: Started, filled: Filled):
    """MDB003_4A_T3"""
    load = Load(requests.http(requests.read_category(filled.reachable, group=4), server.token), connections=4)

    assert whole(told(drive(server, load, seconds=0.5), "category of 100", "p95 30 ms"))


def test_pokes_are_timed_from_the_write_to_the_reader(server: Started):
    """MDB003_4A_T4"""
    stream = f"poke-{time.time_ns()}"
    write = requests.http(requests.append(stream), server.token)
    load = Load(write, subscribe=requests.subscribe(stream, server.token))

    assert whole(told(drive(server, load, seconds=0.5), "poke", "p95 5 ms"))
