"""Whether a request may become a WebSocket (RFC 6455, section 4.2), strictly; and its head, rewritten.

Libraries behind us have died of bytes in the fields of an upgrade, so they see only what is written
here: a canonical head with nothing of the peer's but its key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from appliance.web.head import Head
from appliance.web.refusal import Refusal

__all__ = ["canonical_head", "check_upgrade", "choose_subprotocol"]

_KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")  # canonical base64 of 16 bytes
_TOKENS = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")


def check_upgrade(head: Head) -> None:
    """Pass a head that asks for a WebSocket as the standard says.

    Raises:
        Refusal: it does not. 426 names the version we speak.
    """
    headers = head.headers
    if head.method != "GET" or not head.http11:
        raise _refused("an upgrade is a GET of HTTP/1.1")
    if head.chunked or "content-length" in headers or "expect" in headers:
        raise _refused("an upgrade has no body")
    if "upgrade" not in _tokens(headers.get("connection", "")) or headers["upgrade"].lower() != "websocket":
        raise _refused("an upgrade says Connection: Upgrade and Upgrade: websocket")
    if headers.get("sec-websocket-version") != "13":
        raise Refusal(426, "upgrade", "WebSocket version 13 is spoken here", hint="send Sec-WebSocket-Version: 13")
    if _KEY.fullmatch(headers.get("sec-websocket-key", "")) is None:
        raise _refused("Sec-WebSocket-Key is not 16 bytes in base64")
    offered = headers.get("sec-websocket-protocol")
    if offered is not None and _TOKENS.fullmatch(offered) is None:
        raise _refused("Sec-WebSocket-Protocol is not a list of tokens")


def choose_subprotocol(head: Head, spoken: Sequence[str]) -> str | None:
    """The first of the client's offers that we speak."""
    offered = [name.strip() for name in head.headers.get("sec-websocket-protocol", "").split(",")]
    return next((name for name in offered if name in spoken), None)


def canonical_head(head: Head, subprotocol: str | None) -> bytes:
    """What the library may see of an upgrade. Extensions are not offered on: we speak none."""
    fields = {
        "Host": head.headers["host"] or "localhost",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": head.headers["sec-websocket-key"],
    }
    if subprotocol is not None:
        fields["Sec-WebSocket-Protocol"] = subprotocol
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET / HTTP/1.1\r\n{lines}\r\n".encode("ascii")


def _tokens(text: str) -> list[str]:
    return [token.strip() for token in text.lower().split(",")]


def _refused(message: str) -> Refusal:
    return Refusal(400, "upgrade", message)
