"""From the link to the first event, with clients that are not ours: urllib and the websockets package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.served import ROOT, Served, serving

NOBODY = "ns_ZGVmYXVsdA_" + "0" * 64


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("visit")) as served:
        yield served


def ask(server: Served, method: str, path: str, body: object = None, *, token: str = "") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def told(server: Served, *argv: str) -> Any:
    """What the command line says with --json, as the user of that data folder."""
    command = [sys.executable, "-m", "appliance", *argv, "--json", "--data", str(server.folder / "data")]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("APPLIANCE_", "EVENTODB_"))}
    done = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def visit(server: Served) -> Any:
    """A token by way of a link, as its description."""
    link = told(server, "link")["link"]
    status, made = ask(server, "POST", "/api/v1/welcome", {"code": link.partition("#code=")[2]})
    assert status == 201
    return made


def tail(server: Served, *subprotocols: str, query: str = "") -> ClientConnection:
    url = server.url.replace("http", "ws") + f"/ws/tail?{query}"
    return connect(url, subprotocols=list(subprotocols), open_timeout=30)  # type: ignore[arg-type]


def test_a_link_leads_to_the_page_and_its_code_to_a_token_once(server: Served):
    made = told(server, "link")
    page, _, code = made["link"].partition("#code=")

    with urllib.request.urlopen(page, timeout=30) as answer:
        headers, text = answer.headers, answer.read().decode()
    first = ask(server, "POST", "/api/v1/welcome", {"code": code})
    second = ask(server, "POST", "/api/v1/welcome", {"code": code})

    assert (page, made["valid_s"]) == (f"{server.url}/welcome", 900)
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert code not in text
    assert (first[0], first[1]["scopes"], first[1]["namespace"]) == (201, ["admin"], "default")
    assert (second[0], second[1]["code"], second[1]["reason"]) == (401, "unauthenticated", "used")
    assert "appliance link" in second[1]["hint"]


def test_a_link_to_a_server_elsewhere_leads_to_the_address_it_was_asked_at(server: Served):
    url = f"http://localhost:{server.port}"

    made = told(server, "link", "--url", url, "--token", server.token)

    assert made["link"].startswith(f"{url}/welcome#code=")


def test_fetching_the_page_spends_nothing(server: Served):
    link = told(server, "link")["link"]
    for _ in range(3):
        urllib.request.urlopen(link, timeout=30).close()

    status, _ = ask(server, "POST", "/api/v1/welcome", {"code": link.partition("#code=")[2]})

    assert status == 201


def test_neither_code_nor_token_is_in_any_log(server: Served):
    link = told(server, "link")["link"]
    code = link.partition("#code=")[2]
    _, made = ask(server, "POST", "/api/v1/welcome", {"code": code})
    with tail(server, "appliance.tail", f"bearer.{made['token']}"):
        pass

    assert code not in server.errors
    assert made["token"] not in server.errors


@pytest.mark.parametrize("token", ["", NOBODY])
def test_a_stranger_makes_no_link(server: Served, token: str):
    assert ask(server, "POST", "/api/v1/welcome/links", {}, token=token)[0] == 401


def test_the_token_is_listed_by_its_name_and_can_be_revoked(server: Served):
    made = visit(server)
    before = ask(server, "POST", "/rpc", ["ns.list"], token=made["token"])[0]
    [row] = [row for row in told(server, "token", "list")["tokens"] if row["id"] == made["id"]]

    told(server, "token", "revoke", made["id"])
    after = ask(server, "POST", "/rpc", ["ns.list"], token=made["token"])[0]

    assert row["name"].startswith("first visit 20")
    assert row["expires"] is not None
    assert (before, after) == (200, 403)


def test_a_websocket_that_offers_its_token_as_subprotocol_sees_the_first_event(server: Served):
    token = visit(server)["token"]
    with tail(server, "appliance.tail", f"bearer.{token}", query="category=hello") as socket:
        assert socket.subprotocol == "appliance.tail"
        assert token not in str(socket.response.headers if socket.response else "")

        status, receipt = ask(
            server, "POST", "/rpc", ["stream.write", "hello", {"type": "hello", "data": {"from": "me"}}], token=token
        )
        event = json.loads(socket.recv(timeout=30))

    assert (status, event["globalPosition"]) == (200, receipt["globalPosition"])
    assert (event["stream"], event["type"], event["data"]) == ("hello", "hello", {"from": "me"})


@pytest.mark.parametrize(
    "offers", [["appliance.tail"], ["appliance.tail", f"bearer.{NOBODY}"], ["appliance.tail", "bearer."]]
)
def test_a_websocket_without_a_good_token_is_refused_over_http(server: Served, offers: list[str]):
    with pytest.raises(InvalidStatus) as refused:
        tail(server, *offers)

    assert refused.value.response.status_code == 401


def test_a_token_in_the_address_of_a_tail_counts_for_nothing(server: Served):
    with pytest.raises(InvalidStatus) as refused:
        tail(server, "appliance.tail", query=f"token={server.token}")

    assert refused.value.response.status_code == 401


def test_the_token_is_never_the_subprotocol_that_is_chosen(server: Served):
    token = visit(server)["token"]

    with tail(server, f"bearer.{token}", "appliance.tail") as both, tail(server, f"bearer.{token}") as alone:
        chosen = both.subprotocol, alone.subprotocol

    assert chosen == ("appliance.tail", None)


def test_a_live_tail_ends_when_its_token_is_revoked(server: Served):
    made = visit(server)
    with tail(server, "appliance.tail", f"bearer.{made['token']}", query="category=nothing") as socket:
        ask(server, "DELETE", f"/api/v1/tokens/{made['id']}", token=server.token)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=30)


def test_a_stranger_who_guesses_has_to_wait(tmp_path: Path):
    with serving(tmp_path, test_mode=True) as server:
        answers = [ask(server, "POST", "/api/v1/welcome", {"code": f"guess {n}"}) for n in range(31)]

    assert [status for status, _ in answers] == [401] * 30 + [429]
    assert {answer["reason"] for _, answer in answers[:10]} == {"unknown"}
