"""Metrics of the log, the bus and the connection manager."""

from types import SimpleNamespace

from prometheus_client import CollectorRegistry, generate_latest

from appliance.telemetry.gauges import readings


def test_what_log_and_bus_count_is_read_when_scraped():
    log = SimpleNamespace(written=SimpleNamespace(commits=2, events=9), waiting=1)
    registry = CollectorRegistry()
    bus = SimpleNamespace(
        members=3, emitted=4, delivered=12, coalesced=5, lagged=6, cut=7, behind=1, audiences=2, held=800
    )
    registry.register(readings(log, bus, ["a client", "another"]))

    log.written.events = 10
    text = generate_latest(registry).decode()

    for line in (
        "appliance_log_events_total 10.0",
        "appliance_log_commits_total 2.0",
        "appliance_log_waiting 1.0",
        "appliance_subscribers 3.0",
        "appliance_events_emitted_total 4.0",
        "appliance_events_delivered_total 12.0",
        "appliance_events_coalesced_total 5.0",
        "appliance_events_lagged_total 6.0",
        "appliance_readers_cut_total 7.0",
        "appliance_subscribers_behind 1.0",
        "appliance_audiences 2.0",
        "appliance_ring_bytes 800.0",
        "appliance_clients 2.0",
    ):
        assert line in text
