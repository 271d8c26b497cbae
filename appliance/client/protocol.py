"""The message-store API as values: what to send for each operation, and how to read the answer.

Nothing here knows a socket. A transport takes an `Operation`, sends its `call` and gives the reply to
`finish`; both clients are that and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from appliance.client.replies import Reply, decoded, error_of
from appliance.client.shapes import (
    Category,
    Created,
    Deleted,
    Message,
    Namespace,
    Poke,
    Receipt,
    StreamHead,
    Topic,
    Write,
)
from appliance.errors import Rejected

__all__ = [
    "PAGE",
    "Call",
    "Operation",
    "Session",
    "categories",
    "create_namespace",
    "delete_namespace",
    "export_lines",
    "health",
    "import_lines",
    "last",
    "namespace_info",
    "namespaces",
    "poke_of",
    "read_category",
    "read_stream",
    "rest",
    "rpc",
    "server_version",
    "streams",
    "subscribe",
    "version",
    "write",
    "write_many",
]

T = TypeVar("T")

PAGE = 1000  # messages asked for at once; the server allows 10,000
TOKEN_HEADERS = ("x-eventodb-token", "x-messagedb-token")  # a server in test mode hands out its token here

_Row = tuple[str, str, int, int, dict[str, Any], dict[str, Any] | None, str]
_CategoryRow = tuple[str, str, str, int, int, dict[str, Any], dict[str, Any] | None, str]

_encode = msgspec.json.Encoder().encode
_rows = msgspec.json.Decoder(list[_Row])
_category_rows = msgspec.json.Decoder(list[_CategoryRow])
_last_row = msgspec.json.Decoder(_Row | None)
_version = msgspec.json.Decoder(int | None)
_text = msgspec.json.Decoder(str)
_object = msgspec.json.Decoder(dict[str, Any])


class _Place(msgspec.Struct, rename="camel"):
    position: int
    global_position: int


class _PokeData(msgspec.Struct, rename="camel"):
    stream: str
    position: int
    global_position: int


class _StreamRow(msgspec.Struct, rename="camel"):
    stream: str
    version: int
    last_activity: str | None = None


class _CategoryInfo(msgspec.Struct, rename="camel"):
    category: str
    stream_count: int
    message_count: int


class _NamespaceRow(msgspec.Struct, rename="camel"):
    namespace: str
    description: str
    created_at: str
    message_count: int
    stream_count: int | None = None
    last_activity: str | None = None


class _CreatedRow(msgspec.Struct, rename="camel"):
    namespace: str
    token: str
    created_at: str


class _DeletedRow(msgspec.Struct, rename="camel"):
    namespace: str
    deleted_at: str
    messages_deleted: int


_place = msgspec.json.Decoder(_Place)
_places = msgspec.json.Decoder(list[_Place])
_poke = msgspec.json.Decoder(_PokeData)
_streams = msgspec.json.Decoder(list[_StreamRow])
_categories = msgspec.json.Decoder(list[_CategoryInfo])
_namespaces = msgspec.json.Decoder(list[_NamespaceRow])
_namespace = msgspec.json.Decoder(_NamespaceRow)
_created = msgspec.json.Decoder(_CreatedRow)
_deleted = msgspec.json.Decoder(_DeletedRow)


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, without address and credentials."""

    method: str
    target: str  # path and query
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    again: bool = True  # may be sent twice: it changes nothing, or the server knows it by its key


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """A call, and what its answer means."""

    call: Call
    decode: Callable[[bytes], T]
    subject: str = ""  # the stream it is about

    def finish(self, reply: Reply) -> T:
        """
        Raises:
            ApplianceError: the server said no; see `appliance.client.replies`.
        """
        if reply.status >= 400:
            raise error_of(reply, self.subject)
        return self.decode(reply.body)


