"""The client for Trio programs. The same operations as `Client`; iterators are asynchronous."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import datetime
from random import Random
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpcore
import trio

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

__all__ = ["AsyncClient"]

T = TypeVar("T")


class AsyncClient:
    """Talks to a message store from Trio; see `appliance.client.Client` for what each operation does.

    Args:
        url: `http://host:port`, or https.
        token: bearer token; a server in test mode gives one by itself.
        timeout: seconds for each step of an exchange.
        ca: PEM file with an authority to trust beside the system's.
        rng: for the jitter of reconnects.
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
        on_lost: OnLost | None = None,
    ) -> None:
        self._session = Session(url.rstrip("/"), token)
        self._timeout = timeout
        self._rng = rng or Random()  # noqa: S311 - jitter, never secrets
        self._on_lost = on_lost
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls_of(url, ca),
            max_connections=POOL,
            keepalive_expiry=KEEP,
            max_keepalive_connections=POOL,
            network_backend=httpcore.TrioBackend(),
        )

    @property
    def url(self) -> str:
        return self._session.url

    @property
    def token(self) -> str:
        """The token in use; in test mode the one the server gave."""
        return self._session.token

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        with trio.move_on_after(2, shield=True):
            await self.aclose()

    # Writing

    async def write(
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
        message = Write(stream, type, data or {}, metadata, id, expected_version)
        return await self.run(protocol.write(message, key))

    async def write_many(self, messages: Sequence[Write], *, key: str = "") -> tuple[Receipt, ...]:
        return await self.run(protocol.write_many(messages, key))

    # Reading

    def get_stream(
        self, stream: str, position: int = 0, *, limit: int | None = None, batch: int = PAGE
    ) -> AsyncIterator[Message]:
        topic = Topic(stream)
        return _Items(self, Pages(reader_of(topic), topic.place, position, limit, batch))

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
    ) -> AsyncIterator[Message]:
        def read(position: int, batch: int) -> Operation[list[Message]]:
            return protocol.read_category(category, position, batch, correlation, member, size)

        return _Items(self, Pages(read, Topic().place, position, limit, batch))

    async def last(self, stream: str, type: str = "") -> Message | None:
        return await self.run(protocol.last(stream, type))

    async def version(self, stream: str) -> int | None:
        return await self.run(protocol.version(stream))

    async def latest(self, topic: Topic) -> Message | None:
        return (await self._search(topic, lambda message: True))[0]

    async def end(self, topic: Topic) -> int:
        return (await self._search(topic, lambda message: True))[1]

    async def place_at(self, topic: Topic, since: datetime) -> int:
        return (await self._search(topic, lambda message: moment(message.time) < since))[1]

    # Looking around

    def streams(self, prefix: str = "", *, limit: int | None = None, batch: int = PAGE) -> AsyncIterator[StreamHead]:
        return _Items(self, HeadPages(prefix, limit, batch))

    async def categories(self) -> list[Category]:
        return await self.run(protocol.categories())

    async def namespaces(self) -> list[Namespace]:
        return await self.run(protocol.namespaces())

    async def create_namespace(self, namespace: str, description: str = "", *, token: str = "") -> Created:
        return await self.run(protocol.create_namespace(namespace, description, token))

    async def delete_namespace(self, namespace: str) -> Deleted:
        return await self.run(protocol.delete_namespace(namespace))

    async def namespace_info(self, namespace: str) -> Namespace:
        return await self.run(protocol.namespace_info(namespace))

    async def health(self) -> dict[str, Any]:
        return await self.run(protocol.health())

    async def server_version(self) -> str:
        return await self.run(protocol.server_version())

    # Streams of events

    def subscribe(
        self, topic: Topic | None = None, position: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Poke]]:
        return aclosing(self._pokes(topic or Topic(), position))

    def tail(
        self, topic: Topic | None = None, position: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        return aclosing(self._tail(topic or Topic(), position))

    # Whole logs

    async def import_lines(self, lines: Iterable[bytes], *, force: bool = False) -> AsyncIterator[Imported]:
        run = ImportRun()
        for number, group in enumerate(segments(lines)):
            reply = await self._checked(protocol.import_lines(group, force=force and number == 0))
            yield run.took(SseParser().feed(reply.body), len(group))

    async def export_lines(
        self, categories: Sequence[str] = (), since: str = "", until: str = ""
    ) -> AsyncIterator[bytes]:
        window = Window(since, until)
        try:
            async with self._stream(protocol.export_lines(categories, since, until), self._timeout) as chunks:
                lines = LineSplitter()
                async for chunk in chunks:
                    for line in lines.feed(chunk):
                        yield line
                for line in lines.end():
                    yield line
        except (NotFound, MethodNotAllowed):  # a message store without /export
            for category in categories or ("",):
                async for message in self.get_category(category):
                    for line in records([message], window):
                        yield line

    # Below: one exchange at a time

    async def run(self, operation: Operation[T]) -> T:
        """Do one operation of `appliance.client.protocol`."""
        return operation.finish(await self._send(operation.call))

    async def _search(self, topic: Topic, before: Callable[[Message], bool]) -> tuple[Message | None, int]:
        steps = boundary(topic, before)
        operation = next(steps)
        while True:
            try:
                operation = steps.send(await self.run(operation))
            except StopIteration as found:
                result: tuple[Message | None, int] = found.value
                return result

    async def _pokes(self, topic: Topic, position: int | None) -> AsyncGenerator[Poke]:
        async with aclosing(self._signals(topic, position)) as signals:
            async for signal in signals:
                if isinstance(signal, Poke):
                    yield signal

    async def _tail(self, topic: Topic, position: int | None) -> AsyncGenerator[Message]:
        tail = Tail(topic, topic.start if position is None else position)
        async for message in self._covering(tail, Ready()):
            yield message
        async with aclosing(self._signals(topic, tail.position)) as signals:
            async for signal in signals:
                async for message in self._covering(tail, signal):
                    yield message

    def _covering(self, tail: Tail, signal: Poke | Ready) -> AsyncIterator[Message]:
        return _Items(self, tail.pages(signal))

    async def _signals(self, topic: Topic, position: int | None) -> AsyncGenerator[Poke | Ready]:
        following = Following(topic, topic.start if position is None else position, Backoff(self._rng))
        while True:
            lost: ApplianceError | None = None
            try:
                async with aclosing(self._connection(following)) as signals:
                    async for signal in signals:
                        yield signal
            except ApplianceError as error:
                lost = error
            pause = following.lost(lost)
            if self._on_lost is not None:
                self._on_lost(lost, pause)
            await trio.sleep(pause)

    async def _connection(self, following: Following) -> AsyncGenerator[Poke | Ready]:
        parser = SseParser()
        async with self._stream(following.call(), IDLE) as chunks:
            following.connected()
            async for chunk in chunks:
                for seen in parser.feed(chunk):
                    signal = following.took(seen)
                    if signal is not None:
                        yield signal

    async def _checked(self, call: Call) -> Reply:
        reply = await self._send(call)
        if reply.status >= 400:
            raise error_of(reply)
        return reply

    async def _send(self, call: Call) -> Reply:
        try:
            return await self._once(call)
        except BROKEN as error:
            if not call.again or isinstance(error, httpcore.TimeoutException | httpcore.ConnectError):
                raise failure(self.url, error) from error
        try:
            return await self._once(call)  # a kept connection the server had closed meanwhile
        except BROKEN as error:
            raise failure(self.url, error) from error

    async def _once(self, call: Call) -> Reply:
        response = await self._pool.request(
            call.method,
            self._session.target(call),
            headers=self._session.headers(call),
            content=call.body or None,
            extensions=times(self._timeout),
        )
        headers = headers_of(response.headers)
        self._session.saw(headers)
        return Reply(response.status, response.content, headers)

    @asynccontextmanager
    async def _stream(self, call: Call, idle: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """The chunks of a good answer as they come."""
        try:
            async with self._pool.stream(
                call.method,
                self._session.target(call),
                headers=self._session.headers(call),
                extensions=times(self._timeout, idle),
            ) as response:
                headers = headers_of(response.headers)
                self._session.saw(headers)
                if response.status >= 400:
                    raise error_of(Reply(response.status, await response.aread(), headers))
                chunks = response.aiter_stream()
                try:
                    yield chunks
                finally:
                    await _end(chunks)
        except BROKEN as error:
            raise failure(self.url, error) from error


async def _end(chunks: AsyncIterator[bytes]) -> None:
    """End an answer that was not read to its end.

    httpcore nests generators and closes only the outermost; a cancelled read passes through all of them.
    """
    with trio.CancelScope() as scope:
        scope.cancel()
        async for _ in chunks:
            pass


class _Items(Generic[T]):
    """What pages hold, one by one. Not a generator: it may be left at any time."""

    def __init__(self, client: AsyncClient, pages: Paging[T] | None) -> None:
        self._client = client
        self._pages = pages
        self._ready: deque[T] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._ready:
            operation = self._pages.next() if self._pages else None
            if operation is None or self._pages is None:
                raise StopAsyncIteration
            self._ready.extend(self._pages.took(await self._client.run(operation)))
        return self._ready.popleft()
