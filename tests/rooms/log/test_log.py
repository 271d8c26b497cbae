"""The log service over the engine in memory, and where it matters over SQLite."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from appliance.errors import Broken, Duplicate, LimitReached, Unavailable, VersionConflict
from appliance.log import Log
from appliance.log import writer as writer_module
from appliance.log.ticket import Ticket
from appliance.model.event import Draft, Event, Imported, Query, Unit
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import Committed, Engine, TokenRow
from appliance.storage.sqlite import SqliteEngine
from appliance.world import RealWorld

TOKEN = TokenRow("t", b"t", 0, ("admin",))


@asynccontextmanager
async def a_log(engine: Engine | None = None, *, retention: dict[str, float] | None = None) -> AsyncIterator[Log]:
    published: list[Event] = []
    engine = engine or an_engine()
    log = Log(engine, RealWorld(), published.extend, retention=retention)
    log.published = published  # type: ignore[attr-defined]
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        yield log
        nursery.cancel_scope.cancel()


def an_engine() -> MemoryEngine:
    engine = MemoryEngine()
    engine.create_namespace("default", "", TOKEN, 1)
    return engine


def draft(stream: str = "order-1", **about: object) -> Draft:
    return Draft(stream, "Happened", "{}", **about)  # type: ignore[arg-type]


class Gated(MemoryEngine):
    """Commits when told."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.batches: list[int] = []
        self.faults: list[Exception] = []

    def commit(self, units: Sequence[Unit], *, now_us: int, new_ids: Iterator[str]) -> Committed:
        self.batches.append(len(units))
        self.entered.set()
        self.gate.wait(5)
        if self.faults:
            raise self.faults.pop(0)
        return super().commit(units, now_us=now_us, new_ids=new_ids)


def gated() -> Gated:
    engine = Gated()
    engine.create_namespace("default", "", TOKEN, 1)
    return engine


async def test_append_answers_with_its_events_after_they_were_published():
    async with a_log() as log:
        events = await log.append(1, [draft(), draft()])

        assert [(event.position, event.global_position) for event in events] == [(0, 1), (1, 2)]
        assert log.published == [*events]
        assert (log.peek_version(1, "order-1"), log.head_position(1), log.waiting) == (1, 2, 0)


async def test_appends_that_arrive_during_a_commit_form_the_next_batch():
    engine = gated()
    async with a_log(engine) as log:
        first = log.submit(Unit(1, (draft(),)))
        await trio.to_thread.run_sync(engine.entered.wait)
        rest = [log.submit(Unit(1, (draft(),))) for _ in range(10)]

        engine.gate.set()
        positions = [(await ticket)[0].position for ticket in [first, *rest]]

        assert (engine.batches, positions) == ([1, 10], [*range(11)])


async def test_a_unit_that_conflicts_fails_alone():
    async with a_log() as log:
        tickets = [log.submit(Unit(1, (draft(expected_version=version),))) for version in (-1, 5, 0)]

        assert (await tickets[0])[0].position == 0
        with pytest.raises(VersionConflict, match="at version 0, not 5"):
            await tickets[1]
        assert (await tickets[2])[0].position == 1


async def test_a_caller_that_gives_up_does_not_take_its_append_along():
    engine = gated()
    async with a_log(engine) as log:
        with trio.move_on_after(0.01):
            await log.append(1, [draft()])
        engine.gate.set()
        await log.append(1, [draft()])

        assert len(await log.events(Query(1))) == 2


async def test_a_full_disk_refuses_writes_while_reads_go_on_and_then_recovers():
    engine = gated()
    engine.gate.set()
    async with a_log(engine) as log:
        await log.append(1, [draft()])
        engine.faults.append(Unavailable("the disk is full"))

        with pytest.raises(Unavailable, match="disk is full"):
            await log.append(1, [draft()])

        assert len(await log.events(Query(1))) == 1
        assert (await log.append(1, [draft()]))[0].position == 1


