"""Handlers of the message-store API, asked only with `request.principal` set. Who is refused hears it in its words."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Protocol

from appliance.auth import presented
from appliance.auth.dialect import in_dialect
from appliance.errors import ApplianceError
from appliance.model.http import Answer, Handler, Request
from appliance.model.principal import Principal

__all__ = ["TOKEN_HEADERS", "relaxed", "strict"]

TOKEN_HEADERS = ("x-eventodb-token", "x-messagedb-token")  # clients of both names exist


class _Identity(Protocol):
    def message_store(self, request: Request) -> Principal: ...


def strict(handler: Handler, identity: _Identity) -> Handler:
    """Only with a token."""

    def guarded(request: Request) -> Answer | Awaitable[Answer]:
        try:
            request.principal = identity.message_store(request)
        except ApplianceError as error:
            return in_dialect(error).response()
        return handler(request)

    return guarded


def relaxed(handler: Handler, anyone: Callable[[Request], Awaitable[Principal]], token: Callable[[], str]) -> Handler:
    """Test mode: without one too, and who came so is given one."""

    async def guarded(request: Request) -> Answer:
        try:
            request.principal = await anyone(request)
        except ApplianceError as error:
            return in_dialect(error).response()
        begun = handler(request)
        answer = await begun if inspect.isawaitable(begun) else begun
        if not presented.claimed_token(request):
            answer.headers += tuple((name, token()) for name in TOKEN_HEADERS)
        return answer

    return guarded
