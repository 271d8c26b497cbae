"""Units that change state, through the log."""

from __future__ import annotations

import pytest
import trio

from appliance.errors import Conflict, LimitReached
from appliance.log import writer as writer_module
from appliance.model.event import Unit
from appliance.model.state import StateChange, StateCheck
from appliance.storage.sqlite import SqliteEngine
from tests.rooms.log.test_log import TOKEN, a_log, draft, gated


def change(key: str, value: str = "1") -> StateChange:
    return StateChange(1, "notes", key, value, index=(("is", "x"),))


async def test_changes_of_state_are_committed_with_their_events_and_count_in_a_batch(monkeypatch):
    monkeypatch.setattr(writer_module, "BATCH_ROWS", 4)
    engine = gated()
    async with a_log(engine) as log:
        first = log.submit(Unit(1, (draft(),), changes=(change("a"),)))
        await trio.to_thread.run_sync(engine.entered.wait)
        rest = [log.submit(Unit(1, (draft(),), changes=(change(key),))) for key in "bcd"]

        engine.gate.set()
        for ticket in (first, *rest):
            await ticket

        assert engine.batches == [1, 2, 1]
        assert [row.key for row in engine.states(1, "notes")] == ["a", "b", "c", "d"]


async def test_changes_without_events_are_answered_and_publish_nothing():
    async with a_log() as log:
        events = await log.submit(Unit(1, (), changes=(change("a"),)))
        found = await log.reading(lambda reader: reader.state(1, "notes", "a"))

        assert (events, log.published, log.waiting) == ((), [], 0)
        assert found is not None
        with pytest.raises(Conflict, match="notes/a is at version"):
            await log.submit(Unit(1, (draft(),), checks=(StateCheck(1, "notes", "a", found.version + 1),)))
        assert log.head_position(1) == 0


async def test_commit_of_changes_alone_is_sealed_before_it_is_answered(tmp_path):
    engine = SqliteEngine.open(tmp_path)
    engine.create_namespace("default", "", TOKEN, 1)
    sealed: list[object] = []
    seal = engine.seal
    engine.seal = lambda mark: (sealed.append(mark), seal(mark))[1]  # type: ignore[method-assign]
    async with a_log(engine) as log:
        await log.submit(Unit(1, (), changes=(change("a"),)))

        assert (len(sealed), log.written.commits, log.written.events) == (1, 1, 0)


async def test_characters_of_changes_count_among_those_that_wait(monkeypatch):
    monkeypatch.setattr(writer_module, "QUEUE_CHARACTERS", 1000)
    engine = gated()
    async with a_log(engine) as log:
        begun = log.submit(Unit(1, (draft(),)))
        await trio.to_thread.run_sync(engine.entered.wait)
        wide = log.submit(Unit(1, (), changes=(change("a", "x" * 2000),)))

        with pytest.raises(LimitReached, match="too many writes"):
            await log.submit(Unit(1, (draft(),)))
        engine.gate.set()
        await begun
        await wide
