"""Who may come in, at the real server: OAuth, signed tokens, tickets, and what is never written down."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from httpx_sse import connect_sse
from playwright.sync_api import sync_playwright
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.contracts.test_browser import SWITCHES
from tests.machines.auth.bad_tokens import AUDIENCE, ISSUER, Issuer, bad_tokens, issuer
from tests.served import PATIENCE, ROOT, TOKEN, Served, serving

WITHIN = 5.0  # seconds until a live connection hears that its token has ended
SEED = {
    "client_name": "Test client",
    "grant_types": ["client_credentials"],
    "scope": "read write",
    "token_endpoint_auth_method": "client_secret_basic",
}
SECRET = base64.b64encode(b"a secret of the house, long enough to be one").decode()
RS256, HS256 = issuer("RS256", "letters"), Issuer("HS256", SECRET.encode(), issuer("HS256").key, b"")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("identity")
    (folder / "secret").write_text(SECRET)
    (folder / "secret").chmod(0o600)
    (folder / "letters.pem").write_bytes(RS256.public)
    (folder / "appliance.toml").write_text(
        f"""
        [auth.keys.house]
        secret = {{ file = "secret" }}
        issuer = "{ISSUER}"
        audience = "{AUDIENCE}"

        [auth.keys.letters]
        alg = "RS256"
        public_key = "letters.pem"
        issuer = "{ISSUER}"
        audience = "{AUDIENCE}"
        """
    )
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    with serving(folder, arguments=[f"--config={folder / 'appliance.toml'}"]) as served:
        yield served


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def signed(by: Issuer = HS256, **claims: object) -> str:
    now = int(time.time())
    return by.token(claims=by.claims(**{"iat": now - 60, "exp": now + 600, "jti": secrets.token_hex(8)} | claims))


def may_read(http: httpx.Client, token: str) -> bool:
    answer = http.post("/rpc", headers=bearer(token), json=["stream.version", "order-1"])
    assert answer.status_code < 500
    return answer.status_code == 200


def registered(http: httpx.Client, wish: dict[str, Any], token: str = TOKEN) -> tuple[str, str]:
    made = http.post("/oauth/register", json=wish, headers=bearer(token) if token else {})
    assert made.status_code == 201, made.text
    return made.json()["client_id"], made.json().get("client_secret", "")


@contextmanager
def an_app() -> Iterator[tuple[str, list[str]]]:
    """A client's page on this machine, to which browsers are sent back: its address, and what was asked of it."""
    seen: list[str] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/done", seen
        server.shutdown()
        thread.join()


def test_the_seed_registers_a_client_and_works_with_its_token(http: httpx.Client):
    metadata = http.get("/.well-known/oauth-authorization-server").json()
    client = registered(http, SEED)

    form = {"grant_type": "client_credentials", "scope": "read write"}
    token = http.post(metadata["token_endpoint"], data=form, auth=client).json()
    wrote = http.post(
        "/rpc", headers=bearer(token["access_token"]), json=["stream.write", "order-1", {"type": "A", "data": {}}]
    )
    wider = http.post(metadata["token_endpoint"], data=form | {"scope": "read admin"}, auth=client)
    known = http.post(metadata["introspection_endpoint"], data={"token": token["access_token"]}, auth=client).json()
    http.post(metadata["revocation_endpoint"], data={"token": token["access_token"]}, auth=client)

    assert (metadata["issuer"], token["token_type"], token["expires_in"]) == (
        str(http.base_url).rstrip("/"),
        "Bearer",
        3600,
    )
    assert (wrote.status_code, known["active"], known["scope"]) == (200, True, "read write")
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope")
    assert not may_read(http, token["access_token"])


def test_every_route_of_the_metadata_and_the_keys_is_described(http: httpx.Client):
    paths = http.get("/openapi.json").json()["paths"]

    described = {
        "/oauth/register": {"post"},
        "/oauth/token": {"post"},
        "/oauth/authorize": {"get", "post"},
        "/api/v1/api-keys": {"get", "post"},
        "/api/v1/tickets": {"post"},
        "/api/v1/events/tokens/{token_id}": {"delete"},
    }
    assert {path: set(paths[path]) for path in described} == described


