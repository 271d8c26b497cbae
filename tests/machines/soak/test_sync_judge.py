"""The judge of system-call traces finds every order in which an acknowledgement leaves too early."""

from __future__ import annotations

import pytest

from appliance.storage.sqlite.mark import Mark
from tests.soak.syncproof import judge, parse

NEEDLES = {7: b"needle-0-3-"}


def hexed(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


LOG, MARK, PEER = hexed(b"/d/log.db-wal"), hexed(b"/d/log.mark"), hexed(b"socket:[88]")
ANSWER = b'HTTP/1.1 200 OK\r\n\r\n{"position":0,"globalPosition":7}'
WRITE = f'10 pwrite64(5<{LOG}>, "{hexed(b"page needle-0-3- page")}", 21, 32) = 21'
SYNC = f"10 fdatasync(5<{LOG}>) = 0"
COUNT = f'10 pwrite64(6<{MARK}>, "{hexed(Mark(3, 7, 1).encode())}", 4096, 0) = 4096'
SEAL = f"10 fdatasync(6<{MARK}>) = 0"
TELL = f'11 sendto(9<{PEER}>, "{hexed(ANSWER)}", 40, 0) = 40'
RIGHT = [WRITE, SYNC, COUNT, SEAL, TELL]


def faults(lines: list[str]) -> list[str]:
    verdict = judge(parse(lines), NEEDLES)
    assert verdict.judged == 1
    return [fault.partition(": ")[2] for fault in verdict.faults]


def test_written_synced_counted_sealed_and_then_told_is_right():
    assert faults(RIGHT) == []


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([SYNC, COUNT, SEAL, TELL, WRITE], "its event was not in the write-ahead file yet"),
        ([WRITE, COUNT, SEAL, TELL, SYNC], "the write-ahead file was not synced after it"),
        ([SYNC, WRITE, COUNT, SEAL, TELL], "the write-ahead file was not synced after it"),
        ([WRITE, SYNC, TELL, COUNT, SEAL], "no high-water mark counted it yet"),
        ([COUNT, SEAL, WRITE, SYNC, TELL], "the high-water mark counted it before it was synced"),
        ([WRITE, SYNC, COUNT, TELL, SEAL], "the high-water mark was not synced"),
        ([WRITE, SYNC.replace("= 0", "= -1 EIO"), COUNT, SEAL, TELL], "the write-ahead file was not synced after it"),
        ([WRITE, SYNC + " (INJECTED)", COUNT, SEAL, TELL], "the write-ahead file was not synced after it"),
    ],
)
def test_every_other_order_is_found(lines: list[str], fault: str):
    assert faults(lines) == [fault]


def test_a_mark_that_counts_less_does_not_cover_the_event():
    earlier = COUNT.replace(hexed(Mark(3, 7, 1).encode()), hexed(Mark(2, 6, 1).encode()))

    assert faults([WRITE, SYNC, earlier, SEAL, TELL]) == ["no high-water mark counted it yet"]


def test_a_sync_still_running_when_the_answer_leaves_does_not_count():
    begun, done = SYNC.replace(") = 0", " <unfinished ...>"), "10 <... fdatasync resumed>) = 0"

    assert faults([WRITE, begun, done, COUNT, SEAL, TELL]) == []
    assert faults([WRITE, begun, TELL, done, COUNT, SEAL]) == ["the write-ahead file was not synced after it"]


def test_a_sync_begun_before_the_write_ended_does_not_count():
    begun, done = WRITE.replace(") = 21", " <unfinished ...>"), "10 <... pwrite64 resumed>) = 21"
    other = SYNC.replace("10 ", "12 ", 1)

    assert faults([begun, other, done, COUNT, SEAL, TELL]) == ["the write-ahead file was not synced after it"]
