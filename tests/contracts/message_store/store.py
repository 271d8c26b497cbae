"""A foreign client of the message-store API: the standard library, and httpx-sse for what streams."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from httpx_sse import EventSource

__all__ = ["Failed", "Pokes", "Store", "message"]

PATIENCE = 20.0  # seconds for one answer


def message(type: str = "TestEvent", **fields: Any) -> dict[str, Any]:
    return {"type": type, "data": {}} | fields


class Failed(Exception):
    """An error reply; the code is what clients look at."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(error["code"])
        self.status = status
        self.code = error["code"]
        self.message = error["message"]
        self.details = error.get("details")


class Pokes:
    """An open subscription."""

    def __init__(self, response: httpx.Response) -> None:
        self.headers = response.headers
        self._events = EventSource(response).iter_sse()

    def take(self, count: int) -> list[dict[str, Any]]:
        """The next so many, waited for."""
        found = []
        for event in self._events:
            assert (event.event, event.id, event.retry) == ("poke", "", None)
            found.append(json.loads(event.data))
            if len(found) == count:
                break
        return found


@dataclass
class Store:
    """One namespace, by its token. Without a token it takes the one a server in test mode gives."""

    url: str
    token: str = ""

    def __post_init__(self) -> None:
        address = urlsplit(self.url)
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=PATIENCE)

    def send(
        self, method: str, path: str, body: bytes | Iterable[bytes] = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the answer. A body in pieces goes out chunked."""
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        self._connection.request(method, path, body, own | (headers or {}), encode_chunked=True)
        response = self._connection.getresponse()
        self.headers = response.headers
        content = response.read()
        if not self.token:
            self.token = response.headers.get("X-EventoDB-Token") or ""
        return response.status, content

    def call(self, *call: Any, headers: dict[str, str] | None = None) -> Any:
        """Raises Failed."""
        status, content = self.send("POST", "/rpc", json.dumps(call).encode(), headers)
        answer = json.loads(content)
        if status != 200:
            raise Failed(status, answer["error"])
        return answer

    def write(self, stream: str, *types: str, **options: Any) -> list[dict[str, int]]:
        return [self.call("stream.write", stream, message(type), options) for type in types or ("TestEvent",)]

    def get(self, stream: str, **options: Any) -> list[list[Any]]:
        return self.call("stream.get", stream, options)

    def category(self, name: str, **options: Any) -> list[list[Any]]:
        return self.call("category.get", name, options)

    @contextmanager
    def subscribe(self, *, by_query: bool = True, **query: Any) -> Iterator[Pokes]:
        """Open once the server has said that it listens: headers come at once."""
        headers = {} if by_query else {"Authorization": f"Bearer {self.token}"}
        query = ({"token": self.token} if by_query else {}) | query
        address = f"{self.url}/subscribe?{urlencode(query)}"
        with httpx.stream("GET", address, headers=headers, timeout=PATIENCE) as response:
            if response.status_code != 200:
                response.read()
            yield Pokes(response)

    def __del__(self) -> None:
        """Tests make as many as they like."""
        self._connection.close()
