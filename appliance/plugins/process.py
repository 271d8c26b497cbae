"""A job's handler in a process of its own: nothing it does can hold the appliance up, and it can be killed.

The other side is `worker.py`. One line of JSON goes in, one comes back. The worker's way out is also its standard
input: when that ends, because we are gone, so does the worker.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
import trio

from appliance import errors
from appliance.api import ApplianceError, Rejected, Unavailable
from appliance.plugins.desk import Desk
from appliance.plugins.encoding import encoded

__all__ = ["Answer", "Errand", "in_process"]

MOST_READ = 16 * 1024 * 1024  # bytes of a result

# The parent's own path, whatever it runs from: a package, a source tree, or one file.
_BEGIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from appliance.plugins import worker; worker.main()"


class Errand(msgspec.Struct, frozen=True):
    """What a worker is told."""

    folder: str
    job: str
    arguments: dict[str, Any]
    config: dict[str, Any]  # the plugin's table


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it."""

    result: Any = None
    error: str = ""  # name of the class
    message: str = ""
    hint: str = ""
    traceback: str = ""


class WorkerFailed(ApplianceError):
    """A job failed in a process of its own."""

    code = "worker_failed"


async def in_process(desk: Desk[Any], job: str, arguments: Mapping[str, Any]) -> Any:
    """The result of a job. A wait that is cancelled kills the process.

    Raises:
        Unavailable: no process can be begun.
        ApplianceError: what the handler raised, if it is one of `appliance.api`'s.
        WorkerFailed: anything else that it raised, or how the process ended.
    """
    if desk.folder is None:
        raise Unavailable("a plugin without a folder has no processes")
    errand = Errand(str(desk.folder), job, dict(arguments), dict(desk.table))
    line = encoded(errand, f"an argument of job {job}").encode() + b"\n"
    command = [sys.executable, "-c", _BEGIN, json.dumps(sys.path)]
    try:
        process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError as error:
        raise Unavailable(f"no process can be begun: {error.strerror}", retry_after=5) from error
    try:
        said = await _talk(process, line)
        code = await process.wait()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()  # it was killed: this takes no time
            await _close(process)
    try:
        answer = msgspec.json.decode(said, type=Answer)
    except msgspec.DecodeError as error:
        raise WorkerFailed(f"the process of job {job} ended with {code} and no answer") from error
    if answer.error:
        raise _told(answer)
    return answer.result


async def _talk(process: trio.Process, line: bytes) -> bytes:
    """Give the errand, and read until the answer ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    said = bytearray()
    try:
        await process.stdin.send_all(line)
    except trio.BrokenResourceError:
        return b""  # its exit code says more
    async for part in process.stdout:
        said += part
        if len(said) > MOST_READ:
            raise Rejected(f"the result is larger than {MOST_READ} bytes")
    return bytes(said)


async def _close(process: trio.Process) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            await pipe.aclose()


def _told(answer: Answer) -> ApplianceError:
    cause: ApplianceError = WorkerFailed(f"{answer.error}: {answer.message}", hint=answer.hint)
    known = getattr(errors, answer.error, None)
    if isinstance(known, type) and known in (errors.Rejected, errors.NotFound, errors.PeerFailed, errors.Unavailable):
        cause = known(answer.message, hint=answer.hint)
    cause.add_note(answer.traceback)
    return cause
