"""Jobs and plugins on the dashboard: progress as it is made, what failed and again, what is parked and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.dashboard.visiting import Visit, asked
from tests.served import Served, serving

BAKERY = '''
"""Bakes."""

from dataclasses import dataclass

from appliance.api import Context, Plugin


@dataclass(frozen=True)
class Config:
    heat: int = 200  # degrees
    oven_key: str = "s3cret-oven"  # opens it


plugin = Plugin("bakery", summary="Bakes what is asked for.", config=Config)


@plugin.job(retry="", timeout=120.0)
async def bake(ctx: Context[Config], job, loaves: int = 1):
    await job.progress(40, "kneading")
    while await ctx.get("oven") != "warm":
        await ctx.sleep(0.05)
    return {"loaves": loaves}


@plugin.job(retry="")
async def burn(ctx: Context[Config], job):
    raise OSError("the oven is on fire")


@plugin.action("warm")
async def warm(ctx: Context[Config], degrees: int = 180):
    """Heat the oven before the bread is ready."""
    async with ctx.transaction() as tx:
        tx.put("oven", "warm")
    return {"degrees": degrees}


@plugin.panel("Oven")
async def panel(ctx: Context[Config]):
    return {"kept": await ctx.count()}
'''
BROKEN = '''
"""Cannot begin."""

from appliance.api import Plugin

plugin = Plugin("cellar", summary="Cannot begin.")

raise RuntimeError("the cellar is flooded")
'''


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    for name, text in {"bakery": BAKERY, "cellar": BROKEN}.items():
        (folder / name).mkdir()
        (folder / name / "plugin.toml").write_text(f'name = "{name}"\nversion = "1.0"\napi = 1\nsummary = "{name}"\n')
        (folder / name / "plugin.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, plugins: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("work")
    file = folder / "appliance.toml"
    file.write_text(f'plugins_path = ["{plugins}"]\n[plugins.bakery]\nheat = 230\n[plugins.cellar]\n')
    with serving(folder, arguments=[f"--config={file}"]) as served:
        yield served


def test_a_job_shows_its_progress_while_it_runs_and_its_end(visit: Visit):
    page = visit.open("/jobs")
    job = asked(visit.server, "POST", "/api/v1/jobs", {"job_type": "bake", "payload": {"loaves": 3}})["id"]
    row = f"tr:has([href$='{job}'])"
    page.wait_for_selector(f"{row} >> text=kneading")
    percent = page.get_attribute(f"{row} [role=progressbar]", "aria-valuenow")
    visit.picture("job-runs")
    asked(visit.server, "POST", "/api/v1/plugins/bakery/actions/warm", {})
    page.wait_for_selector(f"{row} >> text=completed")

    assert percent == "40"


def test_a_job_that_failed_says_so_and_is_tried_again(visit: Visit):
    job = asked(visit.server, "POST", "/api/v1/jobs", {"job_type": "burn"})["id"]
    page = visit.open(f"/jobs/{job}?status=failed")
    page.wait_for_selector("[role=dialog] >> text=failed")
    attempts = len(asked(visit.server, "GET", f"/api/v1/jobs/{job}/events")["events"])

    page.click("[role=dialog] >> text=Retry")
    page.wait_for_selector(".toast:has-text('queued again')")
    page.wait_for_selector("[role=dialog] >> text=failed")

    assert attempts > 0
    assert "on fire" not in page.content()


def test_a_job_that_waits_is_cancelled(visit: Visit):
    asked(visit.server, "POST", "/api/v1/jobs/pause", {})
    job = asked(visit.server, "POST", "/api/v1/jobs", {"job_type": "bake"})["id"]
    page = visit.open("/jobs?status=pending")
    page.click(f"tr:has([href*='{job}']) >> text=Cancel")
    page.click("text=cancel it?")
    page.wait_for_selector(".toast:has-text('cancelled')")
    page.click("text=Resume all")
    page.wait_for_selector("text=Pause all")

    assert asked(visit.server, "GET", f"/api/v1/jobs/{job}")["status"] == "cancelled"


def test_a_plugin_shows_its_panel_its_state_and_its_configuration_without_secrets(visit: Visit):
    page = visit.open("/plugins")
    page.wait_for_selector("[aria-label='plugin bakery'] >> text=Oven")
    page.click("[aria-label='plugin bakery'] >> text=bakery")
    page.wait_for_selector("[role=dialog] >> text=degrees")
    said = page.inner_text("[role=dialog]")
    visit.picture("plugin-desk-light")

    assert "230" in said
    assert "line 3" in said
    assert "Bake" in said
    assert "s3cret" not in page.content()


def test_an_action_of_a_plugin_is_run_with_what_was_typed_and_its_answer_shown(visit: Visit):
    page = visit.open("/plugins/bakery")
    page.fill("[aria-label='action warm'] input[name=degrees]", "210")
    page.click("[aria-label='action warm'] >> text=Run")
    page.click("[aria-label='action warm'] >> text=run it?")
    page.wait_for_selector("[aria-label='action warm'] [role=status]")
    visit.picture("action-desk-light")
    state = asked(visit.server, "GET", "/api/v1/plugins/bakery/state")

    assert json.loads(page.inner_text("[aria-label='action warm'] [role=status] pre")) == {"degrees": 210}
    assert "Heat the oven" in page.inner_text("[aria-label='action warm']")
    assert [item["key"] for item in state["items"]] == ["oven"]


def test_a_parked_plugin_says_why_even_on_the_first_visit_and_comes_back(visit: Visit, plugins: Path):
    page = visit.open()
    page.wait_for_selector("#needs >> text=the cellar is flooded")
    visit.picture("needs-you")
    page.click("#needs >> text=cellar")
    page.wait_for_selector("[role=dialog] >> text=the cellar is flooded")
    file = plugins / "cellar" / "plugin.py"
    file.write_text(file.read_text().partition("raise")[0])
    page.click("[role=dialog] >> text=Restart")
    page.wait_for_selector("[role=dialog] .tag.good:has-text('ready')")

    assert page.inner_text("[role=dialog] h2") == "cellar"
