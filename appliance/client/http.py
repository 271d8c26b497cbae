"""What both transports share of HTTP: limits of time, header shapes, and the meaning of a broken connection."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

from appliance.client.replies import Unreachable
from appliance.errors import ApplianceError, Rejected

__all__ = ["BROKEN", "IDLE", "KEEP", "POOL", "failure", "headers_of", "times", "tls_of"]

IDLE = 45.0  # seconds without a byte after which a subscription is taken for dead; servers send a comment every 15
KEEP = 60.0  # seconds an idle connection is kept
POOL = 64  # connections at once

BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)


def times(timeout: float, read: float | None = None) -> dict[str, Any]:
    """Request extensions: at most `timeout` seconds for each step, `read` for each pause of an answer."""
    return {
        "timeout": {
            "connect": min(timeout, 10.0),
            "read": timeout if read is None else read,
            "write": timeout,
            "pool": timeout,
        }
    }


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}


def failure(url: str, error: Exception) -> ApplianceError:
    """What a broken exchange means to the caller."""
    if isinstance(error, httpcore.LocalProtocolError):
        return Rejected(f"this cannot be sent: {error}", hint="check the token and the address for stray characters")
    if isinstance(error, httpcore.ReadTimeout | httpcore.WriteTimeout):
        return Unreachable(f"{url} did not answer in time", hint="it may be busy; try again, or raise the timeout")
    if isinstance(error, httpcore.ReadError | httpcore.WriteError | httpcore.RemoteProtocolError):
        return Unreachable(f"{url} has broken the connection off", hint="is it being stopped? then start it again")
    reason = str(error).partition("] ")[2] or str(error) or type(error).__name__
    return Unreachable(f"nothing answers at {url} ({reason})", hint="start the server, or check the address")


def tls_of(url: str, ca: str) -> ssl.SSLContext | None:
    """Trust for `https`: the system's authorities, and `ca` (a PEM file) if given."""
    if not url.startswith("https:"):
        return None
    context = ssl.create_default_context()
    if ca:
        context.load_verify_locations(ca)
    return context
