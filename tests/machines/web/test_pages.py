"""What is declared is what is shown: OpenAPI, landing page, routes."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import msgspec
import pytest

from appliance.errors import Unauthenticated
from appliance.model.http import Lane, Request, Response, Route, Socket, SocketRoute
from appliance.model.principal import Principal
from appliance.web.landing import Landing
from appliance.web.limits import Limits
from appliance.web.openapi import document, openapi_route
from appliance.web.router import Router


class Note(msgspec.Struct):
    text: str


class Saved(msgspec.Struct):
    note: Note
    position: int


def handler(_: Request) -> Response:
    return Response()


async def serve(_: Socket) -> None: ...


ROUTES = [
    Route("PUT", "/notes/{note_id}", handler, "Save a note.", "write", request=Note, answer=Saved, tags=("notes",)),
    Route("GET", "/notes/{note_id}", handler, "Read a note.", "read", answer=Note),
    Route("*", "/rpc", handler, "Call <any> method.", lane=Lane.FAST),
    Route("POST", "/import", handler, "Bring events.", streaming=True),
    Route("GET", "/files/{name:path}", handler, "Files."),
]
SOCKETS = [SocketRoute("/ws/{room}", serve, "Live events.", "read"), SocketRoute("/open", serve, "Open to all.")]


def test_document_describes_every_route_with_its_types():
    made = document(ROUTES, SOCKETS, title="kitchen", version="1.2")

    save = made["paths"]["/notes/{note_id}"]["put"]
    assert made["openapi"] == "3.1.0"
    assert made["info"] == {"title": "kitchen", "version": "1.2"}
    assert save["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Note"}
    assert save["responses"]["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Saved"}
    assert save["parameters"] == [{"name": "note_id", "in": "path", "required": True, "schema": {"type": "string"}}]
    assert (save["security"], save["x-scope"], save["tags"]) == ([{"token": []}], "write", ["notes"])
    assert set(made["components"]["schemas"]) == {"Problem", "Note", "Saved"}
    assert set(made["paths"]["/rpc"]) == {"get", "post", "put", "patch", "delete"}
    assert "application/octet-stream" in made["paths"]["/import"]["post"]["requestBody"]["content"]
    assert "/files/{name}" in made["paths"]
    assert made["paths"]["/ws/{room}"]["get"]["x-scope"] == "read"
    assert "security" not in made["paths"]["/open"]["get"]


def test_document_has_one_name_per_operation():
    made = document(ROUTES, SOCKETS)

    names = [each["operationId"] for path in made["paths"].values() for each in path.values()]

    assert len(names) == len(set(names))
    json.dumps(made)


def test_document_is_made_once():
    calls = []
    route = openapi_route(lambda: calls.append(1) or {"openapi": "3.1.0"})  # type: ignore[func-returns-value]

    answers = [route.handler(Request("GET", "/openapi.json")) for _ in range(3)]

    assert len(calls) == 1
    assert answers[0].body == b'{"openapi":"3.1.0"}'  # type: ignore[union-attr]


def landing() -> Landing:
    counts = {"events": 1204331, "backend": "sqlite", "<b>": "<i>"}
    return Landing(lambda: counts, ROUTES, SOCKETS, name=lambda: "kitchen & co", version="1.2")


def shown(**headers: str) -> Response:
    request = Request("GET", "/", headers={"accept": "text/html,*/*", "host": 'a:1"><x'} | headers, secure=True)
    answer = landing().route().handler(request)
    assert isinstance(answer, Response)
    return answer


def test_page_shows_what_runs_here_and_how_to_connect():
    page = shown().body.decode()

    assert "kitchen &amp; co" in page
    assert "1\u2009204\u2009331" in page
    assert "curl -s https://a:1&quot;&gt;&lt;x/rpc" in page
    assert 'Bearer $TOKEN"' in page
    assert "/appliance-ca.crt" in page
    for route in ROUTES:
        assert f"<code>{route.path}</code>" in page
    assert "Call &lt;any&gt; method." in page
    assert "&lt;i&gt;" in page
    assert "<i>" not in page


def test_page_runs_and_loads_only_what_its_own_policy_names():
    answer = shown()
    policy = dict(answer.headers)["content-security-policy"]
    page = answer.body.decode()

    for tag, name in (("script", "script-src"), ("style", "style-src")):
        [inside] = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"(?:src|href)=\"(?!/)", page) == []
    assert re.findall(r" (?:style|on\w+)=", page) == []


def test_program_gets_the_same_as_json():
    answer = landing().route().handler(Request("GET", "/", headers={"accept": "application/json"}))

    assert isinstance(answer, Response)
    body = json.loads(answer.body)
    assert body["counts"]["events"] == 1204331
    assert {"method": "any", "path": "/rpc", "scope": None, "summary": "Call <any> method."} in body["api"]
    assert {"method": "WebSocket", "path": "/open", "scope": None, "summary": "Open to all."} in body["api"]


def nobody(_: Request) -> Principal:
    raise Unauthenticated("bring a token")


def router(*routes: Route) -> Router:
    return Router(routes, authenticate=nobody, limits=Limits())


def test_exact_path_wins_over_a_template_and_earlier_over_later():
    found = router(
        Route("GET", "/a/{x}", handler, "1"),
        Route("GET", "/a/b", handler, "2", body_limit=7),
        Route("GET", "/{y}/c", handler, "3"),
    )

    assert found.plan("GET", "/a/b").limit == 7
    assert found.plan("GET", "/a/c").params == {"x": "c"}
    assert found.plan("GET", "/b/c").params == {"y": "b"}


def test_template_matches_one_segment_and_its_dots_are_dots():
    found = router(Route("GET", "/a.b/{x}/d", handler, "1"))

    assert found.plan("GET", "/a.b/c/d").params == {"x": "c"}
    for path in ("/axb/c/d", "/a.b/c/e/d", "/a.b//d", "/a.b/c/d/"):
        answer = found.plan("GET", path).begin(Request("GET", path))
        assert isinstance(answer, Response)
        assert answer.status == 404


def test_two_routes_for_the_same_are_refused_at_start():
    with pytest.raises(ValueError, match="two routes for GET /a"):
        router(Route("GET", "/a", handler, "1"), Route("GET", "/a", handler, "2"))


def test_streaming_route_has_no_limit_unless_it_says_one():
    found = router(
        Route("POST", "/a", handler, "1", streaming=True),
        Route("POST", "/b", handler, "1", streaming=True, body_limit=5),
        Route("POST", "/c", handler, "1"),
    )

    assert [found.plan("POST", path).limit for path in ("/a", "/b", "/c")] == [None, 5, Limits().json_body]
