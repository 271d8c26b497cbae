from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from appliance.config.load import load
from appliance.config.reload import Reloader, when_saved
from appliance.config.schema import Settings
from appliance.errors import ConfigError


class Rig:
    """A reloader over a file, and what it applied."""

    def __init__(self, file: Path, text: str) -> None:
        self.file = file
        self.levels: list[str] = []
        self.refuse = False
        self.renewed = 0
        self.write(text)
        self.reloader = Reloader(load(file, environ={}, flags={}), {"telemetry": self.apply}, (self.renew,))

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def apply(self, settings: Settings) -> None:
        self.levels.append(settings.telemetry.level)

    def renew(self) -> None:
        if self.refuse:
            raise ConfigError("cannot use leaf.crt")
        self.renewed += 1

    @property
    def names(self) -> tuple[list[str], list[str]] | None:
        found = self.reloader.reload()
        return found and ([".".join(p) for p in found.live], [".".join(p) for p in found.restart])


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path / "appliance.toml", 'name = "a"\n[telemetry]\nlevel = "info"\n')


def test_what_can_be_applied_is_and_the_rest_is_named(rig):
    rig.write('name = "b"\n[telemetry]\nlevel = "debug"\nlog = "json"\n')

    found = rig.names

    assert found == (["telemetry.level", "telemetry.log"], ["name"])
    assert (rig.levels, rig.renewed) == (["debug"], 1)


def test_what_waits_for_a_restart_is_named_by_every_reload_until_then(rig):
    rig.write('name = "b"\n[telemetry]\nlevel = "debug"\n')

    found = [rig.names, rig.names]
    rig.write('name = "a"\n[telemetry]\nlevel = "debug"\n')
    found.append(rig.names)

    assert found == [(["telemetry.level"], ["name"]), ([], ["name"]), ([], [])]
    assert rig.reloader.loaded.settings.telemetry.level == "debug"


def test_a_wrong_file_changes_nothing_and_says_why(rig, capsys):
    rig.write('[telemetry]\nlevel = "debug"\nlog = "xml"\n')

    found = rig.names

    assert found is None
    assert (rig.levels, rig.renewed) == ([], 0)
    told = capsys.readouterr().out
    assert "configuration is wrong, nothing changed" in told
    assert 'telemetry.log: "xml" is none of' in told


def test_a_bad_certificate_changes_nothing_either(rig):
    rig.refuse = True
    rig.write('[telemetry]\nlevel = "debug"\n')

    assert rig.names is None
    assert rig.levels == []


def test_a_live_value_that_goes_from_the_file_is_the_default_again(rig):
    rig.write('name = "a"\n[telemetry]\nlevel = "debug"\n')
    rig.names  # noqa: B018
    rig.write('name = "a"\n')

    found = rig.names

    assert (found, rig.levels) == ((["telemetry.level"], []), ["debug", "info"])


async def test_saving_the_file_reloads_and_looking_away_does_not(rig, autojump_clock):
    reloads = 0

    async def reload() -> None:
        nonlocal reloads
        reloads += 1

    def touch(second: int) -> None:
        os.utime(rig.file, (second, second))

    touch(1000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(when_saved, rig.file, reload)
        await trio.sleep(10)
        before = reloads
        touch(2000)
        await trio.sleep(10)
        once = reloads
        rig.file.unlink()
        await trio.sleep(10)
        rig.write("")
        touch(3000)
        await trio.sleep(10)
        nursery.cancel_scope.cancel()

    assert (before, once, reloads) == (0, 1, 3)


def test_what_somebody_else_takes_into_use_waits_for_no_restart(tmp_path):
    file = tmp_path / "appliance.toml"
    file.write_text("[plugins.a]\nn = 1\n[plugins.b]\nn = 1\n")
    reloader = Reloader(load(file, environ={}, flags={}), {}, elsewhere=lambda path: path[:2] == ("plugins", "a"))
    file.write_text("[plugins.a]\nn = 2\n[plugins.b]\nn = 2\n")

    found = [reloader.reload(), reloader.reload()]

    assert [one.restart for one in found if one] == [(("plugins", "b", "n"),)] * 2
    assert reloader.loaded.settings.plugins["a"] == {"n": 2}
