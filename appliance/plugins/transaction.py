"""`ctx.transaction()`: reads, and what is written together when the block is left.

Nothing is open meanwhile: the block notes versions and wishes, and leaving it sends one unit, in which what was read
is checked and everything else is written, or none of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from appliance.api import Receipt, Rejected
from appliance.api.context import Index
from appliance.model.event import Draft, Event
from appliance.model.state import StateChange, StateCheck
from appliance.plugins.cause import Cause
from appliance.plugins.desk import Desk
from appliance.plugins.encoding import encoded, pairs
from appliance.plugins.state import Kept

__all__ = ["Work"]

MOST_EVENTS = 10_000  # in one transaction


@dataclass(frozen=True, slots=True)
class _Wish:
    value: str | None  # JSON; None: forget it
    index: tuple[tuple[str, str], ...] = ()


class Work:
    """`appliance.api.Transaction`."""

    def __init__(self, desk: Desk[Any], kept: Kept, cause: Cause, key: str) -> None:
        self._desk = desk
        self._kept = kept
        self._declared = desk.declared
        self._cause = cause
        self._key = key
        self._seen: dict[str, tuple[int, str | None]] = {}  # as read: version, JSON
        self._wishes: dict[str, _Wish] = {}
        self._drafts: list[tuple[Draft, Receipt | None]] = []
        self._told: list[tuple[Draft, Receipt]] = []  # not stored
        self._planned: list[StateChange] = []

    # -- reading ----------------------------------------------------------------------------

    async def get(self, key: str) -> Any:
        """See `appliance.api.State.get`."""
        if key in self._wishes:
            value = self._wishes[key].value
        else:
            if key not in self._seen:
                row = await self._kept.row(key)
                self._seen[key] = (0, None) if row is None else (row.version, row.value)
            value = self._seen[key][1]
        return None if value is None else msgspec.json.decode(value)

    async def list(
        self,
        prefix: str = "",
        *,
        where: Mapping[str, str] | None = None,
        after: str = "",
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[tuple[str, Any]]:
        """See `appliance.api.State.list`."""
        return await self._kept.list(prefix, where=where, after=after, limit=limit, newest_first=newest_first)

    async def count(self, prefix: str = "", *, where: Mapping[str, str] | None = None) -> int:
        """See `appliance.api.State.count`."""
        return await self._kept.count(prefix, where=where)

    # -- wishing ----------------------------------------------------------------------------

    def put(self, key: str, value: Any, *, index: Index | None = None) -> None:
        """See `appliance.api.Transaction.put`."""
        self._wishes[key] = _Wish(encoded(value, f"the value of {key}"), pairs(index))

    def delete(self, key: str) -> None:
        """See `appliance.api.Transaction.delete`."""
        self._wishes[key] = _Wish(None)

    def emit(self, event: object) -> Receipt:
        """See `appliance.api.Transaction.emit`."""
        if len(self._drafts) + len(self._told) >= MOST_EVENTS:
            raise Rejected(f"a transaction has {MOST_EVENTS} events at most", hint="split the work")
        draft = self._declared.draft(event, self._desk.new_id())
        receipt = Receipt(draft.id, draft.stream)
        if self._declared.kind(event).door.stored:
            self._drafts.append((draft, receipt))
        else:
            self._told.append((draft, receipt))
        return receipt

    async def enqueue(
        self,
        job: Callable[..., Any] | str,
        /,
        *,
        key: str = "",
        delay: float = 0.0,
        priority: int | None = None,
        note_id: str = "",
        **arguments: Any,
    ) -> str:
        """See `appliance.api.Context.enqueue`."""
        order = self._desk.order(
            self._cause,
            job,
            key=key,
            delay=delay,
            priority=priority,
            note_id=note_id,
            arguments=arguments,
            reason=self._first,
        )
        planned = await self._desk.plan(order)
        self._planned += planned.changes
        self._drafts += [(draft, None) for draft in planned.drafts]
        return planned.id

    # -- leaving ----------------------------------------------------------------------------

    async def commit(self) -> None:
        """Write it all. Raises Conflict, KeyReused and what the door raises: nothing was written then."""
        drafts = [self._cause.stamped(draft, self._declared.plugin.name, self._shared) for draft, _ in self._drafts]
        changes = [self._change(key, wish) for key, wish in self._wishes.items()]
        changes += self._planned
        if drafts or changes:
            stored = await self._desk.write(
                self._cause,
                drafts,
                key=self._key,
                fingerprint=self._fingerprint() if self._key else b"",
                changes=changes,
                checks=self._checks(),
            )
            for (draft, receipt), event in zip(self._drafts, stored, strict=False):
                if event.id != draft.id and self._key:
                    self._told.clear()  # the key came back: this was said when it came first
                if receipt is not None:
                    _fill(receipt, event)
        for draft, receipt in self._told:
            _fill(receipt, self._desk.tell(self._cause, draft))

    @property
    def _first(self) -> str:
        """Id of the first event that is written, which is the reason of the jobs beside it; "": none."""
        return next((draft.id for draft, receipt in self._drafts if receipt is not None), "")

    @property
    def _shared(self) -> str:
        """What several events of one transaction have in common, where their cause says nothing."""
        return self._first if len(self._drafts) > 1 else ""

    def _change(self, key: str, wish: _Wish) -> StateChange:
        seen = self._seen.get(key)
        expected = None if seen is None else seen[0]
        return StateChange(self._kept.namespace, self._kept.owner, key, wish.value, expected, wish.index)

    def _checks(self) -> tuple[StateCheck, ...]:
        return tuple(
            StateCheck(self._kept.namespace, self._kept.owner, key, version)
            for key, (version, _) in self._seen.items()
            if key not in self._wishes
        )

    def _fingerprint(self) -> bytes:
        if self._cause.fingerprint:
            return self._cause.fingerprint
        said = [(draft.stream, draft.type, draft.data) for draft, receipt in self._drafts if receipt is not None]
        kept = [(key, wish.value, wish.index) for key, wish in self._wishes.items()]
        return hashlib.sha256(msgspec.json.encode((said, kept))).digest()


def _fill(receipt: Receipt, event: Event) -> None:
    receipt.id, receipt.stream = event.id, event.stream
    receipt.position, receipt.global_position = event.position, event.global_position
