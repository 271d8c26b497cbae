"""Metrics of the log, the bus and the connection manager."""

from __future__ import annotations

from types import SimpleNamespace

from prometheus_client import CollectorRegistry, generate_latest

from appliance.model.buckets import Buckets
from appliance.telemetry.gauges import readings, stream_readings, webhook_readings


class Clients(list[str]):
    def received(self, transport: str) -> int:
        return 5 if transport == "websocket" else 0


def rendered(*collectors: object) -> list[str]:
    registry = CollectorRegistry()
    for one in collectors:
        registry.register(one)  # type: ignore[arg-type]
    return generate_latest(registry).decode().splitlines()


def test_what_log_and_bus_count_is_read_when_scraped():
    log = SimpleNamespace(written=SimpleNamespace(commits=2, events=9), waiting=1)
    bus = SimpleNamespace(
        members=3, live={"websocket": 10, "sse": 2}, late={"sse": 4}, falls={"websocket": 2}, fullness=0.25,
        coalesced=5, lagged=6, cut=7, behind=1, audiences=2, held=800,
    )  # fmt: skip
    collector = readings(log, bus, Clients(["a client", "another"]), 1000)

    log.written.events = 10

    assert {
        "appliance_log_events_total 10.0",
        "appliance_log_commits_total 2.0",
        "appliance_log_waiting 1.0",
        "appliance_subscribers 3.0",
        'events_delivered_total{status="live",transport="websocket"} 10.0',
        'events_delivered_total{status="late",transport="websocket"} 0.0',
        'events_delivered_total{status="late",transport="sse"} 4.0',
        "appliance_events_coalesced_total 5.0",
        "broadcast_channel_lag_events_total 6.0",
        "broadcast_channel_utilization 0.25",
        "appliance_readers_cut_total 7.0",
        "appliance_subscribers_behind 1.0",
        "appliance_audiences 2.0",
        "appliance_ring_bytes 800.0",
        "appliance_clients 2.0",
        "appliance_clients_limit 1000.0",
        "websocket_messages_sent_total 10.0",
        "websocket_messages_received_total 5.0",
        "websocket_lag_total 2.0",
    } <= set(rendered(collector))


def test_the_nine_numbers_of_event_streams_have_names_of_their_own():
    names = (
        *("connections_total", "disconnections_total", "active_connections", "events_emitted", "events_delivered"),
        *("events_coalesced", "events_lagged", "replays_success", "replays_expired"),
    )
    counts = {name: number for number, name in enumerate(names, 1)}

    lines = [line for line in rendered(stream_readings(lambda: counts)) if not line.startswith("#")]

    assert sorted(lines) == sorted(
        f"sse_{name}{'' if name.endswith('_total') or name.startswith('active') else '_total'} {number}.0"
        for name, number in counts.items()
    )


def test_webhooks_are_counted_by_outcome_and_timed():
    figures = SimpleNamespace(outcomes={"success": 2, "retry": 1}, seconds=Buckets(), attempts=Buckets((1, 2)))
    figures.seconds.observe(0.2)
    figures.attempts.observe(2)

    lines = set(rendered(webhook_readings(SimpleNamespace(couriers=1, waiting=0, figures=figures))))

    assert {
        'webhook_deliveries_total{status="success"} 2.0',
        'webhook_deliveries_total{status="retry"} 1.0',
        'webhook_deliveries_total{status="failed"} 0.0',
        'webhook_delivery_duration_seconds_bucket{le="0.25"} 1.0',
        'webhook_retry_attempts_bucket{le="1"} 0.0',
        'webhook_retry_attempts_bucket{le="2"} 1.0',
        "webhook_retry_attempts_count 1.0",
    } <= lines
