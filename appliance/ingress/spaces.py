"""The methods about namespaces and the system.

Whoever holds the token of namespace `default` is the operator and may act on every namespace; any
other token sees and ends only its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from msgspec import Raw

import appliance
from appliance.auth.dialect import DialectError, invalid
from appliance.auth.service import Identity
from appliance.auth.tokens import MalformedToken, parse_token
from appliance.clock import stamp
from appliance.errors import Duplicate, Forbidden
from appliance.ingress import calls
from appliance.ingress.calls import Call, integer, is_given, object_text, options, text
from appliance.ingress.rpc import Method, Reply, reply
from appliance.model.http import Answer, Request
from appliance.model.principal import ADMIN, READ, Principal
from appliance.storage.ports import NamespaceStats, Reader
from appliance.world import World

__all__ = ["Spaces", "SpacesLog"]

T = TypeVar("T")

NO_ID = "namespace ID must be a non-empty string"
PAGE = 100  # streams of one answer unless asked otherwise
LARGEST_PAGE = 1000


class SpacesLog(Protocol):
    async def reading(self, work: Callable[[Reader], T]) -> T: ...


class Spaces:
    """`ns.*` and `sys.*`.

    Args:
        backend: the kind of storage, for sys.health.
        connections: how many subscribers are connected, for sys.health.
    """

    def __init__(
        self,
        identity: Identity,
        log: SpacesLog,
        world: World,
        *,
        backend: Callable[[], str],
        connections: Callable[[], int],
    ) -> None:
        self._identity = identity
        self._log = log
        self._world = world
        self._backend = backend
        self._connections = connections

    def methods(self) -> dict[str, Method]:
        return {
            "ns.create": self.create,
            "ns.delete": self.delete,
            "ns.list": self.list,
            "ns.info": self.info,
            "ns.streams": self.streams,
            "ns.categories": self.categories,
            "sys.version": lambda who, call, request: reply(appliance.__version__),
            "sys.health": self.health,
        }

    def create(self, who: Principal, call: Call, request: Request) -> Awaitable[Answer]:
        _require_operator(who)
        call.needs(1, "ns.create requires at least 1 argument: namespace ID")
        id = text(call.first, NO_ID)
        wanted = options(call.second, calls.CreateOptions)
        description = _optional(wanted.description, "options.description must be a string")
        token = _optional(wanted.token, "options.token must be a string")
        if token:
            _check_token(token, id)
        if is_given(wanted.metadata):
            object_text(wanted.metadata, "options.metadata must be an object")
        return Reply(self._create(id, description, token), reply)

    async def _create(self, id: str, description: str, token: str) -> object:
        try:
            space, text = await self._identity.create_namespace(id, description, token)
        except Duplicate as error:
            raise DialectError(409, "NAMESPACE_EXISTS", f"Namespace '{id}' already exists") from error
        return {"namespace": space.id, "token": text, "createdAt": stamp(space.created)}

    def delete(self, who: Principal, call: Call, request: Request) -> Awaitable[Answer]:
        call.needs(1, "ns.delete requires at least 1 argument: namespace ID")
        id = text(call.first, NO_ID)
        who.require(ADMIN)
        _require_own(who, id)
        return Reply(self._delete(id), reply)

    async def _delete(self, id: str) -> object:
        removed = await self._identity.delete_namespace(id)
        return {"namespace": id, "deletedAt": stamp(self._world.wall_us()), "messagesDeleted": removed}

    def list(self, who: Principal, call: Call, request: Request) -> Awaitable[Answer]:
        _require_operator(who)
        return Reply(self._list(), reply)

    async def _list(self) -> object:
        spaces = self._identity.namespaces
        keys = [space.key for space in spaces]
        counts = await self._log.reading(lambda reader: [reader.stats(key).messages for key in keys])
        return [
            {
                "namespace": space.id,
                "description": space.description,
                "createdAt": stamp(space.created),
                "messageCount": count,
            }
            for space, count in zip(spaces, counts, strict=True)
        ]

    def info(self, who: Principal, call: Call, request: Request) -> Awaitable[Answer]:
        call.needs(1, "ns.info requires at least 1 argument: namespace ID")
        id = text(call.first, NO_ID)
        who.require(READ)
        _require_own(who, id)
        return Reply(self._info(id), reply)

    async def _info(self, id: str) -> object:
        space = self._identity.namespace(id)
        stats: NamespaceStats = await self._log.reading(lambda reader: reader.stats(space.key))
        return {
            "namespace": space.id,
            "description": space.description,
            "createdAt": stamp(space.created),
            "messageCount": stats.messages,
            "streamCount": stats.streams,
            "lastActivity": None if stats.last is None else stamp(stats.last),
        }

    def streams(self, who: Principal, call: Call, request: Request) -> Awaitable[Answer]:
        wanted = options(call.first, calls.StreamsOptions)
        prefix = _optional(wanted.prefix, "prefix must be a string")
        cursor = _optional(wanted.cursor, "cursor must be a string")
        limit = integer(wanted.limit, "limit", PAGE)
        if not 1 <= limit <= LARGEST_PAGE:
            raise invalid(f"limit must be between 1 and {LARGEST_PAGE}")
        who.require(READ)
        key = who.namespace.key
        heads = self._log.reading(lambda reader: reader.heads(key, prefix=prefix, after=cursor, limit=limit))
        return Reply(
            heads,
            lambda found: reply(
                [{"stream": head.stream, "version": head.version, "lastActivity": stamp(head.time)} for head in found]
            ),
        )

    def categories(self, who: Principal, call: Call, request: Request) -> Awaitable[Answer]:
        who.require(READ)
        key = who.namespace.key
        found = self._log.reading(lambda reader: reader.categories(key))
        return Reply(
            found,
            lambda rows: reply(
                [
                    {"category": category, "streamCount": streams, "messageCount": messages}
                    for category, streams, messages in rows
                ]
            ),
        )

    def health(self, who: Principal, call: Call, request: Request) -> Answer:
        return reply({"status": "ok", "backend": self._backend(), "connections": self._connections()})


def _optional(part: Raw, wrong: str) -> str:
    return text(part, wrong, empty=True) if is_given(part) else ""


def _check_token(token: str, id: str) -> None:
    try:
        claimed = parse_token(token).namespace
    except MalformedToken as error:
        raise invalid(f"Invalid token format: {error}") from error
    if claimed != id:
        raise invalid(f"Token is for namespace '{claimed}', not '{id}'")


def _require_operator(who: Principal) -> None:
    if not who.operator:
        raise Forbidden("Only an admin token of namespace 'default' may do this")


def _require_own(who: Principal, id: str) -> None:
    if who.namespace.id != id:
        _require_operator(who)
