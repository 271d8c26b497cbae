"""Scenarios 1A: a client finds a real server, is given a token, and learns of errors; and the server's end."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest

from tests.contracts.message_store.store import Failed, Store, message
from tests.served import Served, serving


def test_client_calls_and_gets_the_result(owner: Store):
    """MDB003_1A_T1"""
    assert owner.call("sys.version").count(".") >= 2


def test_client_takes_the_token_from_the_response_header(server: Served):
    """MDB003_1A_T2"""
    client = Store(server.url)

    client.call("sys.version")

    assert client.token == server.token
    assert client.headers["X-MessageDB-Token"] == server.token


def test_client_sends_the_token_from_then_on_and_is_given_none(server: Served):
    """MDB003_1A_T3"""
    client = Store(server.url)
    client.call("sys.version")
    written = client.write("token-1")

    read = Store(server.url, server.token).get("token-1")

    assert written[0]["position"] == 0
    assert len(read) == 1
    assert "X-EventoDB-Token" not in client.headers


def test_error_reply_reaches_the_caller_with_its_code(store: Store):
    """MDB003_1A_T4"""
    with pytest.raises(Failed, match="INVALID_REQUEST") as failed:
        store.call("stream.write", "", message())

    assert (failed.value.status, failed.value.message) == (400, "streamName must be a non-empty string")


def test_helper_starts_the_server_learns_its_port_waits_and_leaves_no_process(tmp_path: Path):
    """MDB003_1A_T5, MDB003_1A_T6, MDB003_1A_T7"""
    with serving(tmp_path, test_mode=True) as server:
        pid, port = server.pid, server.port
        status, health = Store(server.url).send("GET", "/health")
        os.kill(pid, 0)

    assert port > 0
    assert (status, json.loads(health)["status"]) == (200, "ok")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_restart_keeps_events_positions_and_tokens(tmp_path: Path):
    with serving(tmp_path) as server:
        shop = Store(server.url, server.token).call("ns.create", "shop")["token"]
        Store(server.url, shop).write("order-1", "A", "B")

        server.restart()

        after = Store(server.url, shop)
        assert [row[1] for row in after.get("order-1")] == ["A", "B"]
        assert after.call("stream.version", "order-1") == 1
        assert after.write("order-1", "C") == [{"position": 2, "globalPosition": 3}]
        assert Store(server.url, server.token).call("ns.info", "shop")["messageCount"] == 3


def test_receipt_of_a_key_outlives_a_restart(tmp_path: Path):
    with serving(tmp_path) as server:
        call, headers = ("stream.write", "a-1", message()), {"Idempotency-Key": "order-77"}
        first = Store(server.url, server.token).call(*call, headers=headers)

        server.restart()

        store = Store(server.url, server.token)
        assert store.call(*call, headers=headers) == first
        with pytest.raises(Failed) as failed:
            store.call("stream.write", "a-1", message("Other"), headers=headers)
        assert failed.value.status == 422
        assert len(store.get("a-1")) == 1


def test_server_that_nobody_listens_to_goes_on(tmp_path: Path):
    """Its output fills the pipe, which is never read again."""
    with serving(tmp_path, test_mode=True, arguments=["--log-level=debug"]) as server:
        store = Store(server.url, server.token)
        for number in range(300):
            with contextlib.suppress(Failed):
                store.send("POST", "/rpc", b"{" + b"x" * number)

        assert store.call("sys.health")["status"] == "ok"


@pytest.mark.parametrize("path", ["/nowhere", "/rpc/", "/import/x"])
def test_unknown_endpoint_is_not_found(server: Served, path: str):
    status, body = Store(server.url).send("GET", path)

    assert status == 404
    assert json.loads(body)["error"] == {"code": "NOT_FOUND", "message": "Endpoint not found"}


def test_version_tells_the_version_and_needs_no_token(strict: Served):
    status, body = Store(strict.url).send("GET", "/version")

    assert (status, list(json.loads(body))) == (200, ["version"])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_than_post_are_refused_after_the_caller_is_known(strict: Served, method: str):
    known = Store(strict.url, strict.token).send(method, "/rpc")
    stranger = Store(strict.url).send(method, "/rpc")

    assert known[0] == 405
    assert json.loads(known[1])["error"]["message"] == "Only POST method allowed"
    assert stranger[0] == 401
