"""`bench`: how fast is it here? A few seconds against a running server, in a namespace of its own.

The figures are what a Python client sees, with its own work in them; the load generator of the source tree measures
the server alone.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

import click
import trio

from appliance.cli.base import Count, verb
from appliance.cli.desk import Desk, with_desk
from appliance.cli.render import table
from appliance.client import AsyncClient, Topic

__all__ = ["Figure", "commands", "quantile"]

DATA = {"text": "x" * 100}
PAGE = 100  # events of the read that is measured


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured."""

    what: str
    connections: int
    per_second: float
    p50_ms: float
    p95_ms: float


@verb(
    "bench",
    examples=["appliance bench", "appliance bench --seconds 5 --connections 64"],
    fields='{"figures": [{what, connections, per_second, p50_ms, p95_ms}]}',
)
@click.option("--seconds", metavar="S", type=Count(), default=2, help="of each part (2)")
@click.option("--connections", metavar="N", type=Count(), default=16, help="at once (16)")
@with_desk
def bench(desk: Desk, seconds: int, connections: int) -> None:
    """Measure writes, reads and pokes of a running server. Makes a namespace for it and removes it."""
    namespace = f"bench-{time.time_ns():x}"
    server = desk.server
    with desk.client() as owner:
        made = owner.create_namespace(namespace, "appliance bench, removed at its end")
        try:
            figures = trio.run(_measure, server.url, made.token, server.ca, seconds, connections, desk)
        finally:
            owner.delete_namespace(namespace)
    rows = [(f.what, f.connections, f"{f.per_second:,.0f}", f"{f.p50_ms:.2f}", f"{f.p95_ms:.2f}") for f in figures]
    desk.progress("", last=desk.err.isatty())
    desk.show(
        {"figures": [asdict(figure) for figure in figures]},
        table(rows, ("", "connections", "per second", "p50 ms", "p95 ms"), desk.paint, right=(1, 2, 3, 4)),
    )


async def _measure(url: str, token: str, ca: str, seconds: int, connections: int, desk: Desk) -> list[Figure]:
    async with AsyncClient(url, token, ca=ca) as client:

        async def write(worker: int) -> None:
            await client.write(f"bench-{worker}", "Measured", DATA)

        async def read(worker: int) -> None:
            async for _ in client.get_category("bench", limit=PAGE):
                pass

        figures = []
        for what, work, workers in (
            ("durable write, alone", write, 1),
            ("durable write", write, connections),
            (f"read of {PAGE}", read, connections),
        ):
            desk.progress(f"measuring: {what}…")
            figures.append(await _part(what, work, workers, seconds))
        desk.progress("measuring: pokes…")
        figures.append(await _pokes(client, seconds))
        return figures


async def _part(what: str, work: Callable[[int], Awaitable[None]], workers: int, seconds: int) -> Figure:
    times: list[float] = []

    async def again(worker: int) -> None:
        while True:
            begun = time.perf_counter()
            await work(worker)
            times.append(time.perf_counter() - begun)

    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for worker in range(workers):
                nursery.start_soon(again, worker)
    return _figure(what, workers, times, seconds)


async def _pokes(client: AsyncClient, seconds: int) -> Figure:
    """From the beginning of a write to the arrival of its poke on another connection."""
    times: list[float] = []
    with trio.move_on_after(seconds):
        async with client.subscribe(Topic("poked-1"), 0) as pokes:
            while True:
                begun = time.perf_counter()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(client.write, "poked-1", "Measured")
                    await anext(pokes)
                    times.append(time.perf_counter() - begun)
    return _figure("write to poke", 1, times, seconds)


def _figure(what: str, workers: int, times: Sequence[float], seconds: int) -> Figure:
    return Figure(what, workers, len(times) / seconds, 1000 * quantile(times, 0.5), 1000 * quantile(times, 0.95))


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


commands = {"bench": bench}
