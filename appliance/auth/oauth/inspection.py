"""What a token is good for (RFC 7662), and the end of it (RFC 7009)."""

from __future__ import annotations

from appliance.auth.book import DEFAULT, Known, signed_id
from appliance.auth.credentials import OWNER_OF_STATE
from appliance.auth.housekeeping import ENDED
from appliance.auth.jose.strict import Refused
from appliance.auth.oauth.clients import OAuthClient
from appliance.auth.service import Identity
from appliance.clock import MICROSECONDS
from appliance.model.event import Namespace
from appliance.model.principal import ADMIN, Principal
from appliance.model.state import StateChange
from appliance.world import World

__all__ = ["Inspection"]

_GIVEN = frozenset({"access", "refresh"})  # what clients are given


class Inspection:
    """For clients, which see their own tokens, and for whoever shows a token."""

    def __init__(self, identity: Identity, world: World) -> None:
        self._identity = identity
        self._world = world

    def introspect(self, client: OAuthClient, text: str, issuer: str) -> dict[str, object]:
        """What is known of a token. Of one that does not count, or is not the client's business: nothing."""
        known, now = self._identity.book.find(text), self._world.wall_us()
        if known is None or known.row.state(now) != "valid" or not _concerns(client, known):
            return {"active": False}
        row = known.row
        assert row.expires is not None
        return {
            "active": True,
            "scope": " ".join(row.scopes),
            "client_id": row.client,
            "username": row.name,
            "token_type": "Bearer" if row.kind == "access" else "refresh_token",
            "exp": row.expires // MICROSECONDS,
            "iat": row.created // MICROSECONDS,
            "sub": row.client,
            "aud": row.client,
            "iss": issuer,
        }

    async def revoke(self, by: OAuthClient | Principal, text: str) -> None:
        """End a token, if it is there and theirs to end; with a refresh token all that came of the same sign-in.

        A client ends its own, and one of an admin also signed tokens of the namespace. An admin's token ends any of
        the namespace, any other token only itself. Namespace tokens have a way of their own to end.
        """
        known = self._identity.book.find(text)
        if known is None:
            await self._revoke_signed(by, text)
            return
        row = known.row
        if row.kind == "token" or not _may_end(by, known):
            return
        family = row.family if row.kind == "refresh" else ""
        await self._identity.keep(drop=lambda: self._identity.book.family(family) or [row])

    async def _revoke_signed(self, by: OAuthClient | Principal, text: str) -> None:
        book = self._identity.book
        try:
            signed = self._identity.signed.read(text, self._world.wall_us())
        except Refused:
            return
        space = book.spaces.get(DEFAULT if signed.namespace is None else signed.namespace)
        if space is None or not _may_end_signed(by, space, signed_id(signed.digest, signed.mark)):
            return

        def remember() -> None:
            book.ended[signed.digest] = (signed.expires, space.key)

        change = StateChange(space.key, OWNER_OF_STATE, ENDED + signed.digest, str(signed.expires))
        await self._identity.keep(besides=[change], then=remember)


def _concerns(client: OAuthClient, known: Known) -> bool:
    """Its own tokens; and those of its namespace, where an admin has registered it, as a server's that takes them."""
    if known.row.kind not in _GIVEN:
        return False
    return known.row.client == client.id or (client.by_admin and known.row.namespace == client.namespace)


def _may_end(by: OAuthClient | Principal, known: Known) -> bool:
    if isinstance(by, OAuthClient):
        return known.row.client == by.id
    return known.row.id == by.token_id or _is_admin(by, known.principal.namespace)


def _may_end_signed(by: OAuthClient | Principal, space: Namespace, token_id: str) -> bool:
    if isinstance(by, OAuthClient):
        return by.by_admin and by.namespace == space.key
    return token_id == by.token_id or _is_admin(by, space)


def _is_admin(who: Principal, space: Namespace) -> bool:
    return who.may(ADMIN) and (who.operator or who.namespace == space)
