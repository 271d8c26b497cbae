"""Health at three speeds, for what the services and the log say."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest
import trio

from appliance.errors import Unavailable
from appliance.model.http import Request, Response
from appliance.telemetry.health import Health

NINE = {"connections_total": 3}


@dataclass
class WritingLog:
    """A log whose writer answers at once, not at all, or with a refusal."""

    kind: str = "sqlite"
    trouble: Unavailable | None = None
    silent: bool = False
    probes: list[float] = field(default_factory=list)

    async def probe(self) -> None:
        self.probes.append(trio.current_time())
        if self.silent:
            await trio.sleep_forever()
        if self.trouble is not None:
            raise self.trouble


def health(log: WritingLog, state: str = "well", *, paused: bool = False) -> Health:
    return Health("1.0", log, state=lambda: state, streams=lambda: NINE, paused=lambda: paused, auth_required=True)


async def ask(room: Health, path: str) -> tuple[int, dict[str, object]]:
    [route] = [route for route in room.routes() if route.path == path]
    answer = route.handler(Request("GET", path))
    if not isinstance(answer, Response):
        answer = await answer
    assert isinstance(answer, Response)
    assert ("cache-control", "no-store") in answer.headers
    return answer.status, msgspec.json.decode(answer.body)


@pytest.mark.parametrize("path", ["/livez", "/health/live"])
async def test_a_process_that_answers_is_alive_whatever_else(path):
    log = WritingLog(silent=True)

    assert await ask(health(log, "stopping"), path) == (200, {"status": "ok"})
    assert log.probes == []


async def test_ready_when_the_writer_answers():
    assert await ask(health(WritingLog()), "/readyz") == (200, {"status": "ready"})
    assert await ask(health(WritingLog(), "degraded"), "/readyz") == (200, {"status": "ready"})


@pytest.mark.parametrize(("state", "reason"), [("starting", "initializing"), ("stopping", "draining")])
async def test_not_ready_while_services_start_or_stop(state, reason):
    assert await ask(health(WritingLog(), state), "/readyz") == (503, {"status": "not_ready", "reason_code": reason})


async def test_a_full_disk_is_not_ready_and_healthy_still():
    log = WritingLog(trouble=Unavailable("the disk is full: nothing can be written"))

    status, told = await ask(health(log), "/readyz")
    overall, whole = await ask(health(log), "/health")

    assert (status, told["reason_code"]) == (503, "required_dependency_unavailable")
    assert told["detail"] == "the disk is full: nothing can be written"
    assert (overall, whole["status"], whole["backend_healthy"]) == (200, "ok", False)
    assert whole["dependencies"] == {"storage": "unavailable"}
    assert whole["lifecycle"] == {"ready": False, "draining": False}


async def test_a_silent_writer_is_waited_for_briefly(autojump_clock):
    began = trio.current_time()

    status, told = await ask(health(WritingLog(silent=True)), "/readyz")

    assert (status, told["reason_code"]) == (503, "required_dependency_unavailable")
    assert trio.current_time() - began == pytest.approx(2.0)


async def test_health_says_what_each_kind_of_client_looks_for():
    status, told = await ask(health(WritingLog(), paused=True), "/health")

    assert (status, told["status"], told["healthy"], told["version"]) == (200, "ok", True, "1.0")
    assert (told["backend_type"], told["backend_healthy"], told["dependencies"]) == ("sqlite", True, {"storage": "ok"})
    assert (told["job_processing"], told["sse"]) == ("paused", NINE)
    assert (told["lifecycle"], told["capabilities"]) == ({"ready": True, "draining": False}, {"auth_required": True})


async def test_health_is_503_while_we_stop():
    status, told = await ask(health(WritingLog(), "stopping"), "/health")

    assert (status, told["status"], told["lifecycle"]) == (503, "draining", {"ready": False, "draining": True})
