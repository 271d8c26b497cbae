"""The client for ordinary code: every call blocks until its answer is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar

import httpcore

from appliance.client import protocol
from appliance.client.follow import Backoff, Following, OnLost, Ready, Tail
from appliance.client.http import BROKEN, IDLE, KEEP, POOL, failure, headers_of, times, tls_of
from appliance.client.paging import HeadPages, Pages, Paging, boundary, reader_of
from appliance.client.protocol import PAGE, Call, Operation, Session
from appliance.client.replies import Reply, error_of
from appliance.client.shapes import (
    Category,
    Created,
    Deleted,
    Imported,
    Message,
    Namespace,
    Poke,
    Receipt,
    StreamHead,
    Topic,
    Write,
)
from appliance.client.sse import SseParser
from appliance.client.transfer import ImportRun, LineSplitter, Window, moment, records, segments
from appliance.errors import ApplianceError, MethodNotAllowed, NotFound

__all__ = ["Client"]

T = TypeVar("T")


class Client:
    """Talks to a message store.

    Errors are classes of `appliance.errors`; `error.facts["wire_code"]` is what the server called it. An exchange
    that broke is tried once more if that cannot do harm: reads, and writes with a `key`. One client may be used
    from several threads.

    Args:
        url: `http://host:port`, or https.
        token: bearer token; its namespace is where everything happens. A server in test mode gives one by itself.
        timeout: seconds for each step of an exchange.
        ca: PEM file with an authority to trust beside the system's.
        rng: for the jitter of reconnects.
        sleep: how to wait, in seconds.
        on_lost: told when a subscription lost its connection (and why, if known), with the seconds until the next try.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8420",
        token: str = "",
        *,
        timeout: float = 30.0,
        ca: str = "",
        rng: Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
        on_lost: OnLost | None = None,
    ) -> None:
        self._session = Session(url.rstrip("/"), token)
        self._timeout = timeout
        self._rng = rng or Random()  # noqa: S311 - jitter, never secrets
        self._sleep = sleep
        self._on_lost = on_lost
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls_of(url, ca), max_connections=POOL, keepalive_expiry=KEEP, max_keepalive_connections=POOL
        )

    @property
    def url(self) -> str:
        return self._session.url

    @property
    def token(self) -> str:
        """The token in use; in test mode the one the server gave."""
        return self._session.token

    def close(self) -> None:
        """Drop all connections. Subscriptions in other threads end with an error."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # Writing

    def write(
        self,
        stream: str,
        type: str,
        data: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        id: str = "",
        expected_version: int | None = None,
        key: str = "",
    ) -> Receipt:
        """Append one message; when this returns it is on disk.

        Args:
            id: a UUID of your own; the server refuses it the second time.
            expected_version: write only if the stream is there, -1: only if it does not exist yet.
            key: makes the write idempotent for 24 hours: the same again gets the first receipt.

        Raises:
            VersionConflict: the stream is elsewhere.
        """
        message = Write(stream, type, data or {}, metadata, id, expected_version)
        return self.run(protocol.write(message, key))

    def write_many(self, messages: Sequence[Write], *, key: str = "") -> tuple[Receipt, ...]:
        """Append several messages to any streams, all or none. Each sees the versions that those before it make."""
        return self.run(protocol.write_many(messages, key))

    # Reading

    def get_stream(
        self, stream: str, position: int = 0, *, limit: int | None = None, batch: int = PAGE
    ) -> Iterator[Message]:
        """The messages of a stream from a position on, read page by page."""
        topic = Topic(stream)
        return self._items(Pages(reader_of(topic), topic.place, position, limit, batch))

    def get_category(
        self,
        category: str = "",
        position: int = 1,
        *,
        correlation: str | None = None,
        member: int | None = None,
        size: int | None = None,
        limit: int | None = None,
        batch: int = PAGE,
    ) -> Iterator[Message]:
        """The messages of a category ("": of all) from a global position on, read page by page.

        Args:
            correlation: only messages whose metadata.correlationStreamName is in this category.
            member: with `size`: only the streams of this member of a consumer group.
        """

        def read(position: int, batch: int) -> Operation[list[Message]]:
            return protocol.read_category(category, position, batch, correlation, member, size)

        return self._items(Pages(read, Topic().place, position, limit, batch))

    def last(self, stream: str, type: str = "") -> Message | None:
        """The newest message of a stream (of a type)."""
        return self.run(protocol.last(stream, type))

    def version(self, stream: str) -> int | None:
        """The position of a stream's newest message; None: no such stream."""
        return self.run(protocol.version(stream))

    def latest(self, topic: Topic) -> Message | None:
        """The newest message of a topic, found in some 2 log2(n) small reads."""
        return self._search(topic, lambda message: True)[0]

    def end(self, topic: Topic) -> int:
        """The place the next message of a topic will have, or one shortly before."""
        return self._search(topic, lambda message: True)[1]

    def place_at(self, topic: Topic, since: datetime) -> int:
        """The place of the first message that is not older than `since`."""
        return self._search(topic, lambda message: moment(message.time) < since)[1]

    # Looking around

    def streams(self, prefix: str = "", *, limit: int | None = None, batch: int = 1000) -> Iterator[StreamHead]:
        """The streams of the namespace in byte order."""
        return self._items(HeadPages(prefix, limit, batch))

    def categories(self) -> list[Category]:
        return self.run(protocol.categories())

    def namespaces(self) -> list[Namespace]:
        """All namespaces, newest first; needs the token of namespace `default`."""
        return self.run(protocol.namespaces())

    def create_namespace(self, namespace: str, description: str = "", *, token: str = "") -> Created:
        return self.run(protocol.create_namespace(namespace, description, token))

    def delete_namespace(self, namespace: str) -> Deleted:
        """Remove a namespace with everything in it."""
        return self.run(protocol.delete_namespace(namespace))

    def namespace_info(self, namespace: str) -> Namespace:
        return self.run(protocol.namespace_info(namespace))

    def health(self) -> dict[str, Any]:
        """How the server is, and with which storage."""
        return self.run(protocol.health())

    def server_version(self) -> str:
        return self.run(protocol.server_version())

    # Streams of events

    def subscribe(
        self, topic: Topic | None = None, position: int | None = None
    ) -> AbstractContextManager[Iterator[Poke]]:
        """Pokes of a topic (None: everything), one per message, from a place on.

        A lost connection is replaced, and the subscription goes on after the last poke. The first one must succeed.

            with client.subscribe(Topic(categories=("order",))) as pokes:
                for poke in pokes: ...
        """
        return closing(self._pokes(topic or Topic(), position))

    def tail(
        self, topic: Topic | None = None, position: int | None = None
    ) -> AbstractContextManager[Iterator[Message]]:
        """The messages of a topic (None: everything) from a place on, first those stored, then each new one."""
        return closing(self._tail(topic or Topic(), position))

    # Whole logs

    def import_lines(self, lines: Iterable[bytes], *, force: bool = False) -> Iterator[Imported]:
        """Send NDJSON records that keep their positions; yields progress, at last the whole.

        Args:
            force: first delete what the namespace holds.

        Raises:
            ApplianceError: a record was refused; `facts["line"]` says which, `facts["imported"]` how many are in.
        """
        run = ImportRun()
        for number, group in enumerate(segments(lines)):
            call = protocol.import_lines(group, force=force and number == 0)
            reply = self._checked(call)
            yield run.took(SseParser().feed(reply.body), len(group))

    def export_lines(self, categories: Sequence[str] = (), since: str = "", until: str = "") -> Iterator[bytes]:
        """All records as NDJSON lines (without their ends) in log order.

        Args:
            since: RFC 3339 or a day; inclusive.
            until: the same; exclusive.
        """
        window = Window(since, until)
        try:
            with self._stream(protocol.export_lines(categories, since, until), self._timeout) as chunks:
                lines = LineSplitter()
                for chunk in chunks:
                    yield from lines.feed(chunk)
                yield from lines.end()
        except (NotFound, MethodNotAllowed):  # a message store without /export
            for category in categories or ("",):
                for message in self.get_category(category):
                    yield from records([message], window)

    # Below: one exchange at a time

    def run(self, operation: Operation[T]) -> T:
        """Do one operation of `appliance.client.protocol`."""
        return operation.finish(self._send(operation.call))

    def _items(self, pages: Paging[T]) -> Iterator[T]:
        while (operation := pages.next()) is not None:
            yield from pages.took(self.run(operation))

    def _search(self, topic: Topic, before: Callable[[Message], bool]) -> tuple[Message | None, int]:
        steps = boundary(topic, before)
        operation = next(steps)
        while True:
            try:
                operation = steps.send(self.run(operation))
            except StopIteration as found:
                result: tuple[Message | None, int] = found.value
                return result

    def _pokes(self, topic: Topic, position: int | None) -> Generator[Poke]:
        for signal in self._signals(topic, position):
            if isinstance(signal, Poke):
                yield signal

    def _tail(self, topic: Topic, position: int | None) -> Generator[Message]:
        tail = Tail(topic, topic.start if position is None else position)
        yield from self._covering(tail, Ready())
        for signal in self._signals(topic, tail.position):
            yield from self._covering(tail, signal)

    def _covering(self, tail: Tail, signal: Poke | Ready) -> Iterator[Message]:
        pages = tail.pages(signal)
        return iter(()) if pages is None else self._items(pages)

    def _signals(self, topic: Topic, position: int | None) -> Iterator[Poke | Ready]:
        following = Following(topic, topic.start if position is None else position, Backoff(self._rng))
        while True:
            lost: ApplianceError | None = None
            try:
                yield from self._connection(following)
            except ApplianceError as error:
                lost = error
            pause = following.lost(lost)
            if self._on_lost is not None:
                self._on_lost(lost, pause)
            self._sleep(pause)

    def _connection(self, following: Following) -> Iterator[Poke | Ready]:
        parser = SseParser()
        with self._stream(following.call(), IDLE) as chunks:
            following.connected()
            for chunk in chunks:
                for seen in parser.feed(chunk):
                    signal = following.took(seen)
                    if signal is not None:
                        yield signal

    def _checked(self, call: Call) -> Reply:
        reply = self._send(call)
        if reply.status >= 400:
            raise error_of(reply)
        return reply

    def _send(self, call: Call) -> Reply:
        try:
            return self._once(call)
        except BROKEN as error:
            if not call.again or isinstance(error, httpcore.TimeoutException | httpcore.ConnectError):
                raise failure(self.url, error) from error
        try:
            return self._once(call)  # a kept connection the server had closed meanwhile
        except BROKEN as error:
            raise failure(self.url, error) from error

    def _once(self, call: Call) -> Reply:
        response = self._pool.request(
            call.method,
            self._session.target(call),
            headers=self._session.headers(call),
            content=call.body or None,
            extensions=times(self._timeout),
        )
        headers = headers_of(response.headers)
        self._session.saw(headers)
        return Reply(response.status, response.content, headers)

    @contextmanager
    def _stream(self, call: Call, idle: float) -> Iterator[Iterator[bytes]]:
        """The chunks of a good answer as they come."""
        try:
            with self._pool.stream(
                call.method,
                self._session.target(call),
                headers=self._session.headers(call),
                extensions=times(self._timeout, idle),
            ) as response:
                headers = headers_of(response.headers)
                self._session.saw(headers)
                if response.status >= 400:
                    raise error_of(Reply(response.status, response.read(), headers))
                yield response.iter_stream()
        except BROKEN as error:
            raise failure(self.url, error) from error
