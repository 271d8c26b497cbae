"""Plugins in the real process: bad ones cost themselves, a saved one is there at once, and every door is open."""

from __future__ import annotations

import json
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.commands import caller
from tests.served import Served, serving

GOOD = """
@plugin.route("GET", "/good", scope="read")
async def good():
    return {"good": True}
"""

BAD = {
    "spins": """
        @plugin.route("GET", "/spins", scope="read")
        async def spin():
            while True:
                pass
        """,
    "sleeps": """
        @plugin.route("GET", "/sleeps", scope="read")
        async def sleep():
            time.sleep(30)
        """,
    "crashes": "1 / 0",
    "dies": "@plugin.service\nasync def go(): raise SystemExit(3)",
    "blocks": "@plugin.service\nasync def go(): time.sleep(30)",
    "leaks": """
        import trio
        @plugin.service
        async def go(ctx):
            for _ in range(100):
                nursery = await trio.open_nursery().__aenter__()
                nursery.start_soon(trio.sleep_forever)
            raise ValueError("leaked")
        """,
    "garbage": """
        @plugin.route("GET", "/garbage", scope="read")
        async def garbage():
            return object()
        """,
}

WORKER = """
import os

@plugin.job(process=True, timeout=20.0, retry="")
def grind(n: int, config, note_id):
    print("what a plugin prints is no answer")
    return {"sum": sum(range(n)), "pid": os.getpid(), "note": note_id}

@plugin.job(process=True, timeout=0.5, retry="")
def stuck():
    while True:
        pass

@plugin.job(process=True, retry="")
def fails():
    raise ValueError("not today")

@plugin.job(blocking=True, retry="")
def aside(name):
    time.sleep(0.5)
    return name

@plugin.route("POST", "/work/{type}", scope="write")
async def work(ctx, request, type):
    return {"id": await ctx.enqueue(type, note_id="n-1" if type == "Grind" else "", **await request.json())}
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    folder.mkdir()
    return folder


def write(shelf: Path, name: str, body: str) -> Path:
    folder = shelf / name
    folder.mkdir(exist_ok=True)
    (folder / "plugin.toml").write_text(f'name = "{name}"\nversion = "1.0"\napi = 1\n')
    beginning = f'import time\nfrom appliance.api import *\nplugin = Plugin("{name}")\n'
    (folder / "plugin.py").write_text(beginning + textwrap.dedent(body))
    return folder / "plugin.py"


@contextmanager
def served(tmp_path: Path, shelf: Path, *arguments: str) -> Iterator[tuple[Served, httpx.Client]]:
    file = tmp_path / "appliance.toml"
    tables = "\n".join(f"[plugins.{folder.name}]" for folder in sorted(shelf.iterdir()))
    file.write_text(f'plugins_path = ["{shelf}"]\n{tables}\n')
    with (
        serving(tmp_path, arguments=[f"--config={file}", *arguments]) as server,
        httpx.Client(
            base_url=server.url, headers={"authorization": f"Bearer {server.token}"}, timeout=60.0, trust_env=False
        ) as client,
    ):
        yield server, client


def until(look: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"it did not come: {look.__name__} {found}"
        time.sleep(0.05)
    return found


def states(client: httpx.Client) -> dict[str, str]:
    return {one["name"]: one["state"] for one in client.get("/api/v1/plugins").json()["plugins"]}


def test_others_go_on_while_plugins_block_crash_leak_and_give_garbage(tmp_path, shelf):
    for name, body in (BAD | {"good": GOOD}).items():
        write(shelf, name, body)
    took: list[float] = []
    with served(tmp_path, shelf) as (server, client):
        over = threading.Event()

        def others() -> None:
            with httpx.Client(base_url=server.url, headers=client.headers, timeout=60.0, trust_env=False) as own:
                while not over.is_set():
                    begin = time.monotonic()
                    assert own.get("/good").json() == {"good": True}
                    took.append(time.monotonic() - begin)
                    time.sleep(0.005)

        thread = threading.Thread(target=others)
        thread.start()
        answers = {name: client.get(f"/{name}").status_code for name in ("spins", "sleeps", "garbage")}
        again = [client.get("/spins").status_code for _ in range(4)]
        parked = ("crashes", "dies", "blocks", "leaks", "spins")
        until(lambda: {states(client)[one] for one in parked} == {"parked"})
        rows = {one["name"]: one for one in client.get("/api/v1/plugins").json()["plugins"]}
        over.set()
        thread.join()
        healthy = client.get("/health").status_code

    assert answers == {"spins": 500, "sleeps": 500, "garbage": 500}
    assert again[:3] == [500, 500, 500]
    assert {name for name, state in states_of(rows).items() if state == "ready"} >= {
        "good",
        "sleeps",
        "garbage",
        "host",
    }
    assert "ZeroDivisionError" in rows["crashes"]["reason"]
    assert "SystemExit" in rows["dies"]["reason"]
    assert "held the loop" in rows["blocks"]["reason"]
    assert "leaked" in rows["leaks"]["reason"]
    assert rows["garbage"]["failures"] == {"route GET /garbage": 1}
    assert healthy == 200
    assert len(took) > 10
    assert max(took) < 5.0  # of a handler that would hold the loop for ever, or for thirty seconds


def states_of(rows: dict[str, Any]) -> dict[str, str]:
    return {name: row["state"] for name, row in rows.items()}


def test_plugin_that_is_saved_begins_again_and_a_broken_one_comes_back(tmp_path, shelf):
    file = write(shelf, "good", GOOD)
    write(shelf, "other", GOOD.replace("good", "other"))
    with served(tmp_path, shelf, "--dev") as (_, client):
        assert client.get("/good").json() == {"good": True}
        other = next(one for one in client.get("/api/v1/plugins").json()["plugins"] if one["name"] == "other")
        write(shelf, "good", GOOD.replace("True", "2").replace('"/good"', '"/better"'))
        until(lambda: client.get("/better").status_code == 200)
        moved = client.get("/good").status_code
        listed = "/better" in client.get("/openapi.json").json()["paths"]
        file.write_text("def (")
        until(lambda: states(client)["good"] == "parked")
        broken, silent = client.get("/api/v1/plugins/good").json(), client.get("/better").status_code
        write(shelf, "good", GOOD)
        until(lambda: client.get("/good").status_code == 200)
        same = next(one for one in client.get("/api/v1/plugins").json()["plugins"] if one["name"] == "other")

    assert moved == 404
    assert listed
    assert (silent, "SyntaxError" in broken["reason"]) == (503, True)
    assert same["since"] == other["since"]


def test_jobs_in_threads_and_processes_end_and_are_ended(tmp_path, shelf):
    write(shelf, "works", WORKER)
    with served(tmp_path, shelf) as (server, client):
        ids = {
            type: client.post(f"/work/{type}", json=arguments).json()["id"]
            for type, arguments in {
                "Grind": {"n": 100_000}, "Stuck": {}, "Fails": {}, "Aside": {"name": "x"},
            }.items()
        }  # fmt: skip
        jobs = {
            type: until(lambda id=id: (job := client.get(f"/api/v1/jobs/{id}").json())["status"] != "running"
                        and job["status"] != "pending" and job)
            for type, id in ids.items()
        }  # fmt: skip
        healthy = client.get("/health").status_code

    assert jobs["Grind"]["result"]["sum"] == sum(range(100_000))
    assert jobs["Grind"]["result"]["pid"] != server.pid
    assert jobs["Grind"]["result"]["note"] == "n-1"
    assert jobs["Aside"]["result"] == "x"
    assert (jobs["Stuck"]["status"], jobs["Fails"]["status"]) == ("failed", "failed")
    assert healthy == 200


def test_new_plugin_is_live_with_every_door_by_following_the_scaffold(tmp_path, shelf):
    from appliance.plugins.scaffold import scaffold

    scaffold("greeter", shelf)
    with served(tmp_path, shelf) as (_, client):
        arrived = client.put("/api/v1/greeter/anna").json()
        known = until(lambda: (now := client.get("/api/v1/greeter/anna").json()).get("card") and now)
        legs = client.get(f"/api/v1/events/{arrived['id']}/why").json()
        asyncapi = client.get("/asyncapi.json").text
        panels = client.get("/api/v1/plugins/greeter/panels").json()
        kept = client.get("/api/v1/plugins/greeter/state").json()

    assert known == {"visits": 1, "card": "hello, anna!"}
    assert "greeter: welcome" in str(legs)
    assert "GreeterArrived" in asyncapi
    assert panels["panels"][0]["values"] == {"guests": 1}
    assert (kept["count"], kept["items"][0]["key"]) == (1, "anna")


COUNTING = """
@plugin.on("ThingMade", retry="")
async def count(ctx, event):
    async with ctx.transaction() as tx:
        seen = await tx.get(event.data.name) or 0
        tx.put(event.data.name, seen + 1)
