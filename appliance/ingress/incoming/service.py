"""Takes webhooks in: who is it, is it theirs, is it well-formed, was it here before; then one event.

Receivers live in memory and in rows of state. What was accepted is an event under the sender's key, in one commit:
whoever gets no answer sends it again and gets the answer of the first time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol, TypeVar

import msgspec
import structlog
import trio
from msgspec.structs import replace

from appliance.auth.signing import SECRET_BYTES, check_secret, make_secret
from appliance.auth.vault import Vault
from appliance.clock import MICROSECONDS
from appliance.errors import Conflict, Duplicate, KeyReused, LimitReached, NotFound, Rejected
from appliance.ingress.door import Door
from appliance.ingress.incoming.occasions import received
from appliance.ingress.incoming.receiver import (
    Change,
    New,
    Receiver,
    Secret,
    check_slug,
    given_key,
    unit_key,
    verify,
)
from appliance.ingress.incoming.schema import check_schema, errors_of
from appliance.ingress.jsontext import check
from appliance.ingress.labels import labelled
from appliance.model.event import Event, Head, Namespace, Unit
from appliance.model.ports import Pending
from appliance.model.principal import WRITE, Principal
from appliance.model.state import StateChange
from appliance.resilience.bucket import Bucket
from appliance.resilience.turns import Turns
from appliance.storage.ports import Reader
from appliance.world import World

__all__ = ["Accepted", "Incoming", "Log", "PayloadRefused"]

log = structlog.get_logger("incoming")

T = TypeVar("T")

OWNER = "incoming"
PAGE = 500  # rows read at once
CARRY = 30.0  # seconds for a change, whoever waits for it
MOST_RECEIVERS = 1000  # of a namespace
MOST_SECRETS = 5  # good at once
BURST = 10  # seconds' worth of the rate that may come at once

_secrets = msgspec.json.Decoder(tuple[Secret, ...]).decode


class Log(Protocol):
    """What this room needs of the log."""

    async def reading(self, work: Callable[[Reader], T]) -> T: ...

    def submit(self, unit: Unit) -> Pending[tuple[Event, ...]]: ...

    async def head(self, namespace: int, stream: str) -> Head | None: ...


class PayloadRefused(Rejected):
    """What arrived is signed, and not what the receiver's schema describes."""

    code = "payload_refused"
    status = 400


class KeyTaken(KeyReused):
    """The sender used the key for another body."""

    status = 409


class Accepted(msgspec.Struct):
    """What the sender is told."""

    status: str
    receiver_id: str
    event_id: str
    idempotency_replay: bool  # it was here before; this is the answer of then


