"""Shows from the kernel's side that nothing is told to anybody before it is on disk.

The server runs under strace. For every global position that leaves through a socket (an answer, or a poke) the
trace must show, in this order and each finished before the next begins: the write of the event into the log's
write-ahead file, a successful sync of that file, a write of a high-water mark that counts the event, a successful
sync of the mark, the send. The same judge has to find fault with a build that does not sync (`relaxed.py`);
otherwise it would prove nothing.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.storage.sqlite.mark import Mark
from tests.soak.victim import Caller, Refused, Victim

__all__ = ["Call", "Verdict", "judge", "parse", "trace"]

CALLS = "pwrite64,write,fdatasync,fsync,sendto,sendmsg,writev"
LONGEST = 9000  # bytes of a call's data that are kept: two pages
_WHOLE = re.compile(r"^(?P<pid>\d+)\s+(?P<name>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(r"^(?P<pid>\d+)\s+<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
_FILE = re.compile(r"^\d+<(?P<path>[^>]*)>")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_RESULT = re.compile(r"\)\s+= (?P<value>-?\d+)(?P<note>.*)$")
_POSITION = re.compile(rb'"globalPosition":\s*(\d+)')


@dataclass
class Call:
    """One system call: the lines of the trace where it began and ended, and what it was about."""

    name: str
    began: int
    text: str  # arguments as strace prints them
    ended: int = -1
    result: int = -1
    injected: bool = False

    @functools.cached_property
    def path(self) -> str:
        found = _FILE.match(self.text)
        return _bytes(found["path"]).decode(errors="replace") if found else ""

    @functools.cached_property
    def data(self) -> bytes:
        return b"".join(_bytes(part) for part in _STRING.findall(self.text))

    @property
    def on_socket(self) -> bool:
        return self.path.startswith(("socket:", "TCP"))

    @property
    def syncs(self) -> bool:
        return self.name in ("fdatasync", "fsync") and self.result == 0 and not self.injected


@dataclass
class Verdict:
    judged: int = 0  # positions told
    faults: list[str] = field(default_factory=list)


def parse(lines: Iterable[str]) -> Iterator[Call]:
    """The calls of `strace -f -y -xx`, in the order in which they began; interrupted ones are put together."""
    open_calls: dict[str, Call] = {}
    for number, line in enumerate(lines):
        resumed = _RESUMED.match(line)
        if resumed:
            call = open_calls.pop(resumed["pid"], None)
            if call is not None:
                call.text += resumed["rest"]
                _finish(call, number)
            continue
        whole = _WHOLE.match(line)
        if not whole:
            continue  # signals, exits
        call = Call(whole["name"], number, whole["rest"])
        if "<unfinished ...>" in line:
            call.text = call.text.replace("<unfinished ...>", "")
            open_calls[whole["pid"]] = call
        else:
            _finish(call, number)
        yield call


def _bytes(hexed: str) -> bytes:
    """`-xx` prints strings, and the names of files, in hexadecimal."""
    return bytes.fromhex(hexed.replace("\\x", ""))


def _finish(call: Call, number: int) -> None:
    call.ended = number
    result = _RESULT.search(call.text)
    if result:
        call.result = int(result["value"])
        call.injected = "INJECTED" in result["note"]


def judge(calls: Iterable[Call], needles: dict[int, bytes]) -> Verdict:
    """Hold every told position that is in `needles` (position: a text only its event has) against the order above."""
    calls = list(calls)
    log = [call for call in calls if call.path.endswith("-wal")]
    marks = [call for call in calls if call.path.endswith(".mark")]
    verdict = Verdict()
    for call in calls:
        if not call.on_socket:
            continue
        for position in {int(found) for found in _POSITION.findall(call.data)} & needles.keys():
            verdict.judged += 1
            fault = _fault(position, needles[position], call, log, marks)
            if fault:
                verdict.faults.append(f"position {position}, told at line {call.began}: {fault}")
    return verdict


def _fault(position: int, needle: bytes, told: Call, log: list[Call], marks: list[Call]) -> str:
    written = next((c for c in log if c.name == "pwrite64" and needle in c.data), None)
    if written is None or not 0 <= written.ended < told.began:
        return "its event was not in the write-ahead file yet"
    synced = next((c for c in log if c.syncs and c.began > written.ended), None)
    if synced is None or not synced.ended < told.began:
        return "the write-ahead file was not synced after it"
    counted = next((c for c in marks if c.name == "pwrite64" and c.ended >= 0 and _counts(c, position)), None)
    if counted is None or not counted.ended < told.began:
        return "no high-water mark counted it yet"
    if not counted.began > synced.ended:
        return "the high-water mark counted it before it was synced"
    sealed = next((c for c in marks if c.syncs and c.began > counted.ended), None)
    if sealed is None or not sealed.ended < told.began:
        return "the high-water mark was not synced"
    return ""


def _counts(call: Call, position: int) -> bool:
    mark = Mark.decode(call.data)
    return mark is not None and mark.appended >= position


def trace(folder: Path, *, writes: int, writers: int = 4, victim: Victim | None = None) -> Verdict:
    """Write `writes` events through a traced server on the empty `folder`, while a subscriber listens; judge it."""
    record = folder.with_suffix(".trace")
    victim = victim or Victim(folder)
    victim.wrapper = _strace(record)
    needles: dict[int, bytes] = {}
    with victim:
        victim.start()
        victim.caller().subscribe("/subscribe?all=true")  # what it is told is judged too
        threads = [
            threading.Thread(target=_write, args=(victim.caller(), n, writes // writers, needles))
            for n in range(writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        victim.stop()
    with record.open() as lines:
        return judge(parse(lines), needles)


def _strace(record: Path) -> tuple[str, ...]:
    strace = shutil.which("strace")
    assert strace, "strace is missing: apt-get install -y strace"
    return (strace, "-f", "-y", "-xx", "-s", str(LONGEST), "-e", f"trace={CALLS}", "-o", str(record))


def _write(caller: Caller, writer: int, count: int, needles: dict[int, bytes]) -> None:
    for n in range(count):
        needle = f"needle-{writer}-{n}-"
        message = {"type": "Traced", "data": {"needle": needle}}
        answer = caller.call("stream.write", f"traced-{writer}", message)
        needles[answer["globalPosition"]] = needle.encode()


def fail_a_sync(folder: Path, *, after: int) -> tuple[list[int], int]:
    """Let every sync of the log fail from the `after`-th on, in the middle of writing.

    Returns the positions told after the first failure, and the exit code. A failed sync may have dropped the
    pages: trying again would succeed and lie, so the only right answer is to end.
    """
    record = folder.with_suffix(".trace")
    fault = f"inject=fdatasync:error=EIO:when={after}+"
    victim = Victim(folder, wrapper=(*_strace(record), "-e", fault))
    with victim:
        victim.start()
        caller = victim.caller()
        with contextlib.suppress(OSError, http.client.HTTPException, Refused):
            for number in range(after * 10):
                caller.call("stream.write", "failing-1", {"type": "Traced", "data": {"n": number}})
        exit_code = victim.wait()
    calls = list(parse(record.read_text().splitlines()))
    failed = next(call.ended for call in calls if call.name == "fdatasync" and call.injected)
    told = [call for call in calls if call.began > failed and call.on_socket]
    return sorted({int(found) for call in told for found in _POSITION.findall(call.data)}), exit_code
