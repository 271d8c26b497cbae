"""What the front counts. Plain numbers while serving; families only when someone scrapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import trio
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.model.closecodes import Close
from appliance.model.http import Lane, Request, Response, Route
from appliance.world import World

__all__ = ["Meter", "metrics_route"]

_PREFIX = "appliance_web_"
_NO_CODE, _NO_FRAME = 1005, 1006  # of WebSockets whose peer said nothing, or was gone


class Meter(Collector):
    """Counts of one front. `registry.register(meter)` publishes them."""

    def __init__(self) -> None:
        self.accepted = 0  # connections ever
        self.open = 0
        self.streams = 0  # streaming answers open
        self.sockets = 0  # WebSockets open
        self.bugs = 0  # what reached the wall, or made a 500 or a 1011
        self.behind = 0  # connections that needed a catch-up task
        self.body_bytes = 0  # request bodies in flight
        self.requests: Counter[tuple[str, int]] = Counter()  # (lane, status class)
        self.refusals: Counter[str] = Counter()
        self.upgraded = 0  # WebSockets ever
        self.turned_down: Counter[str] = Counter()  # upgrades refused, by the code of the error
        self.closes: Counter[int] = Counter()  # close codes of WebSockets
        self.ended: Counter[int] = Counter()  # close codes of the streams that we ended
        self.unauthorized = 0  # answers that say 401

    def request(self, lane: str, status: int) -> None:
        self.requests[lane, status // 100] += 1
        self.bugs += status == 500
        self.unauthorized += status == 401

    def collect(self) -> Iterable[Metric]:
        yield self._gauge("connections", "open connections", self.open)
        yield self._gauge("streams", "streaming answers open", self.streams)
        yield self._gauge("body_bytes", "bytes of request bodies in flight", self.body_bytes)
        yield self._counter("accepted", "connections accepted", [((), self.accepted)])
        yield self._counter("bugs", "errors nobody expected", [((), self.bugs)])
        yield self._counter("behind", "peers that needed a catch-up task", [((), self.behind)])
        requests = [((lane, f"{status}xx"), n) for (lane, status), n in self.requests.copy().items()]
        yield self._counter("requests", "requests answered", requests, "lane", "status")
        refusals = [((reason,), n) for reason, n in self.refusals.copy().items()]
        yield self._counter("refusals", "requests and connections refused by the front", refusals, "reason")
        yield self._counter("stream_closes", "event streams that we ended", _by_reason(self.ended), "reason")
        failures = [((), self.unauthorized)]
        yield self._counter("auth_failures", "requests without good credentials (401)", failures, prefix="")
        yield from self._of_sockets()

    def _of_sockets(self) -> Iterable[Metric]:
        refused = [((reason,), n) for reason, n in self.turned_down.copy().items()]
        tried = [(("accepted",), self.upgraded), (("rejected",), sum(n for _, n in refused))]
        yield GaugeMetricFamily("ws_connections_active", "WebSockets open", value=self.sockets)
        yield self._counter("ws_connections", "requests for a WebSocket", tried, "status", prefix="")
        name = "websocket_connections"
        yield self._counter(f"{name}_rejected", "WebSockets refused, by error code", refused, "reason", prefix="")
        yield self._counter(f"{name}_closed", "WebSockets ended", _by_reason(self.closes), "reason", prefix="")

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        return GaugeMetricFamily(f"{_PREFIX}{name}", text, value=value)

    def _counter(
        self, name: str, text: str, values: Iterable[tuple[tuple[str, ...], int]], *labels: str, prefix: str = _PREFIX
    ) -> Metric:
        family = CounterMetricFamily(f"{prefix}{name}", text, labels=labels)
        for key, value in values:
            family.add_metric(list(key), value)
        return family


def _by_reason(codes: Counter[int]) -> list[tuple[tuple[str, ...], int]]:
    """Counts by the names of close codes; peers may make up codes of their own."""
    known = {code.value: code.name.lower() for code in Close} | {_NO_CODE: "no_code", _NO_FRAME: "lost"}
    named: Counter[str] = Counter()
    for code, count in codes.copy().items():
        named[known.get(code, "other")] += count
    return [((reason,), count) for reason, count in named.items()]


def metrics_route(registry: CollectorRegistry, world: World, *, scope: str | None = None) -> Route:
    """`GET /metrics`. Rendered in a thread: some hundred series take milliseconds, and the loop has no pauses."""
    render: Callable[[], bytes] = lambda: generate_latest(registry)  # noqa: E731 - a thunk for the thread
    tasks = Gauge("appliance_tasks", "tasks alive; back where it was once a crowd has left", registry=registry)

    async def metrics(_: Request) -> Response:
        tasks.set(trio.lowlevel.current_statistics().tasks_living)  # known on the loop only
        return Response(200, await world.in_thread(render), "text/plain; version=0.0.4; charset=utf-8")

    return Route(
        "GET", "/metrics", metrics, "Counters and gauges for Prometheus.", scope, lane=Lane.FAST, tags=("operations",)
    )
