"""A front on loopback with one route of every kind, and a plain peer to talk to it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import trio

from appliance.errors import Unauthenticated
from appliance.model.event import Namespace
from appliance.model.frames import text_frame
from appliance.model.http import (
    Exchange,
    Lane,
    Request,
    Response,
    Route,
    Socket,
    SocketRoute,
    Stream,
    json_response,
)
from appliance.model.principal import Principal
from appliance.web.front import Front
from appliance.web.limits import Limits
from appliance.web.listen import listen
from appliance.world import RealWorld

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
LIMITS = replace(Limits(), goodbye=0.3)


def get(path: str, *fields: str, method: str = "GET") -> bytes:
    return "".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/1.1", "Host: a", *fields, "")).encode()


def post(path: str, body: bytes, *fields: str) -> bytes:
    return get(path, f"Content-Length: {len(body)}", *fields, method="POST") + body


def upgrade(path: str = "/ws", *fields: str) -> bytes:
    asked = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}")
    return get(path, *asked, *fields)


def masked(data: bytes, opcode: int = 1, *, fin: bool = True, rsv: int = 0) -> bytes:
    """A frame as a client sends it, with a mask of zeros."""
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return bytes([fin << 7 | rsv << 4 | opcode]) + length + bytes(4) + data


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Peer:
    """The other end of one connection."""

    stream: trio.abc.Stream
    seen: bytearray = field(default_factory=bytearray)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def ask(self, data: bytes) -> Reply:
        await self.send(data)
        return await self.reply()

    async def reply(self, *, to_head: bool = False) -> Reply:
        reply = await self.head()
        if to_head or reply.status in (100, 101, 204):
            return reply
        if reply.headers.get("transfer-encoding") == "chunked":
            while piece := await self.chunk():
                reply.body += piece
        else:
            reply.body = await self.exactly(int(reply.headers["content-length"]))
        return reply

    async def head(self) -> Reply:
        lines = (await self.until(b"\r\n\r\n")).decode().split("\r\n")
        fields = [line.split(": ", 1) for line in lines[1:] if line]
        return Reply(int(lines[0].split(" ")[1]), {name.lower(): value for name, value in fields})

    async def chunk(self) -> bytes:
        size = int(await self.until(b"\r\n"), 16)
        return (await self.exactly(size + 2))[:-2]

    async def frame(self) -> tuple[int, bytes]:
        """(opcode, payload) of one frame from the server."""
        first, size = await self.exactly(2)
        if size >= 126:
            size = int.from_bytes(await self.exactly(2 if size == 126 else 8), "big")
        return first & 15, await self.exactly(size)

    async def until(self, mark: bytes) -> bytes:
        while mark not in self.seen:
            await self._more()
        at = self.seen.index(mark) + len(mark)
        data = bytes(self.seen[:at])
        del self.seen[:at]
        return data

    async def exactly(self, size: int) -> bytes:
        while len(self.seen) < size:
            await self._more()
        data = bytes(self.seen[:size])
        del self.seen[:size]
        return data

    async def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        try:
            while True:
                await self._more()
        except (EOFError, trio.BrokenResourceError):
            data = bytes(self.seen)
            self.seen.clear()
            return data

    async def _more(self) -> None:
        data = await self.stream.receive_some()
        if not data:
            raise EOFError("the server ended the connection")
        self.seen += data


@dataclass
class House:
    """A running front, and what its routes saw."""

    front: Front
    nursery: trio.Nursery
    seen: list[str]
    peers: list[Peer] = field(default_factory=list)

    async def peer(self) -> Peer:
        peer = Peer(await trio.open_tcp_stream("127.0.0.1", self.front.port))
        self.peers.append(peer)
        return peer

    async def settled(self, connections: int = 0) -> None:
        """Wait until so many connections are open."""
        while self.front.counts["connections"] != connections:
            await trio.lowlevel.checkpoint()


class Later:
    """Something begun; done when its event is set."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        self.ready = trio.Event()

    def __await__(self):
        yield from self.ready.wait().__await__()
        return self.answer


def authenticate(request: Request) -> Principal:
    match request.headers.get("authorization"):
        case "Bearer reader":
            return Principal(Namespace(1, "default"), frozenset({"read"}))
        case "Bearer admin":
            return Principal(Namespace(1, "default"), frozenset({"admin"}))
        case _:
            raise Unauthenticated("bring a token")


