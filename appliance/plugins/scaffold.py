"""`plugin new NAME`: a plugin that runs, with a test that passes, to be changed from there."""

from __future__ import annotations

from pathlib import Path

from appliance.api import API
from appliance.errors import Duplicate, Rejected
from appliance.plugins.manifest import FILE, check_name

__all__ = ["scaffold"]

MANIFEST = """\
name = "NAME"
version = "0.1"
api = API
module = "plugin"
summary = "Greets whoever arrives."
"""

MODULE = '''\
"""CLASS: say in one sentence what somebody gains from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from appliance.api import Context, Event, Job, NotFound, Plugin, Receipt, Rejected, Request


@dataclass(frozen=True)
class Config:
    greeting: str = "hello"  # what guests are told
    longest: int = 100  # characters of a guest's name


plugin = Plugin("NAME", config=Config)


@plugin.event(stream="NAME-{guest}", retention="2d")
class CLASSArrived:
    guest: str
    visits: int


@plugin.route("PUT", "/api/v1/NAME/{guest}", scope="write", answer=Receipt)
async def arrive(ctx: Context[Config], guest: str) -> Receipt:
    """Somebody arrives."""
    if len(guest) > ctx.config.longest:
        raise Rejected(f"a name has up to {ctx.config.longest} characters", hint="take a shorter one")
    async with ctx.transaction() as tx:  # what is kept and its event: both, or neither
        known = await tx.get(guest) or {"visits": 0}
        tx.put(guest, known | {"visits": known["visits"] + 1})
        receipt = tx.emit(CLASSArrived(guest, known["visits"] + 1))
    return receipt  # its position is known now


@plugin.route("GET", "/api/v1/NAME/{guest}", scope="read")
async def show(ctx: Context[Config], request: Request, guest: str) -> dict[str, Any]:
    """What is known of a guest."""
    known: dict[str, Any] | None = await ctx.get(guest)
    if known is None:
        raise NotFound(f"{guest} was never here", hint=f"send PUT {request.path}")
    return known


@plugin.on(CLASSArrived, when="data.visits == 1")
async def welcome(ctx: Context[Config], event: Event[CLASSArrived]) -> None:
    await ctx.enqueue(write_card, guest=event.data.guest, key=event.id)  # once per event


@plugin.job(retry="1s 5s 30s", timeout=10.0)
async def write_card(ctx: Context[Config], job: Job, guest: str) -> dict[str, str]:
    """A card for a new guest: slow work belongs into jobs."""
    card = f"{ctx.config.greeting}, {guest}!"
    await job.progress(50, "written")
    async with ctx.transaction() as tx:
        tx.put(guest, (await tx.get(guest)) | {"card": card})
    return {"card": card}


@plugin.panel("CLASS")
async def panel(ctx: Context[Config]) -> dict[str, Any]:
    return {"guests": await ctx.count()}
'''

TEST = '''\
"""Runs the plugin without a server; under the mock clock nothing waits."""

from pathlib import Path

import trio
from trio.testing import MockClock

from appliance.testing import harness

FOLDER = Path(__file__).parents[1]


def test_a_guest_is_counted_announced_and_gets_a_card_once():
    async def story():
        async with harness(FOLDER, {"greeting": "welcome"}) as app:
            await app.request("PUT", "/api/v1/NAME/anna")
            await app.request("PUT", "/api/v1/NAME/anna")
            cards = await app.run_jobs()
            reply = await app.request("GET", "/api/v1/NAME/anna")
            arrived = [await app.wait_for("CLASSArrived") for _ in range(2)]
            return reply.json(), [event.visits for event in arrived], cards

    known, visits, cards = trio.run(story, clock=MockClock(autojump_threshold=0))

    assert known == {"visits": 2, "card": "welcome, anna!"}
    assert visits == [1, 2]
    assert cards == [{"card": "welcome, anna!"}]


def test_what_cannot_be_is_refused_and_nothing_is_kept():
    async def story():
        async with harness(FOLDER) as app:
            long = await app.request("PUT", "/api/v1/NAME/" + "x" * 101)
            missing = await app.request("GET", "/api/v1/NAME/nobody")
            return long.status, missing.status, await app.panel("CLASS")

    assert trio.run(story, clock=MockClock(autojump_threshold=0)) == (422, 404, {"guests": 0})
'''

README = """\
# NAME

Greets whoever arrives: a plugin to start from. It has a route that keeps something and announces it, a consumer of that
event, a job, and a panel.

It runs when `plugins_path` in the configuration names the folder above this one, and there is a table:

```toml
[plugins.NAME]
greeting = "hello"   # what guests are told
longest  = 100       # characters of a guest's name
```

- `appliance plugin check NAME`: would it start? Looks at manifest, import, doors and configuration.
- `appliance serve --dev`: loads it afresh whenever it is saved.
- `appliance plugin show NAME`: its routes, events, jobs and configuration, and how it does.
- `appliance subscribe NAME`: its events, as they come.
- `appliance event why NAME-anna`: what became of the newest event of that stream.
- `python -m pytest NAME`: its tests, where the appliance is installed.
"""


def scaffold(name: str, parent: Path) -> Path:
    """Write the folder `parent/name` with manifest, module, README and a passing test.

    Raises:
        Rejected: no plugin can have this name.
        Duplicate: there is something in that place.
    """
    try:
        check_name(name)
    except ValueError as error:
        raise Rejected(str(error), hint='choose one like "big_orders"') from error
    folder = parent / name
    if folder.exists():
        raise Duplicate(f"{folder} exists already", hint="choose another name, or remove it")
    (folder / "tests").mkdir(parents=True)
    words = {"NAME": name, "CLASS": "".join(part.capitalize() for part in name.split("_")), "API": str(API)}
    for path, text in {
        FILE: MANIFEST,
        "plugin.py": MODULE,
        "README.md": README,
        f"tests/test_{name}.py": TEST,
    }.items():
        for word, value in words.items():
            text = text.replace(word, value)
        (folder / path).write_text(text, encoding="utf-8")
    return folder
