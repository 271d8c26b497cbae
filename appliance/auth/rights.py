"""How far a caller's rights go, where a scope alone does not say it."""

from __future__ import annotations

from appliance.auth.dialect import DialectError
from appliance.auth.store import DEFAULT, TokenWish
from appliance.errors import Forbidden
from appliance.model.event import Namespace
from appliance.model.principal import ADMIN, Principal

__all__ = ["memories_for", "require_admin", "unbound", "whole"]


def require_admin(caller: Principal, wish: TokenWish) -> None:
    """Nobody gives away more than there is to give.

    Raises:
        Forbidden: this caller may not make such a token.
    """
    caller.require(ADMIN)
    if wish.namespace != caller.namespace.id and not caller.operator:
        raise Forbidden(
            "only an admin of namespace 'default' acts on other namespaces", hint="use the owner's token", needed=ADMIN
        )
    if caller.memories and not (wish.memories and caller.memories.issuperset(wish.memories)):
        raise Forbidden("this token is bound to memories and makes only such", hint="name memories it is bound to")


def memories_for(principal: Principal, asked: str | None) -> tuple[str, ...] | None:
    """The memories whose events a stream may show this caller.

    Args:
        asked: the one memory the caller named; None: none was named.

    Returns:
        Names; "" among them stands for events without a memory. None: events of all memories and of none.

    Raises:
        Forbidden: the token is bound to memories, and the one asked for is not among them.
    """
    if principal.memories:
        if asked is None:
            return tuple(sorted(principal.memories))
        if asked not in principal.memories:
            raise Forbidden(
                "this token is not bound to that memory", hint="leave memory out, or name one it is bound to"
            )
        return (asked,)
    if asked is None:
        return None if principal.may(ADMIN) else ("",)
    return (asked,)


def unbound(principal: Principal) -> Principal:
    """The same caller, for the message-store API, which knows no memories: who is bound to some would see all there.

    Raises:
        DialectError: the caller is bound.
    """
    if principal.memories:
        raise DialectError(403, "AUTH_UNAUTHORIZED", "Token is bound to memories, which this API does not know")
    return principal


def whole(space: Namespace) -> Principal:
    """Test mode: everything in a namespace."""
    return Principal(space, subject=space.id, operator=space.id == DEFAULT)
