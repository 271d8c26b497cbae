"""Messages as one JSON array: in one piece, or page by page for as long as it takes."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Protocol

from appliance.model.event import Page, Query
from appliance.model.http import Answer, Exchange, Response, Stream

__all__ = ["Listing", "Pages", "behind"]

PIECE = 1000  # messages of a page, when all are wanted


class Pages(Protocol):
    def page(self, query: Query) -> Awaitable[Page]: ...

    def head_position(self, namespace: int) -> int: ...


def behind(query: Query, page: Page) -> Query:
    """What comes after `page`: keyset paging, so that the millionth page costs what the first does."""
    if query.stream is not None:
        return replace(query, position=page.position + 1)
    return replace(query, global_position=page.global_position + 1)


@dataclass(slots=True)
class Listing:
    """The answer to one query. Without a limit it is everything there was when it began.

    Memory holds one page at a time: a reader who is slow makes us wait, not grow.
    """

    log: Pages
    query: Query

    def begin(self) -> Awaitable[Page]:
        """Start to read the first page, for `answer`."""
        if self.query.limit is None:
            self.query = replace(self.query, through=self.log.head_position(self.query.namespace))
        return self._read()

    def answer(self, first: Page) -> Answer:
        if not self._goes_on(first):
            return Response(200, f"[{first.text}]\n".encode())

        async def run(exchange: Exchange) -> None:
            page, start = first, "["
            while True:
                if page.count:
                    await exchange.write((start + page.text).encode())
                    start = ","
                if not self._goes_on(page):
                    break
                self._step(page)
                page = await self._read()
            await exchange.write(b"]\n")

        return Stream(run, content_type="application/json")

    def _read(self) -> Awaitable[Page]:
        limit = PIECE if self.query.limit is None else self.query.limit
        return self.log.page(replace(self.query, limit=limit))

    def _goes_on(self, page: Page) -> bool:
        return page.cut or (self.query.limit is None and page.count == PIECE)

    def _step(self, page: Page) -> None:
        left = None if self.query.limit is None else self.query.limit - page.count
        self.query = replace(behind(self.query, page), limit=left)
