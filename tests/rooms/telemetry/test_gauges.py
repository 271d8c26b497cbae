"""Metrics of the log and the bus."""

from types import SimpleNamespace

from prometheus_client import CollectorRegistry, generate_latest

from appliance.telemetry.gauges import readings


def test_what_log_and_bus_count_is_read_when_scraped():
    log = SimpleNamespace(written=SimpleNamespace(commits=2, events=9), waiting=1)
    registry = CollectorRegistry()
    registry.register(readings(log, SimpleNamespace(members=3)))

    log.written.events = 10
    text = generate_latest(registry).decode()

    for line in (
        "appliance_log_events_total 10.0",
        "appliance_log_commits_total 2.0",
        "appliance_log_waiting 1.0",
        "appliance_subscribers 3.0",
    ):
        assert line in text
