"""Pages of which origins may use us from a browser: one list for WebSockets and for answers (`cors`).

A browser lets any page open a WebSocket and send simple requests; the Origin it adds is what tells pages apart
(RFC 6454). Our own pages always may. Others must be listed, scheme, host and port exactly; nothing is matched by
its beginning or end. A program that is no browser sends no Origin, and is judged by its token alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from appliance.errors import ConfigError
from appliance.model.http import Request

__all__ = ["Origins"]

ANY = "*"
OPAQUE = "null"  # what a sandboxed frame or a local file says; whoever lists it trusts all of them

_SHAPE = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[^\s/?#@:*\[\]]+)(?::(\d{1,5}))?", re.IGNORECASE)
_PORTS = {"http": "80", "https": "443"}


class Origins:
    """
    Args:
        listed: as `https://app.example:8443`; `*`: all; `null`: pages without an origin of their own.

    Raises:
        ConfigError: one of them is not an origin.
    """

    def __init__(self, listed: Sequence[str] = ()) -> None:
        self._all = ANY in listed
        self._listed = {_canonical(origin) or _refuse(origin) for origin in listed if origin != ANY}

    def admits(self, request: Request) -> bool:
        """Whether the page that sends this may be here: ours, a listed one, or none at all."""
        origin = request.headers.get("origin")
        return origin is None or self.lists(origin) or _own(request, origin)

    def lists(self, origin: str) -> bool:
        """Whether pages of this origin, which is not ours, are let in."""
        return self._all or _canonical(origin) in self._listed


def _own(request: Request, origin: str) -> bool:
    scheme = "https" if request.secure else "http"
    own = _canonical(f"{scheme}://{request.headers.get('host', '')}")
    return own is not None and own == _canonical(origin)


def _canonical(origin: str) -> str | None:
    """Scheme, host and port in one spelling; None: not an origin."""
    if origin == OPAQUE:
        return OPAQUE
    found = _SHAPE.fullmatch(origin)
    if found is None:
        return None
    scheme, host, port = found[1].lower(), found[2].lower(), found[3]
    return f"{scheme}://{host}:{port or _PORTS[scheme]}"


def _refuse(origin: str) -> str:
    raise ConfigError(
        f"clients.origins: {origin!r} is not an origin",
        hint='write scheme, host and port, as "https://app.example:8443"; or "*"',
        key="clients.origins",
    )
