"""One request to real sockets on loopback: what is judged, what is cut, and what is not followed."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trustme

from appliance.egress.webhooks.addresses import Guard
from appliance.egress.webhooks.sender import Result, Sender
from appliance.egress.webhooks.verdicts import Outcome

Serve = Callable[[trio.abc.Stream], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Server:
    """Keeps the requests it is sent."""

    def __init__(self, serve: Serve) -> None:
        self.serve = serve
        self.port = 0
        self.heads: list[bytes] = []

    async def handle(self, stream: trio.abc.Stream) -> None:
        try:
            data = b""
            while not data.endswith(b"}"):
                part = bytes(await stream.receive_some(65536))
                if not part:
                    return
                data += part
            self.heads.append(data)
            await self.serve(stream)
        except (trio.BrokenResourceError, ssl.SSLError):
            pass  # the sender has left

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=1"


@asynccontextmanager
async def a_server(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(serve)
    async with trio.open_nursery() as nursery:
        start = (
            partial(trio.serve_tcp, server.handle, 0, host="127.0.0.1")
            if tls is None
            else partial(trio.serve_ssl_over_tcp, server.handle, 0, tls, host="127.0.0.1")
        )
        listeners = await nursery.start(start)
        found = listeners[0] if tls is None else listeners[0].transport_listener
        server.port = found.socket.getsockname()[1]
        yield server
        nursery.cancel_scope.cancel()


class Names:
    """A resolver with a script: what a name is, look by look."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def sender(*allow: str, names: Names | None = None, timeout: float = 5.0, tls: ssl.SSLContext | None = None) -> Sender:
    return Sender(Guard(allow or ["127.0.0.1"]), names or Names([]), connections=4, timeout=timeout, tls=tls)


async def posted(room: Sender, url: str, headers: Sequence[tuple[str, str]] = ()) -> Result:
    """One request, with connections that are closed behind it."""
    try:
        return await room.send(url, headers, b"{}")
    finally:
        await room.aclose()


async def answer(data: bytes, stream: trio.abc.Stream) -> None:
    await stream.send_all(data)


async def test_a_request_arrives_with_path_query_and_host():
    async with a_server(partial(answer, OK)) as server:
        result = await posted(sender(), server.url, [("x-one", "1")])

    assert (result.verdict.outcome, result.status, result.answer) == (Outcome.DELIVERED, 200, "ok")
    assert server.heads[0].startswith(b"POST /hook?key=1 HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}\r\n".encode() in server.heads[0]
    assert server.heads[0].endswith(b"\r\nx-one: 1\r\n\r\n{}")


async def test_a_redirect_is_not_followed_and_fails():
    async with a_server(partial(answer, OK)) as other:
        reply = f"HTTP/1.1 302 Found\r\nlocation: {other.url}\r\ncontent-length: 0\r\n\r\n".encode()
        async with a_server(partial(answer, reply)) as server:
            result = await posted(sender(), server.url)

    assert (result.verdict.outcome, result.verdict.error_class) == (Outcome.FAILED, "redirect")
    assert other.heads == []


@pytest.mark.parametrize("bad", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "nonsense"])
async def test_one_bad_address_of_a_name_refuses_it(bad: str):
    names = Names(["93.184.216.34", bad])

    result = await posted(sender("192.0.2.1", names=names), "http://hooks.example.com/")

    assert (result.verdict.outcome, result.verdict.error_class, result.status) == (Outcome.FAILED, "refused", None)


async def test_the_connection_goes_to_the_address_that_was_judged_and_the_name_is_asked_once():
    async with a_server(partial(answer, OK)) as server:
        names = Names(["127.0.0.1"], ["10.0.0.1"])  # what a second look would find
        room = sender("127.0.0.1", "hooks.example.com", names=names)
        result = await room.send(f"http://hooks.example.com:{server.port}/", [], b"{}")
        again = await room.send(f"http://hooks.example.com:{server.port}/", [], b"{}", fresh=True)
        await room.aclose()

    assert (result.verdict.outcome, names.asked) == (Outcome.DELIVERED, 2)
    assert f"host: hooks.example.com:{server.port}\r\n".encode() in server.heads[0]
    assert again.verdict.error_class == "refused"  # a retry judges anew, although a connection is open


async def test_a_proxy_in_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch):
    async with a_server(partial(answer, OK)) as proxy, a_server(partial(answer, OK)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        result = await posted(sender(), server.url)

    assert (result.status, len(server.heads), proxy.heads) == (200, 1, [])


async def test_five_megabytes_are_cut():
    size = 5 * 1024 * 1024

    async def much(stream: trio.abc.Stream) -> None:
        await stream.send_all(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode())
        for _ in range(80):
            await stream.send_all(b"x" * 65536)

    async with a_server(much) as server:
        result = await posted(sender(), server.url)

    assert result.verdict.outcome is Outcome.DELIVERED
    assert len(result.answer) == 4096


async def test_one_that_drips_is_ended_by_the_timeout_over_everything():
    async def drip(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            await stream.send_all(b"x")
            await trio.sleep(0.02)

    async with a_server(drip) as server:
        result = await posted(sender(timeout=0.3), server.url)

    assert (result.verdict.outcome, result.verdict.error_class) == (Outcome.RETRY, "timeout")


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", b"rubbish\r\n\r\n"])
async def test_one_that_closes_early_or_talks_nonsense_is_tried_again(data: bytes):
    async def short(stream: trio.abc.Stream) -> None:
        await stream.send_all(data or b"")
        await stream.aclose()

    async with a_server(short) as server:
        result = await posted(sender(), server.url)

    assert (result.verdict.outcome, result.verdict.error_class) == (Outcome.RETRY, "connection")


async def test_nobody_there_and_a_name_without_an_address_are_tried_again():
    class Nowhere(Names):
        async def __call__(self, host: str, port: int) -> Sequence[str]:
            raise OSError("no such name")

    async with a_server(partial(answer, OK)) as server:
        port = server.port
    closed = await posted(sender(), f"http://127.0.0.1:{port}/")
    unknown = await posted(sender(names=Nowhere()), "http://hooks.example.com/")

    assert [one.verdict.error_class for one in (closed, unknown)] == ["connection", "connection"]


async def test_tls_keeps_the_name_and_a_stranger_is_refused():
    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("hooks.example.com").configure_cert(context)
    trusting, doubting = ssl.create_default_context(), ssl.create_default_context()
    authority.configure_trust(trusting)
    stranger.configure_trust(doubting)

    async with a_server(partial(answer, OK), tls=context) as server:
        url = f"https://hooks.example.com:{server.port}/"
        allow = ("127.0.0.1", "hooks.example.com")
        good = await posted(sender(*allow, names=Names(["127.0.0.1"]), tls=trusting), url)
        bad = await posted(sender(*allow, names=Names(["127.0.0.1"]), tls=doubting), url)

    assert good.verdict.outcome is Outcome.DELIVERED
    assert (bad.verdict.outcome, bad.verdict.error_class) == (Outcome.RETRY, "tls")
