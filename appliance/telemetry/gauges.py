"""The metrics of the rooms, read when someone scrapes. Whoever counts keeps plain numbers; here they get names.

The names without a prefix are those that monitoring of event streams agreed on; what is ours alone begins with
`appliance_`. Rendering runs in a thread, so everything read here is a number or a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.model.buckets import Buckets
from appliance.telemetry.service import Telemetry

__all__ = ["Readings", "canary_readings", "event_readings", "readings", "stream_readings", "webhook_readings"]

Reading = Callable[[], float]
Rows = Callable[[], Mapping[tuple[str, ...], float]]

TRANSPORTS = ("websocket", "sse")


class Readings(Collector):
    """Metrics that are functions. `registry.register(readings)` publishes them.

    Args:
        counters: by name, what only rises: help text and how to read it.
        gauges: the same, for what rises and falls.
        tables: the same for counters and gauges with labels: kind, help text, labels, how to read them.
        histograms: by name: help text and what was observed.
    """

    def __init__(
        self,
        counters: Mapping[str, tuple[str, Reading]],
        gauges: Mapping[str, tuple[str, Reading]],
        *,
        tables: Mapping[str, tuple[str, str, Sequence[str], Rows]] | None = None,
        histograms: Mapping[str, tuple[str, Buckets]] | None = None,
    ) -> None:
        self._counters = counters
        self._gauges = gauges
        self._tables = tables or {}
        self._histograms = histograms or {}

    def collect(self) -> Iterable[Metric]:
        for name, (text, read) in self._counters.items():
            yield CounterMetricFamily(name, text, value=read())
        for name, (text, read) in self._gauges.items():
            yield GaugeMetricFamily(name, text, value=read())
        for name, (kind, text, labels, rows) in self._tables.items():
            yield from self._table(name, kind, text, labels, rows())
        for name, (text, buckets) in self._histograms.items():
            yield HistogramMetricFamily(name, text, buckets=list(buckets.rows()), sum_value=buckets.sum)

    def _table(
        self, name: str, kind: str, text: str, labels: Sequence[str], rows: Mapping[tuple[str, ...], float]
    ) -> Iterator[Metric]:
        made = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
        family = made(name, text, labels=list(labels))
        for key, value in sorted(rows.items()):
            family.add_metric(list(key), value)
        yield family


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
    def live(self) -> Mapping[str, int]: ...

    @property
    def late(self) -> Mapping[str, int]: ...

    @property
    def falls(self) -> Mapping[str, int]: ...

    @property
    def fullness(self) -> float: ...

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


class _Clients(Protocol):
    def __len__(self) -> int: ...

    def received(self, transport: str) -> int: ...


class _Figures(Protocol):
    @property
    def outcomes(self) -> Mapping[str, int]: ...

    @property
    def seconds(self) -> Buckets: ...

    @property
    def attempts(self) -> Buckets: ...


class _Webhooks(Protocol):
    @property
    def couriers(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    @property
    def figures(self) -> _Figures: ...


def readings(log: _Log, bus: _Bus, clients: _Clients, limit: int) -> Readings:
    """What the log, the bus and the connection manager count.

    Args:
        limit: live connections there may be.
    """

    def delivered() -> Mapping[tuple[str, ...], float]:
        return {
            (transport, status): counts.get(transport, 0)
            for status, counts in (("live", bus.live), ("late", bus.late))
            for transport in TRANSPORTS
        }

    def sent() -> float:
        return bus.live.get("websocket", 0) + bus.late.get("websocket", 0)

    return Readings(
        counters={
            "appliance_log_events": ("events committed since the start", lambda: log.written.events),
            "appliance_log_commits": ("transactions they were committed in", lambda: log.written.commits),
            "appliance_events_coalesced": ("ephemeral events that a newer one replaced", lambda: bus.coalesced),
            "appliance_readers_cut": ("readers closed because they stayed behind", lambda: bus.cut),
            "broadcast_channel_lag_events": (
                "events that readers fell behind by and had to fetch from the log again",
                lambda: bus.lagged,
            ),
            "websocket_messages_sent": ("events sent over WebSockets; answers to commands do not count", sent),
            "websocket_messages_received": (
                "messages that came over WebSockets",
                lambda: clients.received("websocket"),
            ),
            "websocket_lag": (
                "times a WebSocket fell so far behind that it read from the log again",
                lambda: bus.falls.get("websocket", 0),
            ),
        },
        gauges={
            "appliance_log_waiting": ("writes begun and not yet acknowledged", lambda: log.waiting),
            "appliance_subscribers": ("live readers", lambda: bus.members),
            "appliance_subscribers_behind": ("of them, behind the newest event", lambda: bus.behind),
            "appliance_audiences": ("groups of readers that share ready bytes", lambda: bus.audiences),
            "appliance_ring_bytes": ("ready bytes held for readers", lambda: bus.held),
            "appliance_clients": ("live connections", lambda: len(clients)),
            "appliance_clients_limit": ("live connections there may be", lambda: limit),
            "broadcast_channel_utilization": (
                "share of its ring that the reader furthest behind has still to read; at 1 it falls out",
                lambda: bus.fullness,
            ),
        },
        tables={
            "events_delivered": (
                "counter",
                "events handed to live readers, each counted for each: as they came (live), or afterwards (late)",
                ("transport", "status"),
                delivered,
            )
        },
    )


def event_readings(telemetry: Telemetry) -> Readings:
    """What telemetry saw pass."""
    return Readings(
        counters={
            "appliance_telemetry_unwritten": (
                "lines about events and connections that were left out in floods",
                lambda: telemetry.unwritten,
            )
        },
        gauges={},
        tables={
            "events_emitted": (
                "counter",
                "events shown to live readers, stored and ephemeral",
                ("type",),
                lambda: {(type,): count for type, count in telemetry.emitted.counts().items()},
            ),
            "queue_depth": (
                "gauge",
                "jobs of all namespaces, as the newest QueueStatus of each tells",
                ("state",),
                lambda: {(state,): count for state, count in telemetry.queue.items()},
            ),
            "jobs": (
                "counter",
                "jobs that ended",
                ("type", "outcome"),
                lambda: {(type, outcome): count for (type, outcome), count in telemetry.jobs.copy().items()},
            ),
        },
        histograms={
            "event_emit_latency_seconds": (
                "time from a write's beginning until its commit is acknowledged, of the first write of each commit",
                telemetry.emit,
            ),
            "event_delivery_latency_seconds": (
                "time from the commit until every reader that keeps up was offered the event, one round in turn",
                telemetry.delivery,
            ),
            "ws_connection_duration_seconds": ("how long WebSockets of live clients stayed", telemetry.stays),
            "job_duration_seconds": ("how long jobs ran that were completed", telemetry.job_times),
        },
    )


class _Ledger(Protocol):
    runs: int

    @property
    def last(self) -> Mapping[str, float]: ...

    @property
    def misses(self) -> Mapping[str, int]: ...


def canary_readings(ledger: _Ledger) -> Readings:
    """How the canary fared."""
    return Readings(
        counters={"appliance_canary_runs": ("test events sent on their way", lambda: ledger.runs)},
        gauges={},
        tables={
            "appliance_canary_latency_seconds": (
                "gauge",
                "time the newest test event took, by leg; a leg it did not arrive on is not there",
                ("leg",),
                lambda: {(leg,): seconds for leg, seconds in ledger.last.items()},
            ),
            "appliance_canary_misses": (
                "counter",
                "test events that did not arrive, by leg",
                ("leg",),
                lambda: {(leg,): count for leg, count in ledger.misses.items()},
            ),
        },
    )


def stream_readings(counts: Callable[[], Mapping[str, int]]) -> Readings:
    """The nine numbers of the event streams (server-sent events)."""

    def reading(name: str) -> Reading:
        return lambda: counts()[name]

    return Readings(
        counters={
            "sse_connections": ("event streams opened", reading("connections_total")),
            "sse_disconnections": ("event streams that ended", reading("disconnections_total")),
            "sse_events_emitted": ("events shown while streams could be open", reading("events_emitted")),
            "sse_events_delivered": ("events handed to live readers of all kinds", reading("events_delivered")),
            "sse_events_coalesced": ("progress and status that newer ones replaced", reading("events_coalesced")),
            "sse_events_lagged": ("notices to event streams that they fell behind", reading("events_lagged")),
            "sse_replays_success": ("event streams that went on where they had stopped", reading("replays_success")),
            "sse_replays_expired": ("event streams whose past was not kept any more", reading("replays_expired")),
        },
        gauges={"sse_active_connections": ("event streams open now", reading("active_connections"))},
    )


def webhook_readings(webhooks: _Webhooks) -> Readings:
    """What webhooks count."""
    figures = webhooks.figures
    return Readings(
        counters={},
        gauges={
            "appliance_webhook_endpoints": ("webhooks that are active", lambda: webhooks.couriers),
            "appliance_webhook_deliveries_waiting": ("deliveries begun and not settled", lambda: webhooks.waiting),
        },
        tables={
            "webhook_deliveries": (
                "counter",
                "attempts to deliver: arrived (success), to be repeated (retry), given up (failed)",
                ("status",),
                lambda: {(status,): figures.outcomes.get(status, 0) for status in ("success", "retry", "failed")},
            )
        },
        histograms={
            "webhook_delivery_duration_seconds": ("how long one attempt took, its answer included", figures.seconds),
            "webhook_retry_attempts": ("attempts that a delivery took until it was settled", figures.attempts),
        },
    )