@dataclass
class Session:
    """Address and credentials of one server, as far as requests need them."""

    url: str
    token: str = ""
    agent: str = "appliance-client"
    _prefix: str = field(init=False, default="")

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Rejected(f"{self.url!r} is not a server address", hint="write it like http://127.0.0.1:8420")
        self._prefix = parts.path.rstrip("/")

    def target(self, call: Call) -> str:
        """The whole URL. Never holds the token: URLs end up in logs."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{self._prefix}{call.target}"

    def headers(self, call: Call) -> list[tuple[str, str]]:
        own = {"user-agent": self.agent}
        if self.token:
            own["authorization"] = f"Bearer {self.token}"
        if call.body:
            own["content-type"] = "application/json"
        return list((own | dict(call.headers)).items())

    def saw(self, headers: Mapping[str, str]) -> None:
        """Adopt the token a server in test mode offers, if we have none."""
        if not self.token:
            self.token = next((headers[name] for name in TOKEN_HEADERS if headers.get(name)), "")


def rpc(decode: Callable[[bytes], T], method: str, *args: object, subject: str = "") -> Operation[T]:
    return Operation(Call("POST", "/rpc", _encode([method, *args])), decode, subject)


# Messages ------------------------------------------------------------------------------------------------------------


def write(message: Write, key: str = "") -> Operation[Receipt]:
    options = _given(id=message.id or None, expectedVersion=message.expected_version)

    def decode(body: bytes) -> Receipt:
        place = decoded(_place, body)
        return Receipt(message.stream, place.position, place.global_position)

    call = _keyed(_encode(["stream.write", message.stream, _content(message), options]), key)
    return Operation(call, decode, message.stream)


def write_many(messages: Sequence[Write], key: str = "") -> Operation[tuple[Receipt, ...]]:
    """All or none; one receipt for each message."""
    entries = [
        {"stream": message.stream}
        | _content(message)
        | _given(id=message.id or None, expectedVersion=message.expected_version)
        for message in messages
    ]

    def decode(body: bytes) -> tuple[Receipt, ...]:
        places = decoded(_places, body)
        pairs = zip(messages, places, strict=True)
        return tuple(Receipt(message.stream, place.position, place.global_position) for message, place in pairs)

    return Operation(_keyed(_encode(["stream.writeMany", entries]), key), decode)


def _content(message: Write) -> dict[str, object]:
    return {"type": message.type, "data": message.data} | _given(metadata=message.metadata)


def _keyed(body: bytes, key: str) -> Call:
    """A write may be sent again only when the server can recognise it."""
    return Call("POST", "/rpc", body, (("idempotency-key", key),) if key else (), again=bool(key))


def _given(**options: object) -> dict[str, object]:
    """Only the options that were given: for this API null is not the same as absent."""
    return {name: value for name, value in options.items() if value is not None}


def read_stream(stream: str, position: int, batch: int) -> Operation[list[Message]]:
    def decode(body: bytes) -> list[Message]:
        return [_of_stream(stream, row) for row in decoded(_rows, body)]

    return rpc(decode, "stream.get", stream, {"position": position, "batchSize": batch}, subject=stream)


def read_category(
    category: str,
    position: int,
    batch: int,
    correlation: str | None = None,
    member: int | None = None,
    size: int | None = None,
) -> Operation[list[Message]]:
    """Messages from a global position on; category "" is all of them."""
    group = None if member is None else {"member": member, "size": size}
    options = _given(position=position, batchSize=batch, correlation=correlation, consumerGroup=group)
    return rpc(_of_category, "category.get", category, options)


def _of_stream(stream: str, row: _Row) -> Message:
    return Message(row[0], stream, *row[1:])


def _of_category(body: bytes) -> list[Message]:
    return [Message(*row) for row in decoded(_category_rows, body)]


def last(stream: str, type: str = "") -> Operation[Message | None]:
    def decode(body: bytes) -> Message | None:
        row = decoded(_last_row, body)
        return None if row is None else _of_stream(stream, row)

    return rpc(decode, "stream.last", stream, _given(type=type or None), subject=stream)


def version(stream: str) -> Operation[int | None]:
    return rpc(lambda body: decoded(_version, body), "stream.version", stream, subject=stream)


# The namespace -------------------------------------------------------------------------------------------------------


def streams(prefix: str, cursor: str, limit: int) -> Operation[list[StreamHead]]:
    options = _given(prefix=prefix or None, cursor=cursor or None, limit=limit)

    def decode(body: bytes) -> list[StreamHead]:
        return [StreamHead(row.stream, row.version, row.last_activity) for row in decoded(_streams, body)]

    return rpc(decode, "ns.streams", options)


def categories() -> Operation[list[Category]]:
    def decode(body: bytes) -> list[Category]:
        return [Category(row.category, row.stream_count, row.message_count) for row in decoded(_categories, body)]

    return rpc(decode, "ns.categories")


def create_namespace(namespace: str, description: str, token: str) -> Operation[Created]:
    options = _given(description=description or None, token=token or None)

    def decode(body: bytes) -> Created:
        row = decoded(_created, body)
        return Created(row.namespace, row.token, row.created_at)

    call = Call("POST", "/rpc", _encode(["ns.create", namespace, options]), again=False)
    return Operation(call, decode)


def delete_namespace(namespace: str) -> Operation[Deleted]:
    def decode(body: bytes) -> Deleted:
        row = decoded(_deleted, body)
        return Deleted(row.namespace, row.deleted_at, row.messages_deleted)

    return Operation(Call("POST", "/rpc", _encode(["ns.delete", namespace]), again=False), decode)


def namespaces() -> Operation[list[Namespace]]:
    return rpc(lambda body: [_namespace_of(row) for row in decoded(_namespaces, body)], "ns.list")


def namespace_info(namespace: str) -> Operation[Namespace]:
    return rpc(lambda body: _namespace_of(decoded(_namespace, body)), "ns.info", namespace)


def _namespace_of(row: _NamespaceRow) -> Namespace:
    return Namespace(
        row.namespace, row.description, row.created_at, row.message_count, row.stream_count, row.last_activity
    )


# The server ----------------------------------------------------------------------------------------------------------


def server_version() -> Operation[str]:
    return Operation(Call("GET", "/version"), lambda body: str(decoded(_object, body).get("version", "")))


def health() -> Operation[dict[str, Any]]:
    return rpc(lambda body: decoded(_object, body), "sys.health")


def rest(method: str, path: str, value: object = None, query: Mapping[str, str] | None = None) -> Operation[Any]:
    """Any other JSON route: the answer as plain values, None when there is no body."""
    target = quote(path) + (f"?{urlencode(query)}" if query else "")
    body = b"" if value is None else _encode(value)
    decoder = msgspec.json.Decoder(Any)
    return Operation(
        Call(method, target, body, again=method == "GET"), lambda raw: decoded(decoder, raw) if raw else None
    )


# Streams of events ---------------------------------------------------------------------------------------------------


def subscribe(topic: Topic, position: int) -> Call:
    """Opens an event stream: what is stored from a place on, then what comes."""
    query: dict[str, str] = {}
    if topic.stream is not None:
        query["stream"] = topic.stream
    elif len(topic.categories) == 1:
        query["category"] = topic.categories[0]
    elif topic.categories:
        query["categories"] = ",".join(topic.categories)
    else:
        query["all"] = "true"
    if topic.member is not None:
        query |= {"consumer": str(topic.member), "size": str(topic.size)}
    query["position"] = str(position)
    return Call("GET", f"/subscribe?{urlencode(query)}", headers=(("accept", "text/event-stream"),))


def poke_of(data: str) -> Poke:
    """
    Raises:
        PeerFailed: not a poke.
    """
    row = decoded(_poke, data.encode())
    return Poke(row.stream, row.position, row.global_position)


def import_lines(lines: Iterable[bytes], *, force: bool) -> Call:
    headers = (("content-type", "application/x-ndjson"),)
    target = "/import?force=true" if force else "/import"
    return Call("POST", target, b"\n".join(lines) + b"\n", headers, again=False)


def export_lines(categories: Sequence[str], since: str, until: str) -> Call:
    query = {"categories": ",".join(categories), "since": since, "until": until}
    given = {name: value for name, value in query.items() if value}
    return Call("GET", "/export" + (f"?{urlencode(given)}" if given else ""))