@pytest.mark.parametrize("by", [HS256, RS256], ids=["HS256", "RS256"])
def test_a_signed_token_is_let_in_and_of_more_than_150_bad_ones_none(http: httpx.Client, by: Issuer):
    stranger = issuer("RS256") if by.alg == "RS256" else Issuer(by.alg, b"x" * 40, by.key, b"")
    assert may_read(http, signed(by))

    answers = []
    for _, text in bad_tokens(by, stranger):
        if text and text.isascii() and text.isprintable() and " " not in text:
            answer = http.get("/api/v1/tokens", headers=bearer(text))
            answers.append(answer.status_code)

    assert len(answers) >= 150
    assert set(answers) <= {401, 429}
    assert may_read(http, signed(by))  # guessing locks nobody out who need not guess


def test_a_live_connection_hears_that_its_signed_token_was_revoked(server: Served, http: httpx.Client):
    token = signed()
    with connect(f"ws{server.url[4:]}/ws/tail?category=quiet", additional_headers=bearer(token)) as socket:
        http.post("/oauth/revoke", data={"token": token}, headers=bearer(TOKEN))
        begin = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=30)
        took = time.monotonic() - begin

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "Token revoked")
    assert took < WITHIN


def test_a_live_connection_hears_that_its_signed_token_expired(server: Served):
    now = time.time()
    token = signed(iat=now - 60, exp=now - 28)  # within the leeway of 30 s, for two seconds more
    with (
        connect(f"ws{server.url[4:]}/ws/tail?category=quiet", additional_headers=bearer(token)) as socket,
        pytest.raises(ConnectionClosed) as closed,
    ):
        socket.recv(timeout=30)

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "Token expired")
    assert time.time() < now + 2 + WITHIN


def test_a_ticket_opens_one_websocket(server: Served, http: httpx.Client):
    ticket = http.post("/api/v1/tickets", headers=bearer(signed(scope="read"))).json()["ticket"]
    address = f"ws{server.url[4:]}/ws/tail?category=quiet&ticket={ticket}"

    with connect(address):
        pass
    with pytest.raises(InvalidStatus) as refused, connect(address):
        pass

    assert refused.value.response.status_code in (401, 429)  # the tests before have guessed a lot


def test_a_stream_token_opens_the_events_until_it_is_ended(http: httpx.Client):
    made = http.post("/api/v1/events/tokens", headers=bearer(TOKEN)).json()
    path = f"/api/v1/events?events=Rung&token={made['token']}"
    for _ in range(2):  # an EventSource comes back with the same address
        with connect_sse(http, "GET", path) as stream:
            assert stream.response.status_code == 200

    with http.stream("GET", path) as stream:
        ended = http.delete(f"/api/v1/events/tokens/{made['token_id']}", headers=bearer(TOKEN))
        begin = time.monotonic()
        for _ in stream.iter_raw():
            pass
        took = time.monotonic() - begin
    after = httpx.get(str(http.base_url.join(path)))  # the connection of the stream is gone

    assert (ended.status_code, took < WITHIN) == (204, True)
    assert after.status_code in (401, 429)


def test_a_token_bound_to_a_memory_follows_it_and_nothing_else(http: httpx.Client):
    made = http.post("/api/v1/tokens", json={"scopes": ["read"], "memories": ["work"]}, headers=bearer(TOKEN)).json()[
        "token"
    ]

    with connect_sse(http, "GET", "/api/v1/events?events=Noted&since=0", headers=bearer(made)) as stream:
        for memory in ("home", "", "work"):
            metadata = {"memory": memory} if memory else None
            message = {"type": "Noted", "data": {"of": memory}, "metadata": metadata}
            http.post("/rpc", headers=bearer(TOKEN), json=["stream.write", "note-1", message])
        seen = next(event for event in stream.iter_sse() if event.event == "Noted")
    elsewhere = http.get("/api/v1/events?memory=home", headers=bearer(made))

    assert '"of":"work"' in seen.data
    assert elsewhere.status_code == 403
    assert not may_read(http, made)


def test_keys_are_rotated_by_a_signal(server: Served, http: httpx.Client, folder: Path):
    fresh = issuer("RS256", "letters")
    before = (may_read(http, signed(RS256)), may_read(http, signed(fresh)))
    (folder / "letters.pem").write_bytes(fresh.public)

    os.kill(server.pid, signal.SIGHUP)
    deadline = time.monotonic() + 30
    while not may_read(http, signed(fresh)) and time.monotonic() < deadline:
        time.sleep(0.1)
    after = (may_read(http, signed(RS256)), may_read(http, signed(fresh)))
    (folder / "letters.pem").write_bytes(RS256.public)

    assert (before, after) == ((True, False), (False, True))


