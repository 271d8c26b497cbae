"""The only way to write: authorise → validate → deduplicate → append.

HTTP, WebSocket commands, plugins and imports all end here, so that what holds for one holds for all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import msgspec

from appliance.errors import Forbidden, Rejected, TooLarge
from appliance.ids import canonical_uuid
from appliance.ingress.jsontext import holds_nul
from appliance.model.event import Draft, Event, Imported, Unit
from appliance.model.ports import Append, Pending
from appliance.model.principal import DELETE, WRITE, Principal
from appliance.model.state import StateChange, StateCheck

__all__ = ["EVENT_LIMIT", "LONGEST_KEY", "LONGEST_NAME", "Door"]

EVENT_LIMIT = 16 * 1024 * 1024  # characters of data and metadata of one event, unless configured
LONGEST_NAME = 1000  # characters of a stream's name or a type
LONGEST_KEY = 255  # characters of an idempotency key
LAST_POSITION = 2**42 - 1  # highest global position an import may bring: as many again stay free behind it
LAST_IN_STREAM = 2**53 - 1  # highest stream position: what every JSON reader holds exactly

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # and halves of characters, which are no UTF-8
_UUID = re.compile(r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?", re.IGNORECASE)
_KEY = re.compile(rf"[\x20-\x7e]{{1,{LONGEST_KEY}}}")


class _Log(Append, Protocol):
    async def import_batch(self, namespace: int, records: Sequence[Imported]) -> tuple[Event, ...]: ...


class Door:
    """What is written through here is well-formed, allowed, and written once."""

    def __init__(self, log: _Log, *, event_limit: int = EVENT_LIMIT) -> None:
        self._log = log
        self.event_limit = event_limit

    def write(
        self,
        who: Principal,
        drafts: Sequence[Draft],
        *,
        key: str = "",
        fingerprint: bytes = b"",
        changes: Sequence[StateChange] = (),
        checks: Sequence[StateCheck] = (),
    ) -> Pending[Sequence[Event]]:
        """Begin to write `drafts` and `changes` together or not at all; await the result for the events.

        Args:
            drafts: `data` and `metadata` are compact JSON objects; all else is checked here.
            key: the same key with the same `fingerprint` gets the first events again.
            changes: values are JSON; of the namespace of `who`.
            checks: what must still be as it was read.

        Raises:
            Forbidden: no scope `write`, or a change or check is of another namespace.
            Rejected: a name, id or key cannot be, or there is a NUL in a text.
            TooLarge: an event or a value is.
        """
        who.require(WRITE)
        if key and not _KEY.fullmatch(key):
            raise Rejected(f"an idempotency key has 1 to {LONGEST_KEY} printable characters")
        checked = tuple([self.checked(draft) for draft in drafts])
        if not changes and not checks:
            return self._log.submit(Unit(who.namespace.key, checked, key, fingerprint))
        self._check_state(who, changes, checks)
        return self._log.submit(Unit(who.namespace.key, checked, key, fingerprint, tuple(changes), tuple(checks)))

    async def import_batch(self, who: Principal, records: Sequence[Imported], *, replacing: bool = False) -> None:
        """Write records that keep their positions, as one transaction.

        Args:
            replacing: they take the place of what was there: that needs scope `delete` too.

        Raises:
            Forbidden: the scope is missing.
            Duplicate: a position or id exists; nothing is written.
        """
        self.admit_import(who, replacing=replacing)
        await self._log.import_batch(who.namespace.key, records)

    def admit_import(self, who: Principal, *, replacing: bool) -> None:
        """Raises Forbidden."""
        who.require(WRITE)
        if replacing:
            who.require(DELETE)

    def checked_record(self, record: Imported) -> Imported:
        """The record with its id in the canonical form.

        Raises:
            Rejected, TooLarge: it cannot be written.
        """
        _check_name("stream", record.stream)
        _check_name("type", record.type)
        self._check_content(record.data, record.metadata)
        if not 0 <= record.position <= LAST_IN_STREAM or not 1 <= record.global_position <= LAST_POSITION:
            raise Rejected(f"no such position can be: {record.position}, {record.global_position}")
        return msgspec.structs.replace(record, id=_canonical(record.id))

    def checked(self, draft: Draft) -> Draft:
        """The draft with its id in the canonical form, as `write` would write it.

        Raises:
            Rejected, TooLarge: it cannot be written.
        """
        _check_name("stream", draft.stream)
        _check_name("type", draft.type)
        self._check_content(draft.data, draft.metadata)
        return msgspec.structs.replace(draft, id=_canonical(draft.id)) if draft.id else draft

    def _check_state(self, who: Principal, changes: Sequence[StateChange], checks: Sequence[StateCheck]) -> None:
        places = [(change.namespace, change.owner, change.key) for change in changes]
        places += [(check.namespace, check.owner, check.key) for check in checks]
        for namespace, owner, place in places:
            if namespace != who.namespace.key:
                raise Forbidden("state of another namespace cannot be changed from here", owner=owner)
            _check_text("owner", owner)
            _check_text("key", place)
        for change in changes:
            for name, value in change.index:
                _check_text("name of an index", name)
                _check_text("value of an index", value, least=0)
            if change.value is not None and not _storable(change.value):
                raise Rejected("a value has half a character: it is no UTF-8")
            if change.size > self.event_limit:
                raise TooLarge(
                    f"a value holds {self.event_limit} characters, this one has {change.size}",
                    limit=self.event_limit,
                    size=change.size,
                )

    def _check_content(self, data: str, metadata: str | None) -> None:
        if holds_nul(data) or (metadata is not None and holds_nul(metadata)):
            raise Rejected(r"an event holds no \u0000", hint="PostgreSQL could not store it")
        size = len(data) + (0 if metadata is None else len(metadata))
        if size > self.event_limit:
            raise TooLarge(
                f"an event holds {self.event_limit} characters, this one has {size}", limit=self.event_limit, size=size
            )


def _check_name(what: str, name: str) -> None:
    if name.isprintable() and 0 < len(name) <= LONGEST_NAME:  # nearly always; says no to more than we do
        return
    if not 0 < len(name) <= LONGEST_NAME:
        raise Rejected(f"a {what} name has 1 to {LONGEST_NAME} characters, this one has {len(name)}")
    if _CONTROL.search(name):
        raise Rejected(f"a {what} name holds no control characters")


def _check_text(what: str, text: str, *, least: int = 1) -> None:
    """Any text that every engine can store, and find again."""
    if not least <= len(text) <= LONGEST_NAME:
        raise Rejected(f"a {what} has {least} to {LONGEST_NAME} characters, this one has {len(text)}")
    if "\0" in text or not _storable(text):
        raise Rejected(f"a {what} holds no NUL and no half of a character")


def _storable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _canonical(id: str) -> str:
    if not _UUID.fullmatch(id):  # the standard library would take more than this
        raise Rejected(f"an id is a UUID, {id[:100]!r} is none")
    return canonical_uuid(id)
