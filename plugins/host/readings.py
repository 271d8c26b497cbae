"""Figures from the kernel's text files. Pure functions of text, and one class that reads them below a root.

A source that is not there gives nothing: no zero, no guess. Formats: proc(5), and the kernel's
Documentation/admin-guide/iostats.rst and Documentation/ABI/testing/sysfs-class-thermal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

SECTOR = 512  # bytes in /proc/diskstats, whatever the device calls a sector
PLAUSIBLE = (-40.0, 150.0)  # degrees; a disconnected sensor reports far outside

T = TypeVar("T")


@dataclass(frozen=True)
class Cpu:
    """Ticks since boot, over all processors."""

    busy: int
    total: int


@dataclass(frozen=True)
class Traffic:
    """Bytes since boot, in the two directions of a network or a disk."""

    inward: int  # received, or read
    outward: int  # sent, or written


@dataclass(frozen=True)
class Space:
    """Bytes of memory or of a file system."""

    total: int
    available: int


@dataclass(frozen=True)
class Readings:
    """Everything at one moment. None: this machine does not say."""

    load: tuple[float, float, float] | None = None  # 1, 5 and 15 minutes
    cpu: Cpu | None = None
    memory: Space | None = None
    disk: Space | None = None
    disks: Traffic | None = None
    network: Traffic | None = None
    temperature: float | None = None  # degrees Celsius, of the hottest sensor


def load_averages(loadavg: str) -> tuple[float, float, float]:
    one, five, fifteen, *_ = loadavg.split()
    return float(one), float(five), float(fifteen)


def cpu_ticks(stat: str) -> Cpu:
    """From the first line: user nice system idle iowait irq softirq steal (guest is inside user already)."""
    label, *ticks = stat.splitlines()[0].split()
    if label != "cpu":
        raise ValueError(f"/proc/stat begins with {label!r}")
    counts = [int(tick) for tick in ticks[:8]]
    idle = sum(counts[3:5])
    return Cpu(busy=sum(counts) - idle, total=sum(counts))


def memory_space(meminfo: str) -> Space:
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in meminfo.splitlines())}
    return Space(total=kib["MemTotal"] * 1024, available=kib["MemAvailable"] * 1024)


def disk_traffic(diskstats: str, devices: Iterable[str]) -> Traffic:
    """Of the whole devices named; partitions and layers above them would count the same bytes again."""
    rows = {row[2]: row for row in (line.split() for line in diskstats.splitlines())}
    counted = [rows[name] for name in devices if name in rows]
    return _sum(Traffic(int(row[5]) * SECTOR, int(row[9]) * SECTOR) for row in counted)


def network_traffic(dev: str, interfaces: Iterable[str]) -> Traffic:
    rows = {name.strip(): rest.split() for name, _, rest in (line.partition(":") for line in dev.splitlines()[2:])}
    counted = [rows[name] for name in interfaces if name in rows]
    return _sum(Traffic(int(row[0]), int(row[8])) for row in counted)


def cpu_percent(before: Cpu, now: Cpu) -> float | None:
    """Share of all processors that was busy in between; None when no tick passed or the counters went back."""
    ticks, busy = now.total - before.total, now.busy - before.busy
    return 100.0 * busy / ticks if 0 <= busy <= ticks and ticks else None


def per_second(before: int, now: int, seconds: float) -> float | None:
    """A counter's rate; None when it went back (the device was replaced) or no time passed."""
    return (now - before) / seconds if now >= before and seconds > 0 else None


@dataclass
class Machine:
    """Reads what this machine offers. Blocking, though only for a moment: call it in a thread."""

    root: Path = field(default_factory=lambda: Path("/"))
    mount: Path = field(default_factory=lambda: Path("/"))  # the file system whose space is watched

    def read(self) -> Readings:
        return Readings(
            load=self._of(lambda: load_averages(self._text("proc/loadavg"))),
            cpu=self._of(lambda: cpu_ticks(self._text("proc/stat"))),
            memory=self._of(lambda: memory_space(self._text("proc/meminfo"))),
            disk=self._of(self._space),
            disks=self._of(self._disks),
            network=self._of(self._network),
            temperature=max(self._temperatures(), default=None),
        )

    def _of(self, read: Callable[[], T]) -> T | None:
        """What `read` gives; None where the kernel has no such file, or another form of it."""
        try:
            return read()
        except (OSError, ValueError, LookupError):
            return None

    def _text(self, path: str) -> str:
        return (self.root / path).read_text()

    def _space(self) -> Space:
        found = os.statvfs(self.mount)
        return Space(total=found.f_blocks * found.f_frsize, available=found.f_bavail * found.f_frsize)

    def _disks(self) -> Traffic | None:
        devices = self._hardware("sys/block")
        return disk_traffic(self._text("proc/diskstats"), devices) if devices else None

    def _network(self) -> Traffic | None:
        """Over real interfaces. In a container none is real: then over all but the loopback."""
        interfaces = self._hardware("sys/class/net") or [name for name in self._names("sys/class/net") if name != "lo"]
        return network_traffic(self._text("proc/net/dev"), interfaces) if interfaces else None

    def _names(self, folder: str) -> list[str]:
        return sorted(entry.name for entry in (self.root / folder).iterdir())

    def _hardware(self, folder: str) -> list[str]:
        """Names that have a device behind them; loop, zram, bridges and tunnels have none."""
        return [name for name in self._names(folder) if (self.root / folder / name / "device").exists()]

    def _temperatures(self) -> Iterator[float]:
        for pattern in ("sys/class/thermal/thermal_zone*/temp", "sys/class/hwmon/hwmon*/temp*_input"):
            for path in self.root.glob(pattern):
                degrees = self._of(lambda path=path: int(path.read_text()) / 1000)
                if degrees is not None and PLAUSIBLE[0] <= degrees <= PLAUSIBLE[1]:
                    yield degrees


def _sum(traffic: Iterable[Traffic]) -> Traffic:
    inward = outward = 0
    for one in traffic:
        inward, outward = inward + one.inward, outward + one.outward
    return Traffic(inward, outward)
