"""What a handler asks for by name: of what is offered to it, and arguments of its own. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from appliance.api import Misdeclared, Rejected
from appliance.config.strict import closest

__all__ = ["Asked", "asked"]

COMMON = frozenset({"ctx", "config", "log"})
PARAMETERS: Mapping[str, type] = {"str": str, "int": int, "UUID": UUID, "uuid.UUID": UUID}  # of a path


@dataclass(frozen=True, slots=True)
class Asked:
    """A handler, and how to call it."""

    handler: Callable[..., Any]
    what: str  # "job title_generation", for messages
    offered: frozenset[str]  # names of what is offered that it takes
    arguments: Mapping[str, bool]  # of its own; True: it must be given
    kinds: Mapping[str, type]  # of a path's parameters

    def check(self, given: Iterable[str]) -> None:
        """Whether these are arguments to call it with.

        Raises:
            Rejected: one is unknown, or one is missing.
        """
        names = set(given)
        for name in sorted(names - self.arguments.keys()):
            raise Rejected(f"{self.what} takes no argument {name!r}", hint=closest(name, self.arguments))
        for name, needed in self.arguments.items():
            if needed and name not in names:
                raise Rejected(f"{self.what} needs argument {name!r}", hint=f"it takes {', '.join(self.arguments)}")

    def call(self, offers: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Any:
        """Call it: an awaitable, or of a plain function its result."""
        return self.handler(**{name: offers[name] for name in self.offered}, **(given or {}))

    def converted(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """A path's parameters as it wants them.

        Raises:
            Rejected: a text is no such thing.
        """
        values = {}
        for name, text in parameters.items():
            if name in self.arguments:
                values[name] = _converted(name, text, self.kinds.get(name, str))
        return values


def asked(
    handler: Callable[..., Any],
    what: str,
    *,
    offers: Iterable[str] = (),
    parameters: Iterable[str] | None = (),
    blocking: bool = False,
) -> Asked:
    """How `handler` is to be called.

    Args:
        offers: what it may ask for besides `ctx`, `config` and `log`.
        parameters: of a path, which it may ask for too; None: whatever else it takes is an argument of its own.
        blocking: it is a plain function, not an async one.

    Raises:
        Misdeclared: it is not of that kind, or asks for what is not on offer.
    """
    if inspect.iscoroutinefunction(handler) is blocking:
        raise Misdeclared(
            f"{what} is blocking, and an async function" if blocking else f"{what} is no async function",
            hint="write def, or leave blocking away" if blocking else "write async def",
        )
    known, kinds = COMMON | set(offers), {}
    offered, arguments = set(), {}
    for name, parameter in inspect.signature(handler).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise Misdeclared(f"{what} takes {parameter}", hint=f"name what it wants: {', '.join(sorted(known))}")
        if name in known:
            offered.add(name)
        elif parameters is None:
            arguments[name] = parameter.default is parameter.empty
        elif name in parameters:
            arguments[name] = True
            kinds[name] = _kind(parameter.annotation, name, what)
        elif parameter.default is parameter.empty:
            raise Misdeclared(f'{what} asks for "{name}"', hint=closest(name, known | set(parameters)))
    return Asked(handler, what, frozenset(offered), arguments, kinds)


def _kind(annotation: object, name: str, what: str) -> type:
    """What a path's parameter is annotated as; with postponed annotations that is a text."""
    if annotation is inspect.Parameter.empty:
        return str
    said = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    if said not in PARAMETERS:
        raise Misdeclared(f"{what}: {name} is a part of the path and cannot be {said}", hint="write str, int or UUID")
    return PARAMETERS[said]


def _converted(name: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise Rejected(f"{name} in the path is no {kind.__name__}: {text[:100]!r}") from error