async def test_what_the_last_commit_failed_for_is_known_until_something_is_written_again():
    engine = gated()
    engine.gate.set()
    async with a_log(engine) as log:
        engine.faults += [Unavailable("the disk is full"), Unavailable("the disk is still full")]
        with pytest.raises(Unavailable):
            await log.append(1, [draft()])
        with pytest.raises(Unavailable, match="still full"):
            await log.probe()
        trouble = log.trouble

        await log.probe()

        assert trouble is not None
        assert log.trouble is None
        assert await log.events(Query(1)) == []


async def test_how_long_a_commit_took_is_told_once():
    took: list[float] = []
    engine = gated()
    log = Log(engine, RealWorld(), lambda events: None, took=took.append)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        first = log.submit(Unit(1, (draft(),)))
        assert await trio.to_thread.run_sync(engine.entered.wait, 10)
        engine.gate.set()
        await first
        nursery.cancel_scope.cancel()

    assert len(took) == 1
    assert 0 < took[0] < 10


async def test_a_failed_sync_ends_the_service_and_acknowledges_nothing():
    engine = gated()
    engine.gate.set()
    engine.faults.append(Broken("could not be synced"))
    log = Log(engine, RealWorld(), lambda events: None)
    refused: list[Exception] = []

    async def write() -> None:
        try:
            await log.append(1, [draft()])
        except Broken as error:
            refused.append(error)

    with pytest.raises(ExceptionGroup) as crash:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            nursery.start_soon(write)

    assert crash.group_contains(Broken)
    assert len(refused) == 1


async def test_drain_refuses_new_writes_and_finishes_those_begun():
    engine = gated()
    async with a_log(engine) as log:
        ticket = log.submit(Unit(1, (draft(),)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.drain)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(Unavailable, match="stopping"):
                await log.append(1, [draft()])
            engine.gate.set()

        assert (await ticket)[0].position == 0


async def test_too_many_waiting_writes_are_refused_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer_module, "QUEUE_UNITS", 3)
    engine = gated()
    async with a_log(engine) as log:
        begun = log.submit(Unit(1, (draft(),)))
        await trio.to_thread.run_sync(engine.entered.wait)

        accepted = [log.submit(Unit(1, (draft(),))) for _ in range(3)]
        with pytest.raises(LimitReached, match="too many writes"):
            await log.submit(Unit(1, (draft(),)))
        engine.gate.set()

        assert [(await ticket)[0].position for ticket in [begun, *accepted]] == [0, 1, 2, 3]


async def test_control_runs_between_commits_in_its_turn():
    async with a_log() as log:
        before = log.submit(Unit(1, (draft(),)))
        count = await log.control(lambda engine: engine.clear_namespace(1))
        log.forget(1)

        assert (count, (await before)[0].position) == (1, 0)
        assert (await log.append(1, [draft()]))[0].global_position == 1


async def test_control_hands_on_what_the_engine_refuses():
    async with a_log() as log:
        with pytest.raises(Duplicate):
            await log.control(lambda engine: engine.create_namespace("default", "", TOKEN, 1))


async def test_imports_keep_positions_and_are_published():
    async with a_log() as log:
        record = Imported("order-1", "Happened", 4, 9, "0190a5b0-0000-7000-8000-000000000001", "{}", None, 5)

        events = await log.import_batch(1, [record])

        assert log.published == [*events]
        assert (events[0].position, events[0].global_position, log.peek_version(1, "order-1")) == (4, 9, 4)
        with pytest.raises(Duplicate):
            await log.import_batch(1, [record])


async def test_version_comes_from_memory_once_asked_for():
    async with a_log() as log:
        await log.append(1, [draft("a-1")])

        assert log.peek_version(1, "b-1") is None
        assert await log.head(1, "b-1") is None
        assert log.peek_version(1, "b-1") == -1


async def test_version_that_is_read_while_something_is_written_is_not_remembered():
    """It may be on disk and not shown yet: whoever then listens from there on would miss it."""
    engine = gated()
    async with a_log(engine) as log:
        engine.gate.set()
        await log.append(1, [draft("a-1")])
        engine.gate.clear()
        engine.entered.clear()
        writing = log.submit(Unit(1, (draft("a-1"),)))
        await trio.to_thread.run_sync(engine.entered.wait)

        await log.head(1, "b-1")
        known = log.peek_version(1, "b-1")
        engine.gate.set()
        await writing
        await log.head(1, "b-1")

        assert (known, log.peek_version(1, "b-1")) == (None, -1)