"""


def test_consumer_misses_nothing_when_the_process_is_killed(tmp_path, shelf):
    """At least once: what was in hand at the kill may come again, and nothing is left out."""
    write(shelf, "counts", COUNTING)
    names = [str(n) for n in range(300)]
    with served(tmp_path, shelf) as (server, client):
        for killed in range(3):
            part = names[killed * 100 : killed * 100 + 100]
            events = [{"type": "ThingMade", "stream": f"thing-{name}", "data": {"name": name}} for name in part]
            assert httpx.post(
                f"{server.url}/api/v1/events", json=events, headers=client.headers, trust_env=False
            ).is_success
            server.kill()
            server.start()

        def level() -> Any:
            found = httpx.get(f"{server.url}/api/v1/plugins/counts", headers=client.headers, trust_env=False).json()
            return found["state"] == "ready" and found["consumers"][0]["lag"] == 0 and found

        until(level)
        found = httpx.get(
            f"{server.url}/api/v1/plugins/counts/state?limit=1000", headers=client.headers, trust_env=False
        ).json()

    counts = {one["key"]: one["value"] for one in found["items"]}
    assert sorted(counts) == sorted(names)
    assert all(1 <= count <= 4 for count in counts.values())


def test_management_is_for_admins_and_says_what_is_not_there(tmp_path, shelf):
    write(
        shelf,
        "acts",
        """
        @plugin.action("greet", summary="Says hello.")
        async def greet(ctx, name):
            return f"hello, {name}"
        @plugin.action("fails")
        async def fails():
            raise ValueError("not today")
        """,
    )
    with served(tmp_path, shelf) as (_, client):
        reader = client.post("/api/v1/tokens", json={"scopes": ["read"]}).json()["token"]
        weak = {"authorization": f"Bearer {reader}"}
        path = "/api/v1/plugins"
        refused = [
            client.get(path, headers=weak).status_code,
            client.post(f"{path}/acts/restart", headers=weak).status_code,
        ]
        said = client.post(f"{path}/acts/actions/greet", json={"name": "anna"}).json()
        codes = [
            client.post(f"{path}/acts/actions/greet", json={"nam": "anna"}).status_code,
            client.post(f"{path}/acts/actions/greet", json=["anna"]).status_code,
            client.post(f"{path}/acts/actions/great").status_code,
            client.post(f"{path}/acts/actions/fails").status_code,
            client.post(f"{path}/nobody/restart").status_code,
            client.get(f"{path}/nobody").status_code,
            client.get(f"{path}/acts/state?limit=0").status_code,
        ]
        again = client.post(f"{path}/acts/restart").json()

    assert refused == [403, 403]
    assert said == {"result": "hello, anna"}
    assert codes == [422, 422, 404, 500, 404, 404, 422]
    assert (again["state"], again["failures"]) == ("ready", {})


def test_command_line_shows_restarts_and_asks(tmp_path, shelf, capfd, monkeypatch):
    write(
        shelf,
        "acts",
        """
        @plugin.action("keep", summary="Keeps it.")
        async def keep(ctx, value):
            async with ctx.transaction() as tx:
                tx.put("a key", value)
            return value
        """,
    )
    with served(tmp_path, shelf) as (server, _):
        call = caller(server, capfd, monkeypatch)
        asked = call("plugin", "act", "acts", "keep", '{"value": [1, "ä"]}')
        kept = call("plugin", "state", "acts", "--prefix", "a k")
        shown = call("plugin", "show", "acts", "--json")
        card = call("plugin", "show", "acts")
        again = call("plugin", "restart", "acts")
        wrong = [call("plugin", "restart", "nobody").code, call("plugin", "act", "acts", "keep", "{").code]

    assert json.loads(asked.out) == [1, "ä"]
    assert '[1, "ä"]' in kept.out
    assert "1 of 1" in kept.err
    assert (shown.json["state"], shown.json["actions"][0]["arguments"]) == ("ready", ["value"])
    assert "keep  value      Keeps it." in card.out
    assert again.out == "acts is ready\n"
    assert wrong == [5, 4]
