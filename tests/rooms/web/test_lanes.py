"""Requests of one connection: order, lanes, bodies, streams."""

from __future__ import annotations

import json
import ssl
from dataclasses import replace

import pytest
import trio
import trustme

from appliance.model.http import Lane, Request, Response, Route, Stream
from tests.rooms.web.house import LIMITS, Later, Peer, a_house, get, masked, post, upgrade


async def test_pipelined_requests_are_all_begun_and_answered_in_order_with_one_write():
    begun: list[Later] = []

    def slow(request: Request) -> Later:
        begun.append(Later(Response(200, request.raw_query.encode())))
        return begun[-1]

    def routes(_: list[str]) -> list[Route]:
        return [Route("GET", "/slow", slow, "slow", lane=Lane.FAST)]

    async with a_house(routes) as house:
        peer = await house.peer()
        await peer.send(get("/slow?1") + get("/slow?2") + get("/slow?3"))
        await trio.testing.wait_all_tasks_blocked(0.02)
        together = len(begun)
        for later in reversed(begun):  # done in the other order
            later.ready.set()

        first = await peer.stream.receive_some()

        assert together == 3
        assert [body[-1:] for body in first.split(b"HTTP/1.1 200 OK")[1:]] == [b"1", b"2", b"3"]


async def test_bad_request_behind_good_ones_is_answered_after_them():
    async with a_house() as house:
        peer = await house.peer()

        await peer.send(get("/fast?1") + get("/rest") + get("/fast?2") + get("/fast", "Host: b") + get("/fast?3"))
        replies = [await peer.reply() for _ in range(4)]

        assert [reply.status for reply in replies] == [200, 200, 200, 400]
        assert await peer.rest() == b""
        assert house.seen == ["fast 1", "rest", "fast 2"]


async def test_kept_alive_connection_mixes_all_lanes_and_ends_as_websocket():
    async with a_house() as house:
        peer = await house.peer()

        fast = await peer.ask(get("/fast?1"))
        rest = await peer.ask(get("/rest"))
        count = await peer.ask(get("/count"))
        body = await peer.ask(post("/echo", b"hello"))
        with_name = await peer.ask(get("/rest/anna", "Content-Length: 2", method="PUT") + b"hi")
        rest_count = await peer.ask(get("/count-rest"))
        upgraded = await peer.ask(upgrade() + masked(b"at once"))
        echoed = await peer.frame()

        assert [each.status for each in (fast, rest, count, body, with_name, rest_count)] == [200] * 6
        assert upgraded.status == 101
        assert json.loads(with_name.body) == {"name": "anna", "body": "hi", "peer": "127.0.0.1"}
        assert count.body == rest_count.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
        assert "connection" not in rest.headers
        assert (rest.headers["server"], rest.headers["x-content-type-options"]) == ("appliance", "nosniff")
        assert echoed == (1, b"at once")
        assert house.front.counts["requests"] == 7


async def test_pipelined_mix_of_lanes_keeps_the_order():
    async with a_house() as house:
        peer = await house.peer()

        await peer.send(
            get("/fast?1") + get("/count") + get("/fast?2") + get("/rest") + post("/echo", b"x") + get("/fast?3")
        )
        replies = [await peer.reply() for _ in range(6)]

        assert [reply.body[:9] for reply in replies] == [
            b"fast 1",
            b"data: 0\n\n",
            b"fast 2",
            b'{"name":"',
            b"x",
            b"fast 3",
        ]


async def test_long_batch_is_written_in_pieces_and_whole():
    async with a_house() as house:
        peer = await house.peer()
        body = b"z" * 900_000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, post("/echo", body) * 3 + get("/fast"))

            replies = [await peer.reply() for _ in range(4)]

        assert [len(reply.body) for reply in replies] == [900_000] * 3 + [5]
        assert house.front._shared.meter.body_bytes == 0


