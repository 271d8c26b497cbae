"""The shelf of the dead over an engine in memory, with kinds that are functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import pytest
import trio

from appliance.egress.dead_letters.service import DeadLetters
from appliance.egress.dead_letters.wishes import Choice, Chosen
from appliance.errors import NotFound, Rejected, Unavailable
from appliance.model.letters import Letter
from appliance.storage.memory import MemoryEngine
from appliance.storage.ports import Engine, Reader, TokenRow

T = TypeVar("T")


class Log:
    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.engine.create_namespace("default", "", TokenRow("t", b"t", 0, ("admin",)), 1)
        self.engine.create_namespace("other", "", TokenRow("u", b"u", 0, ("admin",)), 1)

    async def reading(self, work: Callable[[Reader], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work(cast(Reader, self.engine))

    async def control(self, work: Callable[[Engine], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work(cast(Engine, self.engine))


def letter(n: int, kind: str = "webhook", source: str = "w1") -> Letter:
    return Letter(f"{n:04}", kind, source, f"e{n}", "NoteUpdated", n, "server", 1_000_000 * n)


async def a_shelf(*letters: Letter) -> DeadLetters:
    shelf = DeadLetters(Log())
    for one in letters:
        await shelf.put(1, one)
    return shelf


def ids(letters: list[Letter]) -> list[str]:
    return [one.id for one in letters]


async def test_letters_of_all_kinds_lie_there_in_the_order_of_their_death():
    shelf = await a_shelf(letter(2, "job", "Embedding"), letter(1), letter(3, source="w2"))

    everything = ids(await shelf.some(1, Choice()))
    jobs = ids(await shelf.some(1, Choice(kind="job")))
    second = ids(await shelf.some(1, Choice(source="w2")))
    about = ids(await shelf.some(1, Choice(event="e1")))

    assert (everything, jobs, second, about) == (["0001", "0002", "0003"], ["0002"], ["0003"], ["0001"])
    assert await shelf.some(2, Choice()) == []


async def test_a_letter_comes_back_as_it_was_put():
    whole = Letter("1", "job", "Embedding", "e", "t", 3, "crash", 5, 2, 503, "d", "j", "Traceback…")
    shelf = await a_shelf(whole)

    assert await shelf.one(1, "1") == whole


async def test_who_serves_a_kind_tries_it_again_and_what_could_not_be_tried_stays():
    shelf = await a_shelf(letter(1), letter(2), letter(3, "job"), letter(4, "plugin"))
    asked: list[str] = []

    async def webhook(namespace: int, one: Letter) -> bool:
        asked.append(f"{namespace} {one.id}")
        return one.id == "0001"

    async def job(namespace: int, one: Letter) -> bool:
        return True

    shelf.serve("webhook", webhook)
    shelf.serve("job", job)
    done = await shelf.retry(1, await shelf.some(1, Choice()))

    assert (done, sorted(asked)) == (2, ["1 0001", "1 0002"])
    assert ids(await shelf.some(1, Choice())) == ["0002", "0004"]  # nobody tries plugins again here


async def test_trouble_in_the_middle_keeps_what_was_not_begun_and_drops_what_was():
    shelf = await a_shelf(letter(1), letter(2))

    async def retry(namespace: int, one: Letter) -> bool:
        if one.id == "0002":
            raise Unavailable("the disk is full")
        return True

    shelf.serve("webhook", retry)
    with pytest.raises(Unavailable, match="disk is full"):
        await shelf.retry(1, await shelf.some(1, Choice()))

    assert ids(await shelf.some(1, Choice())) == ["0002"]


async def test_a_source_that_is_gone_takes_its_own_letters_along():
    shelf = await a_shelf(letter(1), letter(2, source="w2"), letter(3, "job"))

    await shelf.forget(1, "webhook", "w1")

    assert ids(await shelf.some(1, Choice())) == ["0002", "0003"]


async def test_letters_are_chosen_by_id_kind_source_or_all_and_never_by_nothing():
    shelf = await a_shelf(letter(1), letter(2, "job"), letter(3))

    async def chosen(**wish: object) -> list[str]:
        return ids(await shelf.chosen(1, Chosen(**wish)))  # type: ignore[arg-type]

    assert await chosen(ids=("0003", "0001", "0003")) == ["0001", "0003"]
    assert await chosen(kind="job") == ["0002"]
    assert await chosen(source="w1", event="e3") == ["0003"]
    assert await chosen(all=True) == ["0001", "0002", "0003"]
    with pytest.raises(Rejected, match="which"):
        await chosen()
    with pytest.raises(NotFound, match="0009"):
        await chosen(ids=("0001", "0009"))


async def test_a_thousand_letters_are_tried_again_a_few_at_a_time(autojump_clock: trio.testing.MockClock):
    shelf = await a_shelf(*(letter(n) for n in range(1000)))
    now = most = 0

    async def slow(namespace: int, one: Letter) -> bool:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await trio.sleep(1)
        now -= 1
        return True

    shelf.serve("webhook", slow)
    done = await shelf.retry(1, await shelf.some(1, Choice()))

    assert (done, most, await shelf.some(1, Choice())) == (1000, 50, [])
