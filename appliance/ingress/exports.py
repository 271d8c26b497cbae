"""`GET /export`: the log as lines that `/import` takes, page by page.

    {"id","stream","type","pos","gpos","data","meta","time"}

It ends at what was newest when it began. To go on later, or after a broken line, ask again with
`after` = the last `gpos` seen.
"""

from __future__ import annotations

import zlib

import msgspec

from appliance.auth.dialect import in_dialect, invalid
from appliance.clock import parse_stamp, stamp
from appliance.errors import ApplianceError
from appliance.ingress.listing import Pages, behind
from appliance.ingress.rpc import only
from appliance.model.event import Page, Query
from appliance.model.http import Answer, Exchange, Request, Stream
from appliance.model.principal import READ, Principal
from appliance.world import World

__all__ = ["Exporter"]

PIECE = 1000  # messages of a page
GZIP_WINDOW = 31  # zlib's number for "with a gzip header"
GZIP_LEVEL = 6
LINE = b'{"id":%b,"stream":%b,"type":%b,"pos":%b,"gpos":%b,"data":%b,"meta":%b,"time":%b}\n'

_Row = tuple[
    msgspec.Raw,
    msgspec.Raw,
    msgspec.Raw,
    msgspec.Raw,
    msgspec.Raw,
    msgspec.Raw,
    msgspec.Raw,
    msgspec.Raw,
]
_rows = msgspec.json.Decoder(list[_Row]).decode


class Exporter:
    """Answers `/export?categories=a,b&since=TIME&until=TIME&after=GPOS&gzip=true`; all are optional."""

    def __init__(self, log: Pages, world: World) -> None:
        self._log = log
        self._world = world

    def handle(self, request: Request) -> Answer:
        """Needs `request.principal` (see `Identity.guarded`)."""
        assert request.principal is not None
        try:
            only("GET", request)
            request.principal.require(READ)
            lines = _Lines(_time(request, "since"), _time(request, "until"), request.query.get("gzip") == "true")
            query = self._query(request, request.principal)
        except ApplianceError as error:
            return in_dialect(error).response()

        async def run(exchange: Exchange) -> None:
            await self._send(exchange, query, lines)

        content_type = "application/gzip" if lines.packed else "application/x-ndjson"
        return Stream(run, content_type=content_type, headers=(("x-global-position", str(query.through)),))

    def _query(self, request: Request, who: Principal) -> Query:
        names = [name.strip() for name in request.query.get("categories", "").split(",")]
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            raise invalid("Invalid after parameter")
        return Query(
            who.namespace.key,
            categories=tuple(name for name in names if name),
            global_position=int(after[:20]) + 1,
            through=self._log.head_position(who.namespace.key),
            limit=PIECE,
        )

    async def _send(self, exchange: Exchange, query: Query, lines: _Lines) -> None:
        while True:
            page = await self._log.page(query)
            if page.count:
                await _write(exchange, await self._world.in_thread(lambda page=page: lines.of(page)))  # type: ignore[misc]
            if not page.cut and page.count < PIECE:
                break
            query = behind(query, page)
        await _write(exchange, lines.end())


class _Lines:
    """Pages as lines, perhaps packed. Called in a thread, one page at a time."""

    def __init__(self, since: str | None, until: str | None, packed: bool) -> None:
        self.packed = packed
        self._since = b"" if since is None else since.encode()
        self._until = b"" if until is None else until.encode()
        self._pack = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW) if packed else None

    def of(self, page: Page) -> bytes:
        rows = _rows(f"[{page.text}]")
        text = b"".join([LINE % row for row in rows if self._wanted(bytes(row[-1])[1:-1])])
        return self._pack.compress(text) if self._pack is not None else text

    def end(self) -> bytes:
        return self._pack.flush() if self._pack is not None else b""

    def _wanted(self, time: bytes) -> bool:
        """Times are written with equal lengths in UTC: their order is that of their letters."""
        return time >= self._since and (not self._until or time < self._until)


async def _write(exchange: Exchange, data: bytes) -> None:
    if data:  # an empty chunk would end the body
        await exchange.write(data)


def _time(request: Request, name: str) -> str | None:
    """A bound as it is stored: from RFC 3339, or a date, which begins at midnight UTC."""
    given = request.query.get(name)
    if not given:
        return None
    try:
        return stamp(parse_stamp(f"{given}T00:00:00Z" if len(given) == len("2026-01-31") else given))
    except (ValueError, OverflowError) as error:
        raise invalid(f"Invalid {name} parameter") from error