async def test_http10_is_answered_and_closed_and_gets_no_stream():
    async with a_house() as house:
        answers = []
        for path in ("/fast?old", "/rest", "/count"):
            peer = await house.peer()
            await peer.send(f"GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode())
            answers.append(await peer.rest())

        assert [answer.split(b"\r\n", 1)[0] for answer in answers] == [
            b"HTTP/1.1 200 OK",
            b"HTTP/1.1 200 OK",
            b"HTTP/1.1 505 HTTP Version Not Supported",
        ]
        assert all(b"onnection: close" in answer for answer in answers)


async def test_close_is_honoured_in_every_lane():
    async with a_house() as house:
        for path in ("/fast", "/rest", "/count"):
            peer = await house.peer()

            reply = await peer.ask(get(path, "Connection: close"))

            assert reply.headers["connection"].lower() == "close"
            assert await peer.rest() == b""


async def test_head_has_no_body_in_any_lane():
    async with a_house() as house:
        peer = await house.peer()
        replies = []
        for path in ("/fast?x", "/rest", "/count"):
            await peer.send(get(path, method="HEAD"))
            replies.append(await peer.reply(to_head=True))

        after = await peer.ask(get("/fast?after"))

        assert [reply.status for reply in replies] == [200, 200, 200]
        assert replies[0].headers["content-length"] == "6"
        assert after.body == b"fast after"


async def test_expectation_is_answered_when_the_body_is_wanted():
    async with a_house() as house:
        for path in ("/echo", "/upload"):
            peer = await house.peer()
            asked = get(path, "Expect: 100-continue", "Content-Length: 5", method="POST")

            first = await peer.ask(asked)
            second = await peer.ask(b"hello")

            assert (first.status, second.status) == (100, 200)


async def test_expectation_of_too_much_is_refused_unread():
    async with a_house() as house:
        peer = await house.peer()

        reply = await peer.ask(get("/echo", "Expect: 100-continue", "Content-Length: 2000000", method="POST"))

        assert reply.status == 413


async def test_streamed_body_is_pulled_by_the_handler_and_the_connection_goes_on():
    async with a_house() as house:
        peer = await house.peer()
        chunked = get("/upload", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n"

        await peer.send(chunked)
        for _ in range(200):
            await peer.send(b"400\r\n" + bytes(1024) + b"\r\n")
        await peer.send(b"0\r\n\r\n" + get("/fast?next"))
        replies = [await peer.reply(), await peer.reply()]
        again = await peer.ask(post("/upload-rest", bytes(5)))

        assert json.loads(replies[0].body) == {"size": 5 + 200 * 1024}
        assert replies[1].body == b"fast next"
        assert json.loads(again.body) == {"size": 5}


async def test_streamed_body_has_its_answer_while_it_comes():
    async with a_house() as house:
        peer = await house.peer()
        await peer.send(get("/progress", "Transfer-Encoding: chunked", method="POST") + b"3\r\none\r\n")
        head = await peer.head()
        first = await peer.chunk()
        await peer.send(b"3\r\ntwo\r\n")
        second = await peer.chunk()
        await peer.send(b"0\r\n\r\n")
        end = await peer.chunk()

        assert (head.status, first, second, end) == (200, b"one", b"two", b"")
        assert (await peer.ask(get("/fast"))).status == 200


async def test_body_that_a_handler_did_not_read_ends_the_connection_after_the_answer():
    async with a_house() as house:
        peer = await house.peer()

        reply = await peer.ask(get("/refuse-upload", "Content-Length: 500000", method="POST") + bytes(1000))

        assert (reply.status, reply.headers["connection"]) == (401, "close")
        await trio.aclose_forcefully(peer.stream)
        await house.settled()


@pytest.mark.parametrize(
    "body",
    [
        get("/small-upload", "Content-Length: 2000", method="POST"),
        get("/small-upload", "Transfer-Encoding: chunked", method="POST") + b"7d0\r\n" + bytes(2000) + b"\r\n0\r\n\r\n",
        get("/upload", "Transfer-Encoding: chunked", method="POST") + b"nonsense\r\n",
    ],
)
async def test_streamed_body_that_is_wrong_is_refused_and_ends_the_connection(body: bytes):
    async with a_house() as house:
        peer = await house.peer()

        await peer.send(body + get("/fast?smuggled"))
        answer = await peer.rest()

        assert answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))
        assert b"200 OK" not in answer
        assert house.seen == []
        assert house.front.counts["bugs"] == 0


async def test_peer_that_leaves_its_upload_is_no_bug():
    async with a_house() as house:
        peer = await house.peer()
        await peer.send(get("/upload", "Content-Length: 50", method="POST") + b"half")
        assert isinstance(peer.stream, trio.SocketStream)
        await peer.stream.send_eof()

        assert await peer.rest() == b""
        await house.settled()
        assert house.front.counts["bugs"] == 0


