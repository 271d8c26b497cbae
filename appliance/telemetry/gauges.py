"""Numbers of the log and the bus, read when someone scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["Readings", "readings", "webhook_readings"]

Reading = Callable[[], float]


class Readings(Collector):
    """Metrics that are functions. `registry.register(readings)` publishes them.

    Args:
        counters: by name, what only rises: help text and how to read it.
        gauges: the same, for what rises and falls.
    """

    def __init__(self, counters: dict[str, tuple[str, Reading]], gauges: dict[str, tuple[str, Reading]]) -> None:
        self._counters = counters
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        for name, (text, read) in self._counters.items():
            yield CounterMetricFamily(f"appliance_{name}", text, value=read())
        for name, (text, read) in self._gauges.items():
            yield GaugeMetricFamily(f"appliance_{name}", text, value=read())


class _Written(Protocol):
    commits: int
    events: int


class _Log(Protocol):
    @property
    def written(self) -> _Written: ...

    @property
    def waiting(self) -> int: ...


class _Bus(Protocol):
    """Counts of `bus.Bus`."""

    @property
    def members(self) -> int: ...

    @property
    def emitted(self) -> int: ...

    @property
    def delivered(self) -> int: ...

    @property
    def coalesced(self) -> int: ...

    @property
    def lagged(self) -> int: ...

    @property
    def cut(self) -> int: ...

    @property
    def behind(self) -> int: ...

    @property
    def audiences(self) -> int: ...

    @property
    def held(self) -> int: ...


class _Webhooks(Protocol):
    @property
    def couriers(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    def attempts(self, outcome: str) -> int: ...


def webhook_readings(webhooks: _Webhooks) -> Readings:
    """What webhooks count."""
    return Readings(
        counters={
            "webhook_deliveries_success": ("deliveries that arrived", lambda: webhooks.attempts("success")),
            "webhook_deliveries_retry": ("attempts that will be repeated", lambda: webhooks.attempts("retry")),
            "webhook_deliveries_failed": ("deliveries given up", lambda: webhooks.attempts("failed")),
        },
        gauges={
            "webhook_endpoints": ("webhooks that are active", lambda: webhooks.couriers),
            "webhook_deliveries_waiting": ("deliveries begun and not settled", lambda: webhooks.waiting),
        },
    )


def readings(log: _Log, bus: _Bus, clients: Sized) -> Readings:
    """What the log, the bus and the connection manager count."""
    return Readings(
        counters={
            "log_events": ("events committed since the start", lambda: log.written.events),
            "log_commits": ("transactions they were committed in", lambda: log.written.commits),
            "events_emitted": ("events shown to the bus, stored and ephemeral", lambda: bus.emitted),
            "events_delivered": ("events handed to live readers, each counted for each", lambda: bus.delivered),
            "events_coalesced": ("ephemeral events that a newer one replaced", lambda: bus.coalesced),
            "events_lagged": ("events that readers had to fetch from the log again", lambda: bus.lagged),
            "readers_cut": ("readers closed because they stayed behind", lambda: bus.cut),
        },
        gauges={
            "log_waiting": ("writes begun and not yet acknowledged", lambda: log.waiting),
            "subscribers": ("live readers", lambda: bus.members),
            "subscribers_behind": ("of them, behind the newest event", lambda: bus.behind),
            "audiences": ("groups of readers that share ready bytes", lambda: bus.audiences),
            "ring_bytes": ("ready bytes held for readers", lambda: bus.held),
            "clients": ("live connections", lambda: len(clients)),
        },
    )
