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
summary = "Greets, again and again."
"""

MODULE = '''\
"""CLASS: say in one sentence what somebody gains from it."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.api import Context, Plugin


@dataclass(frozen=True)
class Config:
    every: float = 10.0  # seconds between two greetings
    whom: str = "world"


plugin = Plugin("NAME", summary="Greets, again and again.", config=Config)


@plugin.event(stream="NAME-{whom}", retention="2d")
class CLASSGreeted:
    whom: str
    text: str


@plugin.service
async def greet(ctx: Context[Config]) -> None:
    while True:
        receipt = await ctx.emit(CLASSGreeted(ctx.config.whom, f"hello, {ctx.config.whom}"))
        ctx.log.debug("greeted", position=receipt.position)
        await ctx.sleep(ctx.config.every)


@plugin.panel("CLASS")
async def panel(config: Config) -> dict[str, str]:
    return {"greets": config.whom}
'''

TEST = '''\
"""Runs the plugin without a server; the mock clock makes ten seconds pass at once."""

from pathlib import Path

import trio
from trio.testing import MockClock

from appliance.testing import harness

FOLDER = Path(__file__).parents[1]


def test_greets_at_once_and_again_after_the_pause():
    async def story():
        async with harness(FOLDER, {"whom": "you", "every": 10.0}) as rig:
            first = await rig.wait_for("CLASSGreeted")
            begin = rig.ctx.now()
            await rig.wait_for("CLASSGreeted")
            return first.text, rig.ctx.now() - begin

    text, pause = trio.run(story, clock=MockClock(autojump_threshold=0))

    assert text == "hello, you"
    assert pause == 10.0


def test_panel_says_whom_it_greets():
    async def story():
        async with harness(FOLDER) as rig:
            return await rig.panel("CLASS")

    assert trio.run(story, clock=MockClock(autojump_threshold=0)) == {"greets": "world"}
'''

README = """\
# NAME

Greets, again and again: a plugin to start from.

It runs when `plugins_path` in the configuration names the folder above this one, and there is a table:

```toml
[plugins.NAME]
every = 10.0     # seconds between two greetings
whom  = "world"
```

    appliance plugin check NAME      # before: manifest, import, doors, config
    appliance subscribe NAME         # after: its events, live
    python -m pytest NAME            # its tests, where the appliance is installed
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