async def test_bodies_in_flight_have_a_budget_for_all_together():
    async with a_house(limits=replace(LIMITS, bodies=100_000)) as house:
        first, second = await house.peer(), await house.peer()
        await first.send(get("/echo", "Content-Length: 90000", method="POST") + bytes(80_000))
        while house.front._shared.meter.body_bytes < 80_000:
            await trio.lowlevel.checkpoint()

        refused = await second.ask(get("/echo", "Content-Length: 90000", method="POST") + bytes(30_000))
        done = await first.ask(bytes(10_000))

        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert (done.status, len(done.body)) == (200, 90_000)
        await second.rest()
        await house.settled(1)
        assert house.front._shared.meter.body_bytes == 0


async def test_stream_notices_that_its_peer_left():
    async with a_house() as house:
        peer = await house.peer()
        await peer.send(get("/follow"))
        await peer.head()
        ready = await peer.chunk()

        await trio.aclose_forcefully(peer.stream)
        await house.settled()

        assert ready == b": ready\n\n"
        assert house.seen == ["left"]
        assert house.front.counts["streams"] == 0


async def test_what_a_peer_sends_under_a_stream_is_answered_after_it():
    done = trio.Event()

    async def run(exchange) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.closed)
            await done.wait()
            nursery.cancel_scope.cancel()

    def routes(_: list[str]) -> list[Route]:
        return [
            Route("GET", "/wait", lambda _: Stream(run), "wait", lane=Lane.FAST),
            Route("GET", "/fast", lambda _: Response(200, b"next"), "fast", lane=Lane.FAST),
        ]

    async with a_house(routes) as house:
        peer = await house.peer()
        await peer.send(get("/wait"))
        await peer.head()
        await peer.send(get("/fast") + get("/fast"))
        await trio.testing.wait_all_tasks_blocked(0.02)
        done.set()

        end = await peer.chunk()
        replies = [await peer.reply(), await peer.reply()]

        assert (end, [reply.body for reply in replies]) == (b"", [b"next", b"next"])


async def test_flood_under_a_stream_counts_as_leaving():
    async with a_house() as house:
        peer = await house.peer()
        await peer.send(get("/follow"))
        await peer.head()

        await peer.send(get("/fast", "X: " + "a" * 4000) * 40)
        await peer.rest()

        assert house.seen[0] == "left"


async def test_stream_that_fails_is_cut_so_that_it_cannot_look_whole():
    async with a_house() as house:
        peer = await house.peer()
        await peer.send(get("/fails"))
        await peer.head()
        piece = await peer.chunk()

        rest = await peer.rest()

        assert (piece, rest) == (b"some", b"")
        await house.settled()
        assert house.front.counts["bugs"] == 1


async def test_slow_reader_of_a_stream_gets_every_block_in_order():
    blocks = [b"%06d" % n * 10_000 for n in range(300)]
    refused = []

    async def run(exchange) -> None:
        for block in blocks:
            if not exchange.offer(block):
                refused.append(block)
                await exchange.outlet.drained()
                assert exchange.offer(block)
        await exchange.outlet.drained()

    def routes(_: list[str]) -> list[Route]:
        return [Route("GET", "/s", lambda _: Stream(run), "s", lane=Lane.FAST)]

    async with a_house(routes) as house:
        peer = await house.peer()
        await peer.send(get("/s"))
        await peer.head()
        await trio.testing.wait_all_tasks_blocked(0.02)

        got = []
        while piece := await peer.chunk():
            got.append(piece)

        assert got == blocks
        assert refused
        assert house.front._shared.meter.behind > 0


async def test_handler_that_offers_and_leaves_is_flushed_by_the_front():
    async def run(exchange) -> None:
        assert exchange.offer(bytes(8_000_000))
        await exchange.closed()

    def routes(_: list[str]) -> list[Route]:
        return [Route("GET", "/s", lambda _: Stream(run), "s", lane=Lane.FAST)]

    async with a_house(routes) as house:
        peer = await house.peer()
        await peer.send(get("/s"))
        await peer.head()

        assert len(await peer.chunk()) == 8_000_000


async def test_peer_leaving_before_its_turn_leaves_no_work_unclosed():
    async def never(_: Request) -> Response:
        return Response()

    def routes(_: list[str]) -> list[Route]:
        def fails(_: Request) -> Stream:
            async def run(exchange) -> None:
                raise trio.BrokenResourceError("gone")

            return Stream(run)

        return [
            Route("GET", "/fails", fails, "fails", lane=Lane.FAST),
            Route("GET", "/never", never, "never", lane=Lane.FAST),
        ]

    async with a_house(routes) as house:
        peer = await house.peer()

        await peer.send(get("/fails") + get("/never") * 3)
        await peer.rest()
        await house.settled()

        assert house.front.counts["bugs"] == 0


