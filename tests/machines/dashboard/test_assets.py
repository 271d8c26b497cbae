"""The files of the dashboard: what is sent of them, what browsers keep, and that those of others are unchanged."""

from __future__ import annotations

import gzip
import hashlib
import json
import re

import pytest

from appliance.dashboard.assets import Assets, files_of
from appliance.dashboard.routes import dashboard_routes
from appliance.errors import NotFound
from appliance.model.http import Request, Response

FILES = files_of("appliance.dashboard", "static")
MANIFEST = json.loads(FILES["vendor/manifest.json"])["files"]


def answer(template: str, headers: dict[str, str] | None = None, **params: str) -> Response:
    """What a route of the dashboard answers."""
    [route] = [route for route in dashboard_routes({"python": "print()"}) if route.path == template]
    said = route.handler(Request("GET", template, headers=headers or {}, params=params))
    assert isinstance(said, Response)
    return said


def digest() -> str:
    found = re.search(rb"/dashboard/assets/([0-9a-f]{16})/app\.js", answer("/dashboard").body)
    assert found is not None
    return found[1].decode()


def asset(path: str, headers: dict[str, str] | None = None) -> Response:
    return answer("/dashboard/assets/{digest}/{path:path}", headers, digest=digest(), path=path)


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["file"])
def test_a_file_of_others_is_what_its_package_holds_but_for_what_the_manifest_says(entry: dict[str, object]):
    text = FILES[f"vendor/{entry['file']}"].decode()
    for before, after in entry.get("changed", ()):  # type: ignore[attr-defined]
        assert text.count(after) == 1
        text = text.replace(after, before)

    assert hashlib.sha256(text.encode()).hexdigest() == entry["sha256"]
    assert len(FILES[f"vendor/{entry['licence_file']}"]) > 1000


def test_the_manifest_lists_all_files_of_others():
    listed = {entry["file"] for entry in MANIFEST} | {entry["licence_file"] for entry in MANIFEST} | {"manifest.json"}

    assert {path.removeprefix("vendor/") for path in FILES if path.startswith("vendor/")} == listed


def test_nothing_is_loaded_from_elsewhere():
    ours = {path: body.decode() for path, body in FILES.items() if not path.startswith("vendor/")}

    outward = {
        path for path, text in ours.items() if re.search(r"""(?:from|import|src=|href=|url\()\s*["']?https?://""", text)
    }
    inline = re.findall(r"<(?:script|style)>|\son\w+=|\sstyle=", ours["index.html"])

    assert outward == set()
    assert inline == []


def test_every_import_names_a_file_that_is_there():
    missing = []
    for path, body in FILES.items():
        if path.endswith(".js") and not path.startswith("vendor/"):
            folder = path.rpartition("/")[0]
            for wanted in re.findall(r'(?:from|import) "(\.[^"]+)"', body.decode()):
                parts = [part for part in f"{folder}/{wanted}".split("/") if part not in ("", ".")]
                while ".." in parts:
                    at = parts.index("..")
                    del parts[at - 1 : at + 1]
                if "/".join(parts) not in FILES:
                    missing.append((path, wanted))

    assert missing == []


def test_the_page_is_asked_for_again_and_its_files_never():
    page, script = answer("/dashboard"), asset("app.js")

    assert dict(page.headers)["cache-control"] == "no-cache"
    assert dict(script.headers)["cache-control"] == "public, max-age=31536000, immutable"
    assert script.content_type == "text/javascript; charset=utf-8"


def test_who_has_it_is_not_sent_it_again():
    etag = dict(answer("/dashboard").headers)["etag"]

    again = answer("/dashboard", {"if-none-match": etag})

    assert (again.status, again.body, dict(again.headers)["etag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    ("accepted", "packed"), [("gzip, br", True), ("*", True), ("br", False), ("gzip;q=0", False), ("", False)]
)
def test_it_is_sent_compressed_to_those_who_take_that(accepted: str, packed: bool):
    said = asset("app.js", {"accept-encoding": accepted})
    headers = dict(said.headers)

    assert (headers.get("content-encoding") == "gzip") is packed
    assert (gzip.decompress(said.body) if packed else said.body) == FILES["app.js"]
    assert headers["vary"] == "accept-encoding"


def test_the_policy_lets_nothing_in_but_ourselves():
    policies = {
        dict(said.headers)["content-security-policy"]
        for said in (answer("/dashboard"), answer("/welcome"), asset("app.js"))
    }

    assert policies == {
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    }


def test_a_file_of_another_version_is_not_there():
    with pytest.raises(NotFound, match="not there any more"):
        answer("/dashboard/assets/{digest}/{path:path}", digest="0" * 16, path="app.js")


def test_a_changed_byte_changes_every_address():
    changed = FILES | {"app.js": FILES["app.js"] + b" "}

    assert Assets(FILES, base="/a").digest != Assets(changed, base="/a").digest


def test_the_programs_that_verify_a_webhook_are_among_them():
    assert json.loads(asset("snippets.json").body) == {"python": "print()"}