def test_an_admin_lets_a_client_in_with_a_browser(server: Served, http: httpx.Client):
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: apt-get install -y chromium"
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with an_app() as (back, seen):
        client = registered(
            http, {"client_name": "Notes <b>app</b>", "redirect_uris": [back], "scope": "read write"}, ""
        )
        query = {"response_type": "code", "client_id": client[0], "redirect_uri": back, "state": "xyz"}
        query |= {"code_challenge": challenge, "code_challenge_method": "S256", "scope": "read"}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
            page = browser.new_page()
            page.goto(f"{server.url}/oauth/authorize?{urlencode(query)}")
            page.wait_for_selector("#ask")
            asked = page.inner_text("#ask h1"), page.inner_text("#scopes")
            page.fill("#token", "ns_wrong")
            page.click("#agree")
            page.wait_for_selector("#trouble:not(:empty)")
            page.fill("#token", TOKEN)
            page.click("#agree")
            page.wait_for_url(f"{back}*")
            browser.close()
    answer = {
        name: values[0]
        for name, values in parse_qs(urlsplit(next(path for path in seen if path.startswith("/done"))).query).items()
    }
    form = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": back, "code_verifier": verifier}
    pair = http.post("/oauth/token", data=form, auth=client).json()
    form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    again = http.post("/oauth/token", data=form, auth=client)
    twice = http.post("/oauth/token", data=form, auth=client)

    assert asked == ("Let Notes <b>app</b> in?", "see events")
    assert (answer["state"], answer["iss"], pair["scope"]) == ("xyz", server.url, "read")
    assert (again.status_code, twice.status_code, twice.json()["error"]) == (200, 400, "invalid_grant")
    assert not may_read(http, again.json()["access_token"])


def test_what_is_secret_is_written_nowhere(folder: Path, tmp_path: Path):
    """reliability 25, 26: canaries over routes that take them, 4xx included, then a look at every file."""
    config = f"--config={folder / 'appliance.toml'}"
    with (
        serving(tmp_path, arguments=[config, "--log-level=debug"]) as served,
        httpx.Client(base_url=served.url) as http,
    ):
        client = registered(http, SEED)
        token = http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=client).json()["access_token"]
        key = http.post("/api/v1/api-keys", json={"name": "a"}, headers=bearer(TOKEN)).json()["api_key"]
        stream = http.post("/api/v1/events/tokens", headers=bearer(TOKEN)).json()["token"]
        ticket = http.post("/api/v1/tickets", headers=bearer(TOKEN)).json()["ticket"]
        canaries = [client[1], token, key, stream, ticket, signed(), TOKEN, SECRET, "password-canary", "code-canary"]
        for text in canaries[1:]:
            http.get("/api/v1/status", headers=bearer(text))
            for path in ("/api/v1/status", "/api/v1/ws", "/nowhere", "/oauth/authorize/question", "/export"):
                http.get(path, params={"token": text, "ticket": text, "code": text})
            http.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": text}, auth=("mm_x", text))
            http.post("/oauth/revoke", data={"token": "x" + text}, auth=client)
            http.post("/api/v1/welcome", json={"code": text})
        http.post("/api/v1/backups", headers=bearer(TOKEN))
        told = http.get("/metrics").text + http.get("/openapi.json").text + served.errors
    files = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert any(name.endswith("log.db") for name in files)
    for canary in canaries:
        found = [name for name, data in files.items() if canary.encode() in data and not name.endswith("owner.token")]
        assert found == [], canary
        assert canary not in told
    rows = sqlite3.connect(tmp_path / "data" / "log.db").execute("SELECT count(*) FROM state").fetchone()
    assert rows[0] >= 4


def test_a_key_that_cannot_be_used_stops_the_start(tmp_path: Path):
    file = tmp_path / "appliance.toml"
    file.write_text(f'data = "{tmp_path / "data"}"\n[auth.keys.weak]\nsecret = {{ file = "weak" }}\n')
    (tmp_path / "weak").write_text("short")
    (tmp_path / "weak").chmod(0o600)

    command = [sys.executable, "-m", "appliance", "serve", "--port=0", f"--config={file}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)

    assert ended.returncode != 0
    assert "auth.keys.weak: the secret has 5 bytes; at least 32" in ended.stderr
    assert "Traceback" not in ended.stderr
