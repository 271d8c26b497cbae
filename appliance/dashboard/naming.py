"""What the appliance is called: as the configuration says, or as somebody chose on the first visit.

A name in the configuration is the truth, and is changed there. Without one, a name that was given here is kept beside
the log, and lasts until the configuration says another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Protocol, TypeVar

import msgspec

from appliance.errors import Conflict, Forbidden, Rejected
from appliance.model.http import Request, Response, Route, json_response
from appliance.model.principal import ADMIN, READ
from appliance.model.state import StateChange
from appliance.storage.ports import Engine, Reader

__all__ = ["Name", "Naming"]

T = TypeVar("T")

PATH = "/api/v1/name"
OWNER, KEY = "appliance", "name"


class _Log(Protocol):
    async def reading(self, work: Callable[[Reader], T]) -> T: ...

    async def control(self, work: Callable[[Engine], T]) -> T: ...


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """What `PUT /api/v1/name` takes."""

    name: Annotated[str, msgspec.Meta(max_length=63)]


class Name(msgspec.Struct, frozen=True):
    """The answer of both requests."""

    name: str
    origin: str  # "appliance.toml, line 3"; "given here"; "default": the machine's
    changeable: bool  # false: the configuration has it


class Naming:
    """
    Args:
        name: what the configuration, or the machine, calls us.
        origin: where that stands; "default": the configuration does not say.
        space: key of the namespace in which a given name is kept; asked once it is known.
    """

    def __init__(self, log: _Log, space: Callable[[], int], *, name: str, origin: str) -> None:
        self._log = log
        self._space = space
        self._changeable = origin == "default"
        self._now = Name(name, origin, self._changeable)

    @property
    def name(self) -> str:
        return self._now.name

    async def recall(self) -> None:
        """Take up the name that was given, if any."""
        if not self._changeable:
            return
        space = self._space()
        rows = await self._log.reading(lambda reader: reader.states(space, OWNER, prefix=KEY, limit=1))
        for row in rows:
            self._given(msgspec.json.decode(row.value, type=str))

    def routes(self) -> tuple[Route, ...]:
        tags = ("operations",)
        return (
            Route("GET", PATH, self._show, "What the appliance is called", scope=READ, answer=Name, tags=tags),
            Route("PUT", PATH, self._take, "Name it", scope=ADMIN, request=Wish, answer=Name, tags=tags),
        )

    def _show(self, _: Request) -> Response:
        return json_response(self._now)

    async def _take(self, request: Request) -> Response:
        if request.principal is None or not request.principal.operator:
            raise Forbidden("the name is that of all namespaces", hint="ask with a token of namespace default")
        if not self._changeable:
            raise Conflict(f"the name is set in {self._now.origin}", hint="change it there, and start again")
        name = _checked(request.body)
        change = StateChange(self._space(), OWNER, KEY, msgspec.json.encode(name).decode())
        await self._log.control(lambda engine: engine.change_state([change]))
        self._given(name)
        return json_response(self._now)

    def _given(self, name: str) -> None:
        self._now = Name(name, "given here", changeable=True)


def _checked(body: bytes) -> str:
    try:
        name = msgspec.json.decode(body, type=Wish).name.strip()
    except msgspec.DecodeError as error:
        raise Rejected(f"this is no name: {error}", hint='send {"name": "kitchen"}, up to 63 characters') from error
    if not name or not name.isprintable():
        raise Rejected("a name has 1 to 63 printable characters", hint="kitchen, for example")
    return name