def stock_routes(seen: list[str]) -> list[Route]:
    def fast(request: Request) -> Response:
        seen.append(f"fast {request.raw_query}")
        return Response(200, b"fast " + request.raw_query.encode(), "text/plain")

    def echo(request: Request) -> Response:
        return Response(200, request.body, "application/octet-stream")

    async def rest(request: Request) -> Response:
        seen.append("rest")
        return json_response(
            {"name": request.params.get("name", ""), "body": request.body.decode(), "peer": request.peer}
        )

    def broken(_: Request) -> Response:
        raise KeyError("a bug")

    async def broken_later(_: Request) -> Response:
        raise KeyError("a bug")

    def secret(request: Request) -> Response:
        assert request.principal is not None
        return json_response(sorted(request.principal.scopes))

    async def count(exchange: Exchange) -> None:
        for n in range(3):
            await exchange.write(f"data: {n}\n\n".encode())

    async def follow(exchange: Exchange) -> None:
        await exchange.write(b": ready\n\n")
        await exchange.closed()
        seen.append("left")

    async def fails(exchange: Exchange) -> None:
        await exchange.write(b"some")
        raise KeyError("a bug")

    async def upload(request: Request) -> Response:
        assert request.chunks is not None
        size = 0
        async for piece in request.chunks():
            size += len(piece)
        return json_response({"size": size})

    async def refuse_upload(_: Request) -> Response:
        raise Unauthenticated("bring a token")

    async def progress(request: Request) -> Stream:
        async def run(exchange: Exchange) -> None:
            assert request.chunks is not None
            async for piece in request.chunks():
                await exchange.write(piece)

        return Stream(run, content_type="text/plain")

    return [
        Route("GET", "/fast", fast, "fast", lane=Lane.FAST),
        Route("POST", "/echo", echo, "echo", lane=Lane.FAST),
        Route("GET", "/rest", rest, "rest"),
        Route("PUT", "/rest/{name}", rest, "rest"),
        Route("GET", "/broken", broken, "broken", lane=Lane.FAST),
        Route("GET", "/broken-later", broken_later, "broken", lane=Lane.FAST),
        Route("GET", "/broken-rest", broken, "broken"),
        Route("GET", "/secret", secret, "secret", "write", lane=Lane.FAST),
        Route("GET", "/read", secret, "secret", "read", lane=Lane.FAST),
        Route("GET", "/count", lambda _: Stream(count), "count", lane=Lane.FAST),
        Route("GET", "/count-rest", lambda _: Stream(count), "count"),
        Route("GET", "/follow", lambda _: Stream(follow), "follow", lane=Lane.FAST),
        Route("GET", "/fails", lambda _: Stream(fails), "fails", lane=Lane.FAST),
        Route("POST", "/upload", upload, "upload", lane=Lane.FAST, streaming=True),
        Route("POST", "/upload-rest", upload, "upload", streaming=True),
        Route("POST", "/small-upload", upload, "upload", lane=Lane.FAST, streaming=True, body_limit=1000),
        Route("POST", "/refuse-upload", refuse_upload, "upload", lane=Lane.FAST, streaming=True),
        Route("POST", "/progress", progress, "progress", lane=Lane.FAST, streaming=True),
        Route("*", "/any", fast, "any", lane=Lane.FAST),
        Route("GET", "/files/{name:path}", rest, "files", lane=Lane.FAST),
    ]


async def echo_socket(socket: Socket) -> None:
    while True:
        message = await socket.receive()
        data = message.encode() if isinstance(message, str) else message
        await socket.outlet.send_all(text_frame(data))


async def bug_socket(socket: Socket) -> None:
    await socket.receive()
    raise KeyError("a bug")


def stock_sockets() -> list[SocketRoute]:
    return [
        SocketRoute("/ws", echo_socket, "echo", message_limit=1000, subprotocols=("v1", "v2"), binary=True),
        SocketRoute("/ws-secret", echo_socket, "echo", scope="read"),
        SocketRoute("/ws-bug", bug_socket, "bug"),
        SocketRoute("/ws-dialect/{room}", echo_socket, "echo", shutdown_code=1012),
    ]


@asynccontextmanager
async def a_house(
    routes: Callable[[list[str]], Sequence[Route]] = stock_routes,
    sockets: Sequence[SocketRoute] | None = None,
    *,
    limits: Limits = LIMITS,
    tls: ssl.SSLContext | None = None,
    origins: Sequence[str] = (),
) -> AsyncIterator[House]:
    seen: list[str] = []
    front = Front(
        listen("127.0.0.1:0"),
        routes(seen),
        stock_sockets() if sockets is None else sockets,
        authenticate=authenticate,
        limits=limits,
        world=RealWorld(),
        tls=tls,
        origins=origins,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(front.run)
        house = House(front, nursery, seen)
        try:
            yield house
        finally:
            for peer in house.peers:
                await trio.aclose_forcefully(peer.stream)
        nursery.cancel_scope.cancel()