async def test_handler_errors_become_problems_with_a_request_id():
    async with a_house() as house:
        peer = await house.peer()

        replies = [
            await peer.ask(get(path, "X-Request-Id: abc-1")) for path in ("/broken", "/broken-later", "/broken-rest")
        ]
        own = await peer.ask(get("/broken", "X-Request-Id: <script>"))

        for reply in replies:
            problem = json.loads(reply.body)
            assert (reply.status, problem["code"], problem["request_id"]) == (500, "broken", "abc-1")
            assert reply.headers["content-type"] == "application/problem+json"
            assert b"KeyError" not in reply.body
        assert "script" not in json.loads(own.body)["request_id"]
        assert json.loads(own.body)["request_id"]


async def test_header_field_with_a_line_break_is_a_bug_and_no_split():
    def routes(_: list[str]) -> list[Route]:
        bad = Response(200, b"x", headers=(("x", "a\r\nset-cookie: b"),))
        return [Route("GET", "/x", lambda _: bad, "x", lane=Lane.FAST)]

    async with a_house(routes) as house:
        peer = await house.peer()

        reply = await peer.ask(get("/x"))

        assert reply.status == 500
        assert "set-cookie" not in reply.headers


async def test_scope_decides_who_may():
    async with a_house() as house:
        peer = await house.peer()

        statuses = [
            (await peer.ask(get(path, *fields))).status
            for path, fields in [
                ("/secret", ()),
                ("/secret", ("Authorization: Bearer reader",)),
                ("/read", ("Authorization: Bearer reader",)),
                ("/secret", ("Authorization: Bearer admin",)),
            ]
        ]

        assert statuses == [401, 403, 200, 200]


async def test_what_is_not_there_is_said_in_the_clients_own_way():
    async with a_house() as house:
        peer = await house.peer()

        program = await peer.ask(get("/nothing"))
        browser = await peer.ask(get("/nothing", "Accept: text/html,*/*"))
        wrong = await peer.ask(get("/echo"))
        options = await peer.ask(get("/fast", method="OPTIONS"))
        star = await peer.ask(get("*", method="OPTIONS"))
        taken = await peer.ask(get("/any", method="DELETE"))
        deep = await peer.ask(get("/files/a/b%20c"))

        body = json.loads(program.body)
        assert (program.status, program.headers["content-type"]) == (404, "application/json")
        assert body["error"] == {"code": "NOT_FOUND", "message": "Endpoint not found"}
        assert (body["status"], body["code"]) == (404, "not_found")
        assert (browser.status, browser.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert (wrong.status, wrong.headers["allow"]) == (405, "OPTIONS, POST")
        assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
        assert (star.status, taken.status) == (204, 200)
        assert json.loads(deep.body)["name"] == "a/b c"


def secure_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    server.set_alpn_protocols(["http/1.1"])
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


async def test_all_lanes_work_through_tls():
    server, client = secure_contexts()
    async with a_house(tls=server) as house:
        tcp = await trio.open_tcp_stream("127.0.0.1", house.front.port)
        peer = Peer(trio.SSLStream(tcp, client, server_hostname="127.0.0.1", https_compatible=True))
        house.peers.append(peer)

        replies = [await peer.ask(get(path)) for path in ("/fast", "/rest", "/count")]
        big = await peer.ask(post("/echo", b"z" * 500_000))
        upgraded = await peer.ask(upgrade())
        await peer.send(masked(b"hello") + masked(b"\x03\xe8", 8))
        frames = [await peer.frame(), await peer.frame()]

        assert [reply.status for reply in replies] == [200, 200, 200]
        assert len(big.body) == 500_000
        assert upgraded.status == 101
        assert frames == [(1, b"hello"), (8, b"\x03\xe8")]
        assert house.front.urls == [f"https://127.0.0.1:{house.front.port}"]


async def test_plain_request_on_the_tls_port_ends_only_itself():
    server, client = secure_contexts()
    async with a_house(tls=server) as house:
        plain = await house.peer()
        await plain.send(get("/fast"))
        answer = await plain.rest()
        tcp = await trio.open_tcp_stream("127.0.0.1", house.front.port)
        good = Peer(trio.SSLStream(tcp, client, server_hostname="127.0.0.1", https_compatible=True))
        house.peers.append(good)

        assert b"200" not in answer
        assert (await good.ask(get("/fast"))).status == 200
        assert house.front.counts["bugs"] == 0