class Incoming:
    """A supervised service.

    Args:
        space: a namespace by its key; raises NotFound.
    """

    name: ClassVar[str] = "incoming"

    def __init__(self, log: Log, door: Door, vault: Vault, world: World, space: Callable[[int], Namespace]) -> None:
        self._log = log
        self._door = door
        self._vault = vault
        self._world = world
        self._space = space
        self._receivers: dict[str, Receiver] = {}  # by slug
        self._secrets: dict[str, tuple[Secret, ...]] = {}
        self._buckets: dict[str, Bucket] = {}
        self._turns = Turns(limit=CARRY)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        for receiver in await self._log.reading(_stored):
            self._adopt(receiver)
        try:
            async with trio.open_nursery() as nursery:
                self._turns.begin(nursery)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._turns.end()

    async def drain(self) -> None:
        """Nothing to finish: what was accepted is in the log."""

    # -- from outside -----------------------------------------------------------------------

    async def take(self, slug: str, headers: Mapping[str, str], body: bytes) -> Accepted:
        """What arrived becomes an event.

        Raises:
            NotFound: nobody receives here.
            Unauthenticated: the signature.
            LimitReached: too many in a minute.
            Malformed, PayloadRefused: the body.
            KeyTaken: the key came with another body.
        """
        receiver = self._live(slug)
        secrets = self._opened(receiver)
        verify(receiver, secrets, headers, body, self._world.wall_us())
        self._admit(receiver)
        check(body)
        if receiver.schema_doc is not None and (errors := errors_of(receiver.schema_doc, body)):
            raise PayloadRefused("; ".join(errors), hint=f"see {receiver.schema_ref or 'the schema'}")
        return await self._write(receiver, given_key(receiver, headers), headers, body)

    # -- for admins -------------------------------------------------------------------------

    def all(self, namespace: int) -> list[Receiver]:
        """Newest first."""
        found = [one for one in self._receivers.values() if one.namespace == namespace]
        return sorted(found, key=lambda one: (one.created, one.slug), reverse=True)

    def one(self, namespace: int, slug: str) -> Receiver:
        """Raises NotFound."""
        found = self._receivers.get(slug)
        if found is None or found.namespace != namespace:
            raise _nobody(slug)
        return found

    async def count(self, receiver: Receiver) -> int:
        """Webhooks it has taken."""
        head = await self._log.head(receiver.namespace, f"incoming_webhook-{receiver.slug}")
        return 0 if head is None else head.version + 1

    async def create(self, namespace: int, wish: New) -> tuple[Receiver, str]:
        """A new receiver and its secret, which nobody is shown again.

        Raises:
            Duplicate: the slug is taken.
            Rejected: something cannot be.
        """
        check_slug(wish.slug)
        if wish.schema_doc is not None:
            check_schema(wish.schema_doc)
        secret = self._secret(wish.hmac_secret)
        now, id = self._world.wall_us(), self._world.new_id()
        given = {name: value for name, value in msgspec.structs.asdict(wish).items() if name != "hmac_secret"}
        given["headers"] = tuple(name.lower() for name in wish.headers)
        receiver = Receiver(
            id=id, namespace=namespace, sealed=self._seal(id, (Secret(secret),)), created=now, updated=now, **given
        )

        async def carry() -> None:
            if self._known(wish.slug):
                raise Duplicate(f"the slug {wish.slug!r} is taken", hint="choose another one", slug=wish.slug)
            if len(self.all(namespace)) >= MOST_RECEIVERS:
                raise Conflict(f"a namespace has {MOST_RECEIVERS} receivers at most", hint="delete some")
            await self._keep(receiver)

        await self._turns.take(carry)
        log.info("receiver created", receiver=id)
        return receiver, secret

    async def change(self, namespace: int, slug: str, wish: Change) -> Receiver:
        """Raises what `create` raises, and NotFound."""
        if wish.schema_doc not in (None, msgspec.UNSET):
            check_schema(wish.schema_doc)
        given = {name: value for name, value in msgspec.structs.asdict(wish).items() if value is not msgspec.UNSET}
        secret, overlap = given.pop("hmac_secret", None), given.pop("overlap_s")
        if secret is not None:
            check_secret(secret)
        if "headers" in given:
            given["headers"] = tuple(name.lower() for name in given["headers"])

        async def carry() -> None:
            old = self.one(namespace, slug)
            if secret is not None:
                given["sealed"] = self._seal(old.id, self._rotated(old, secret, overlap))
            await self._keep(replace(old, **given, updated=self._world.wall_us()))

        await self._turns.take(carry)
        return self.one(namespace, slug)

    async def delete(self, namespace: int, slug: str) -> None:
        """Raises NotFound. Its events stay."""

        async def carry() -> None:
            receiver = self.one(namespace, slug)
            await self._log.submit(Unit(namespace, (), changes=(StateChange(namespace, OWNER, _key(slug), None),)))
            self._forget(receiver)

        await self._turns.take(carry)

    def trial(self, receivers: Sequence[Receiver], schema_ref: str, payload: bytes) -> list[str]:
        """What is wrong with a payload. Raises NotFound: none of the receivers has a schema of this name."""
        for one in receivers:
            if one.schema_ref == schema_ref and one.schema_doc is not None:
                return errors_of(one.schema_doc, payload)
        raise NotFound(f"there is no schema {schema_ref[:100]!r}", hint="GET /api/v1/webhooks/incoming shows them")

    # -- inside -----------------------------------------------------------------------------

    def _known(self, slug: str) -> Receiver | None:
        """Forgets one whose namespace was deleted meanwhile."""
        found = self._receivers.get(slug)
        if found is not None:
            try:
                self._space(found.namespace)
            except NotFound:
                self._forget(found)
                return None
        return found

    def _live(self, slug: str) -> Receiver:
        found = self._known(slug)
        if found is None or not found.is_active:
            raise _nobody(slug)
        return found

    def _admit(self, receiver: Receiver) -> None:
        wait = self._buckets[receiver.slug].take(self._world.now())
        if wait > 0:
            raise LimitReached(f"{receiver.rate} a minute may come here", retry_after=int(wait) + 1)

    async def _write(self, receiver: Receiver, key: str, headers: Mapping[str, str], body: bytes) -> Accepted:
        who = Principal(self._space(receiver.namespace), frozenset({WRITE}), subject=f"incoming:{receiver.slug}")
        draft = received(receiver, self._world.new_id(), key, headers, body)
        label = labelled(draft, who, memory=receiver.memory, kind="system")
        fingerprint = hashlib.sha256(body).digest() if key else b""
        try:
            pending = self._door.write(
                who, [label], key=unit_key(receiver, key) if key else "", fingerprint=fingerprint
            )
            (event,) = await pending
        except KeyReused as error:
            raise KeyTaken(
                f"key {key!r} came with another body before", hint="a new webhook needs a new key; one is kept 24 hours"
            ) from error
        return Accepted("accepted", receiver.id, event.id, event.id != draft.id)

    def _secret(self, given: str | None) -> str:
        if given is None:
            return make_secret(self._world.secret(SECRET_BYTES))
        check_secret(given)
        return given

    def _seal(self, id: str, secrets: tuple[Secret, ...]) -> str:
        return self._vault.seal(msgspec.json.encode(secrets), id)

    def _opened(self, receiver: Receiver) -> tuple[Secret, ...]:
        """Raises Sealed: with another key."""
        found = self._secrets.get(receiver.slug)
        if found is None:
            found = self._secrets[receiver.slug] = _secrets(self._vault.open(receiver.sealed, receiver.id))
        return found

    def _rotated(self, receiver: Receiver, secret: str, overlap: int) -> tuple[Secret, ...]:
        if not overlap:
            return (Secret(secret),)
        now = self._world.wall_us()
        until = now + overlap * MICROSECONDS
        old = [
            Secret(one.text, until if one.until is None else min(one.until, until)) for one in self._opened(receiver)
        ]
        good = [one for one in old if one.until is not None and one.until > now]
        return (Secret(secret), *good[: MOST_SECRETS - 1])

    async def _keep(self, receiver: Receiver) -> None:
        text = msgspec.json.encode(receiver).decode()
        change = StateChange(receiver.namespace, OWNER, _key(receiver.slug), text)
        await self._log.submit(Unit(receiver.namespace, (), changes=(change,)))
        self._adopt(receiver)

    def _adopt(self, receiver: Receiver) -> None:
        before = self._receivers.get(receiver.slug)
        if before is None or before.rate != receiver.rate:
            self._buckets[receiver.slug] = Bucket(receiver.rate, max(1, receiver.rate * BURST // 60))
        self._secrets.pop(receiver.slug, None)
        self._receivers[receiver.slug] = receiver

    def _forget(self, receiver: Receiver) -> None:
        for table in (self._receivers, self._secrets, self._buckets):
            table.pop(receiver.slug, None)


def _stored(reader: Reader) -> list[Receiver]:
    found = []
    for space in reader.namespaces():
        after = ""
        while rows := reader.states(space.key, OWNER, prefix="receiver/", after=after, limit=PAGE):
            found += [msgspec.json.decode(row.value, type=Receiver) for row in rows]
            after = rows[-1].key
    return found


def _key(slug: str) -> str:
    return f"receiver/{slug}"


def _nobody(slug: str) -> NotFound:
    return NotFound(
        f"nobody receives at {slug[:100]!r}", hint="an admin makes receivers, and may have switched one off"
    )
