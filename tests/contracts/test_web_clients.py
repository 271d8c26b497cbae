"""Clients that we did not write find in the front what they know."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
import trio
from httpx_sse import connect_sse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from appliance.web.tls import Tls
from tests.rooms.web.house import a_house

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """Run a blocking client while the front goes on."""
    return await trio.to_thread.run_sync(work)


async def test_standard_library_keeps_its_connection_over_all_lanes():
    async with a_house() as house:

        def talk() -> list[tuple[int, bytes]]:
            connection = http.client.HTTPConnection("127.0.0.1", house.front.port, timeout=10)
            answers = []
            for method, path, body in [
                ("GET", "/fast?1", None),
                ("PUT", "/rest/anna", b"hi"),
                ("POST", "/echo", iter([b"chunk", b"ed"])),
                ("GET", "/count", None),
                ("HEAD", "/fast", None),
            ]:
                connection.request(method, path, body)
                first = connection.sock
                answer = connection.getresponse()
                answers.append((answer.status, answer.read()))
                assert connection.sock is first
            connection.close()
            return answers

        answers = await aside(talk)

        assert [status for status, _ in answers] == [200] * 5
        assert answers[2][1] == b"chunked"
        assert house.front._shared.meter.accepted == 1


async def test_httpx_reads_a_stream_of_events():
    async with a_house() as house:

        def listen() -> list[str]:
            with httpx.Client() as client, connect_sse(client, "GET", f"{house.front.urls[0]}/count") as source:
                return [event.data for event in source.iter_sse()]

        assert await aside(listen) == ["0", "1", "2"]


async def test_websockets_package_talks_and_learns_why_it_was_closed():
    async with a_house() as house:
        url = house.front.urls[0].replace("http", "ws")

        def talk() -> tuple[list[str | bytes], str | None, int]:
            with connect(f"{url}/ws", subprotocols=["v2"], compression=None) as socket:  # type: ignore[list-item]
                socket.send("hello")
                socket.send(["in ", "pieces"])
                heard = [socket.recv(), socket.recv()]
                socket.send("x" * 1001)
                with pytest.raises(ConnectionClosed) as closed:
                    socket.recv()
                assert closed.value.rcvd is not None
                return heard, socket.subprotocol, closed.value.rcvd.code

        assert await aside(talk) == (["hello", "in pieces"], "v2", 1009)


async def test_websockets_package_is_refused_over_http():
    async with a_house() as house:
        url = house.front.urls[0].replace("http", "ws")

        def talk() -> int:
            with pytest.raises(InvalidStatus) as refused:
                connect(f"{url}/ws-secret")
            return refused.value.response.status_code

        assert await aside(talk) == 401


async def test_secure_clients_trust_the_local_authority(tmp_path: Path):
    tls = Tls.auto(tmp_path)
    async with a_house(tls=tls.context) as house:
        url = house.front.urls[0]

        def talk() -> tuple[str, str | bytes]:
            trust = ssl.create_default_context(cafile=tmp_path / "ca.crt")
            with httpx.Client(verify=trust) as client:
                page = client.get(f"{url}/fast?tls").text
            with connect(f"{url.replace('http', 'ws')}/ws", ssl=trust) as socket:
                socket.send("hello")
                return page, socket.recv()

        assert await aside(talk) == ("fast tls", "hello")