async def test_retention_removes_old_events_and_keeps_versions(autojump_clock: trio.testing.MockClock):
    engine = an_engine()
    engine.import_batch(1, [Imported("tele-1", "T", n, n + 1, str(n), "{}", None, 5) for n in range(1200)])
    log = Log(engine, RealWorld(), lambda events: None, retention={"tele": 60.0})
    calls: list[str] = []

    async def control(work):
        calls.append("slice")
        return work(engine)

    async def reading(work):
        return work(engine.reader())

    removed = await log.retention.sweep(control, reading)

    assert removed == 1200
    assert len(calls) >= 4  # receipts, then slices
    head = engine.reader().head(1, "tele-1")
    assert head is not None
    assert head.version == 1199


async def test_retention_of_unnamed_categories_is_the_default(autojump_clock: trio.testing.MockClock):
    engine = an_engine()
    records = [Imported(f"{name}-1", "T", 0, n, name, "{}", None, 5) for n, name in enumerate(("kept", "other"), 1)]
    engine.import_batch(1, records)
    log = Log(engine, RealWorld(), lambda events: None, retention={"kept": 1e12})
    log.retention.default = 60.0

    async def control(work):
        return work(engine)

    async def reading(work):
        return work(engine.reader())

    assert await log.retention.sweep(control, reading) == 1
    assert [event.stream for event in engine.reader().events(Query(1))] == ["kept-1"]


async def test_restart_goes_on_where_it_was(tmp_path: Path):
    engine = SqliteEngine.open(tmp_path)
    engine.create_namespace("default", "", TOKEN, 1)
    async with a_log(engine) as log:
        await log.append(1, [draft(), draft()])

    async with a_log(SqliteEngine.open(tmp_path)) as log:
        assert log.head_position(1) == 2
        assert (await log.append(1, [draft()]))[0].position == 2


async def test_ticket_hands_over_result_error_and_late_results():
    done: Ticket[int] = Ticket()
    done.resolve(3)
    failed: Ticket[int] = Ticket()
    failed.fail(Unavailable("no"))

    assert await done == 3
    with pytest.raises(Unavailable):
        await failed


async def test_ticket_tells_once_and_on_the_spot():
    calls: list[int] = []
    early: Ticket[int] = Ticket()
    late: Ticket[int] = Ticket()

    early.tell(lambda: calls.append(early.result()))
    before = list(calls)
    early.resolve(1)
    late.resolve(2)
    late.tell(lambda: calls.append(late.result()))

    assert (before, calls, early.done) == ([], [1, 2], True)


async def test_whoever_awaits_a_ticket_takes_the_place_of_whoever_wanted_to_be_told():
    calls: list[str] = []
    ticket: Ticket[int] = Ticket()
    ticket.tell(lambda: calls.append("told"))
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            calls.append(f"awaited {await ticket}")

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        ticket.resolve(1)

    assert calls == ["awaited 1"]


async def test_appends_of_one_stretch_are_one_batch_and_begin_when_it_ends():
    engine, world = gated(), RealWorld()
    engine.gate.set()
    log = Log(engine, world, lambda _: None)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        with world.gathering():
            tickets = [log.submit(Unit(1, (draft(),))) for _ in range(10)]
            early = engine.entered.wait(0.05)
        for ticket in tickets:
            await ticket
        nursery.cancel_scope.cancel()

    assert not early
    assert engine.batches == [10]


async def test_reads_are_spread_over_readers_and_all_answered(tmp_path: Path):
    engine = SqliteEngine.open(tmp_path)
    engine.create_namespace("default", "", TOKEN, 1)
    async with a_log(engine) as log:
        await log.append(1, [draft(f"order-{n}") for n in range(100)])
        counts: list[int] = []

        async def read(number: int) -> None:
            counts.append((await log.page(Query(1, stream=f"order-{number}", limit=10))).count)

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(read, number)

        assert counts == [1] * 100


async def test_a_read_that_fails_reaches_its_caller_only(tmp_path: Path):
    async with a_log() as log:

        def broken(reader: object) -> int:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await log.reading(broken)
        assert await log.events(Query(1)) == []
