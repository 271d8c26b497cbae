"""The way out for lines: a bounded buffer and one thread, so that nobody ever waits for a terminal.

A pipe that nobody reads fills after 64 KiB, and then a plain `print` hangs the whole loop. Here it
hangs one thread; lines that no longer fit are dropped and counted, and the count is told as soon as
something gets through again.
"""

from __future__ import annotations

import os
import queue
import select
import threading

__all__ = ["Outlet"]

CAPACITY = 4096  # lines waiting at most
BATCH = 256  # lines of one write


class Outlet:
    """Takes whole lines from any thread, at once, and writes them to a file descriptor."""

    def __init__(self, fd: int, *, capacity: int = CAPACITY) -> None:
        self._fd = fd
        self._capacity = capacity
        self._lines: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        self._closed = False  # the other side is gone for good
        self._told = 0  # drops already reported
        self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="outlet", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Hand over one line, without its line break."""
        if self._closed or self._lines.qsize() >= self._capacity:
            self.dropped += 1
        else:
            self._lines.put(line + b"\n")

    def flush(self, patience: float) -> bool:
        """Wait until everything handed over is out, at most `patience` seconds. For the end of the process."""
        out = threading.Event()
        self._lines.put(out)
        return out.wait(patience)

    def _work(self) -> None:
        while True:
            batch: list[bytes] = []
            item = self._lines.get()
            while isinstance(item, bytes):
                batch.append(item)
                if len(batch) >= BATCH or self._lines.empty():
                    break
                item = self._lines.get()
            self._send(b"".join(batch))
            if isinstance(item, threading.Event):
                item.set()

    def _send(self, data: bytes) -> None:
        if self.dropped > self._told:
            data += b"[%d lines were dropped: nobody read them]\n" % (self.dropped - self._told)
            self._told = self.dropped
        while data and not self._closed:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:  # somebody made the shared terminal non-blocking
                select.select([], [self._fd], [])
            except OSError:  # closed: nobody will ever read
                self._closed = True
