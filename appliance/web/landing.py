"""The landing page: what runs here, live counts, how to connect, and the API; for people and programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from string import Template

from appliance.model.http import Lane, Request, Response, Route, SocketRoute, json_response
from appliance.web.page import HTML, page
from appliance.web.tls import CA_PATH

__all__ = ["Landing"]

Status = Callable[[], Mapping[str, object]]


class Landing:
    """`GET /`.

    Args:
        name: what this appliance is called; it may change.
        status: live values by name, shown as they are; called per request, so it must be quick.
        routes, sockets: the API to show.
        links: (address, words) below the table.
    """

    def __init__(
        self,
        status: Status,
        routes: Sequence[Route],
        sockets: Sequence[SocketRoute] = (),
        *,
        name: Callable[[], str] = lambda: "appliance",
        version: str = "",
        links: Sequence[tuple[str, str]] = (("/openapi.json", "OpenAPI document"), ("/health", "health")),
    ) -> None:
        self._status = status
        self._routes = routes
        self._sockets = sockets
        self._name = name
        self._version = version
        self._links = links
        shown = page("landing")
        self._page = Template(shown.source)
        self._headers = (*shown.headers, ("vary", "accept"))

    def route(self) -> Route:
        return Route("GET", "/", self._answer, "This page; JSON if asked for.", lane=Lane.FAST, tags=("operations",))

    def _answer(self, request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            return json_response(self._summary())
        return Response(200, self._render(request).encode(), HTML, self._headers)

    def _summary(self) -> dict[str, object]:
        return {
            "name": self._name(),
            "version": self._version,
            "counts": dict(self._status()),
            "links": {words: address for address, words in self._links},
            "api": [
                {"method": method, "path": path, "scope": scope, "summary": summary}
                for method, path, scope, summary in self._api()
            ],
        }

    def _render(self, request: Request) -> str:
        scheme = "https" if request.secure else "http"
        counts = "".join(
            f'<div><dt>{escape(key)}</dt><dd data-key="{escape(key)}">{escape(_spaced(value))}</dd></div>'
            for key, value in self._status().items()
        )
        rows = "".join(
            f"<tr><td>{method}<td><code>{escape(path)}</code><td>{escape(scope or '–')}<td>{escape(summary)}"
            for method, path, scope, summary in self._api()
        )
        return self._page.substitute(
            name=escape(self._name()),
            version=escape(self._version),
            url=f"{scheme}://{escape(request.headers.get('host') or 'localhost')}",
            counts=counts,
            rows=rows,
            links=" · ".join(f'<a href="{escape(address)}">{escape(words)}</a>' for address, words in self._links),
            trust=_TRUST if request.secure else "",
        )

    def _api(self) -> list[tuple[str, str, str | None, str]]:
        rows = [
            ("any" if r.method == "*" else r.method, r.path, r.scope or ("a token" if r.guarded else None), r.summary)
            for r in self._routes
        ]
        return rows + [("WebSocket", s.path, s.scope, s.summary) for s in self._sockets]


_TRUST = (
    f'<p>If your device does not trust this address yet: <a href="{CA_PATH}">install the local authority</a>, '
    "or add <code>--cacert appliance-ca.crt</code> to the lines above.</p>"
)


def _spaced(value: object) -> str:
    """Thousands apart, so that a long count can be read."""
    return f"{value:,}".replace(",", "\u2009") if isinstance(value, int) else str(value)
