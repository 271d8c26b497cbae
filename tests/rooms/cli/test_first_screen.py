"""What `serve` shows when it is ready, to an eye and to a pipe."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from appliance.app import Started
from appliance.cli.banner import qr
from appliance.cli.desk import Desk
from appliance.cli.serve import welcome_lines

LAN = "http://192.168.1.5:80"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(out: io.StringIO, monkeypatch: pytest.MonkeyPatch, *, url: str = LAN, test_mode: bool = False) -> str:
    monkeypatch.setenv("COLUMNS", "100")
    started = Started(
        name="kitchen",
        port=80,
        urls=(url,),
        data=Path("data"),
        test_mode=test_mode,
        owner_token="ns_owner",
        link=f"{url}/welcome#code=abc",
    )
    return "\n".join(welcome_lines(started, Desk(out=out, environ={"NO_COLOR": "1"})))


def test_an_eye_sees_the_link_its_limits_and_its_qr_code(monkeypatch):
    text = shown(Terminal(), monkeypatch)

    assert f"Open     {LAN}/welcome#code=abc\n" in text
    assert "works once, within 15 minutes" in text
    assert qr(f"{LAN}/welcome#code=abc") in text
    assert "ns_owner" not in text


def test_a_link_to_this_machine_alone_has_no_qr_code(monkeypatch):
    text = shown(Terminal(), monkeypatch, url="http://127.0.0.1:80")

    assert "http://127.0.0.1:80/welcome#code=abc" in text
    assert "▀" not in text


def test_a_pipe_is_told_no_secret(monkeypatch):
    assert shown(io.StringIO(), monkeypatch) == ""


def test_a_pipe_of_a_test_server_is_given_token_and_link(monkeypatch):
    assert shown(io.StringIO(), monkeypatch, test_mode=True).splitlines() == [
        "DEFAULT NAMESPACE TOKEN:",
        "ns_owner",
        "ONE-TIME ADMIN LINK:",
        f"{LAN}/welcome#code=abc",
    ]
