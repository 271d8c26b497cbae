"""Host: what the machine we run on is doing, every second, as events anyone can subscribe to."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from pathlib import Path

from appliance.api import UNSET, Context, Plugin, UnsetType

from .readings import Machine, Readings, Traffic, cpu_percent, per_second


@dataclass(frozen=True)
class Config:
    every: float = 1.0  # seconds between samples
    mount: str = "/"  # the file system whose space is watched
    name: str = field(default_factory=lambda: platform.node() or "unnamed")  # the stream is host-NAME

    def __post_init__(self) -> None:
        if not 0.1 <= self.every <= 3600:
            raise ValueError("every must be between 0.1 and 3600 seconds")


plugin = Plugin("host", summary="What the machine we run on is doing, every second.", config=Config)


@plugin.event(stream="host-{host}", retention="2d")
class HostSampled:
    """One sample. What the machine does not tell is absent; rates begin with the second sample."""

    host: str
    load_1m: float | UnsetType = UNSET
    load_5m: float | UnsetType = UNSET
    load_15m: float | UnsetType = UNSET
    cpu_percent: float | UnsetType = UNSET  # of all processors, since the sample before
    memory_total_bytes: int | UnsetType = UNSET
    memory_available_bytes: int | UnsetType = UNSET
    disk_total_bytes: int | UnsetType = UNSET
    disk_available_bytes: int | UnsetType = UNSET
    disk_read_bytes_s: int | UnsetType = UNSET
    disk_written_bytes_s: int | UnsetType = UNSET
    net_received_bytes_s: int | UnsetType = UNSET
    net_sent_bytes_s: int | UnsetType = UNSET
    temperature_c: float | UnsetType = UNSET  # of the hottest sensor


@plugin.service
async def sample(ctx: Context[Config]) -> None:
    machine = Machine(mount=Path(ctx.config.mount))
    before, taken_at = Readings(), ctx.now()
    due = taken_at
    while True:
        now, readings = ctx.now(), await ctx.run_in_thread(machine.read)
        await ctx.emit(sampled(ctx.config.name, before, readings, now - taken_at))
        before, taken_at = readings, now
        moment = ctx.now()
        due = max(due + ctx.config.every, moment)  # late once is not late for ever
        await ctx.sleep(due - moment)


@plugin.panel("Host")
async def panel(ctx: Context[Config]) -> dict[str, str]:
    """A look of its own, so that it is true also while no samples are stored."""
    machine = Machine(mount=Path(ctx.config.mount))
    now = await ctx.run_in_thread(machine.read)
    shown = {"host": ctx.config.name}
    if now.load is not None:
        shown["load"] = "  ".join(f"{average:.2f}" for average in now.load)
    if now.memory is not None:
        shown["memory available"] = f"{_gib(now.memory.available)} of {_gib(now.memory.total)}"
    if now.disk is not None:
        shown["disk available"] = f"{_gib(now.disk.available)} of {_gib(now.disk.total)}"
    if now.temperature is not None:
        shown["temperature"] = f"{now.temperature:.0f} °C"
    return shown


def sampled(host: str, before: Readings, now: Readings, seconds: float) -> HostSampled:
    """The event for `now`, with rates over the `seconds` since `before`."""
    found: dict[str, float | int | None] = {}
    if now.load is not None:
        found["load_1m"], found["load_5m"], found["load_15m"] = now.load
    if now.cpu is not None and before.cpu is not None:
        found["cpu_percent"] = _rounded(cpu_percent(before.cpu, now.cpu))
    if now.memory is not None:
        found |= {"memory_total_bytes": now.memory.total, "memory_available_bytes": now.memory.available}
    if now.disk is not None:
        found |= {"disk_total_bytes": now.disk.total, "disk_available_bytes": now.disk.available}
    found["disk_read_bytes_s"], found["disk_written_bytes_s"] = _rates(before.disks, now.disks, seconds)
    found["net_received_bytes_s"], found["net_sent_bytes_s"] = _rates(before.network, now.network, seconds)
    found["temperature_c"] = _rounded(now.temperature)
    return HostSampled(host, **{name: value for name, value in found.items() if value is not None})


def _rates(before: Traffic | None, now: Traffic | None, seconds: float) -> tuple[int | None, int | None]:
    if before is None or now is None:
        return None, None
    inward = per_second(before.inward, now.inward, seconds)
    outward = per_second(before.outward, now.outward, seconds)
    return None if inward is None else round(inward), None if outward is None else round(outward)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
