"""The authorization server: registers clients, and turns what they prove into tokens that end by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from appliance.auth.attempts import Attempts
from appliance.auth.credentials import Credential, mint, secret_text
from appliance.auth.housekeeping import access_lifetime
from appliance.auth.oauth.clients import (
    CODE,
    CREDENTIALS,
    REFRESH,
    OAuthClient,
    Registration,
    forget_client,
    keep_client,
    register,
    scopes_of,
)
from appliance.auth.oauth.codes import Agreement, Codes, answers, check_challenge
from appliance.auth.oauth.forms import Form, Proof
from appliance.auth.oauth.refusals import OAuthError, invalid_client
from appliance.auth.service import Identity
from appliance.auth.store import DEFAULT
from appliance.clock import MICROSECONDS
from appliance.errors import LimitReached, NotFound
from appliance.model.principal import ADMIN, Principal
from appliance.world import World

__all__ = ["Authority"]

REFRESH_LIFETIME = 30 * 24 * 3600 * MICROSECONDS
MOST_CLIENTS = 1000
MOST_OF_ONE = 1000  # access tokens of one client at once
REGISTRATIONS = 10  # of strangers from one address at once; one more each minute


class Authority:
    """OAuth 2 for one `Identity`. Codes live here, and no longer than until a restart."""

    def __init__(self, identity: Identity, world: World) -> None:
        self._identity = identity
        self._book = identity.book
        self._world = world
        self._codes = Codes()
        self._registrations = Attempts(burst=REGISTRATIONS)

    # Clients

    async def register(
        self, wish: Registration, caller: Principal | None, address: str
    ) -> tuple[OAuthClient, str, str]:
        """A new client, its secret and its registration token, both shown this once.

        Raises:
            OAuthError: there can be no such client, or only an admin may make it.
            LimitReached: there are too many.
        """
        admin = caller if caller is not None and caller.may(ADMIN) else None
        if admin is None:
            self._registrations.failed(address, self._world.now())
        if len(self._book.clients) >= MOST_CLIENTS:
            raise LimitReached("too many clients are registered", retry_after=3600, hint="an admin ends some of them")
        home = self._book.namespace(DEFAULT).key
        made = register(wish, admin, home=home, secret=self._world.secret, now_us=self._world.wall_us())
        await self._keep_client(made[0])
        return made

    def registered(self, id: str, token: str, address: str) -> OAuthClient:
        """The client whose registration token this is.

        Raises:
            OAuthError: it is none's.
            LimitReached: too many of these came from there.
        """
        client = self._book.clients.get(id)
        if client is None or not client.administers(token):
            self._identity.attempts.failed(address, self._world.now())
            raise OAuthError("invalid_token", "this registration is not known", status=401)
        return client

    def client(self, caller: Principal, id: str) -> OAuthClient:
        """Raises NotFound: none that this admin may see."""
        client = self._book.clients.get(id)
        if client is None or client not in self.clients(caller):
            raise NotFound("there is no such client", hint="GET /api/v1/oauth/clients lists them")
        return client

    def clients(self, caller: Principal) -> list[OAuthClient]:
        """Those of the admin's namespace, for the operator all."""
        known = self._book.clients.values()
        return [client for client in known if caller.operator or client.namespace == caller.namespace.key]

    async def end_client(self, client: OAuthClient) -> None:
        """It and all its tokens are worth nothing from now on."""
        await self._identity.keep(
            drop=lambda: self._book.of_client(client.id),
            besides=[forget_client(client)],
            then=lambda: self._forget_client(client),
        )

    def prove(self, proof: Proof, address: str) -> OAuthClient:
        """The client that sends a form.

        Raises:
            OAuthError: unknown, or a wrong secret.
            LimitReached: too many of these came from there.
        """
        client = self._book.clients.get(proof.client)
        if client is not None and (client.proves(proof.secret) or (client.method == "none" and not proof.secret)):
            return client
        self._identity.attempts.failed(address, self._world.now())
        raise invalid_client()

    # Tokens

    async def token(self, client: OAuthClient, form: Form) -> dict[str, object]:
        """What the token endpoint answers.

        Raises:
            OAuthError: with the code that the standard has for it.
        """
        grant = form.need("grant_type")
        if grant not in (CODE, CREDENTIALS, REFRESH):
            raise OAuthError("unsupported_grant_type", f"grant types are {CODE} {CREDENTIALS} {REFRESH}")
        if grant not in client.grant_types:
            raise OAuthError("unauthorized_client", "this client is not registered for this grant")
        if grant == CREDENTIALS:
            return await self._for_itself(client, form)
        return await (self._by_code(client, form) if grant == CODE else self._again(client, form))

    async def _for_itself(self, client: OAuthClient, form: Form) -> dict[str, object]:
        scopes = _within(form, client.scopes)
        text, row = self._access(client, scopes, client.namespace, client.memories, "")
        await self._identity.keep(row, check=lambda: self._check_client(client))
        return _answer(text, row)

    async def _by_code(self, client: OAuthClient, form: Form) -> dict[str, object]:
        code = form.need("code")
        agreement, spent = self._codes.spend(code, self._world.now())
        if agreement is None:
            raise _invalid_grant("the code is not known, or has expired")
        if spent:
            await self._end_family(agreement.family)
            raise _invalid_grant("the code was used before: everything that came of it has ended")
        if not answers(agreement, client.id, form.get("redirect_uri"), form.get("code_verifier")):
            raise _invalid_grant("the code was given to somebody else")

        def check() -> None:
            self._check_client(client)
            if self._codes.replayed(code):
                raise _invalid_grant("the code has come twice")

        return await self._pair(client, agreement.scopes, agreement, check=check)

    async def _again(self, client: OAuthClient, form: Form) -> dict[str, object]:
        known = self._book.find(form.need("refresh_token"))
        if known is None or known.row.kind != "refresh" or known.row.client != client.id:
            raise _invalid_grant("the refresh token is not known")
        old, now = known.row, self._world.wall_us()
        if old.state(now) == "expired":
            raise _invalid_grant("the refresh token has expired")
        scopes = _within(form, old.scopes)
        source = Agreement(client.id, "", "", old.scopes, old.namespace, old.memories, old.family)

        def check() -> None:
            self._check_client(client)
            known = self._book.get(old.id)  # as it is when this one's turn has come
            if known is None or known.row.revoked is not None:
                raise _Replayed

        try:
            return await self._pair(client, scopes, source, msgspec.structs.replace(old, revoked=now), check=check)
        except _Replayed as replayed:
            await self._end_family(old.family)
            raise _invalid_grant(
                "the refresh token was used before: everything that came of it has ended"
            ) from replayed

    async def _pair(
        self,
        client: OAuthClient,
        scopes: Sequence[str],
        source: Agreement,
        *used: Credential,
        check: Callable[[], None],
    ) -> dict[str, object]:
        """An access token, and a refresh token if the client takes those."""
        text, row = self._access(client, scopes, source.namespace, source.memories, source.family)
        answer, rows = _answer(text, row), [row, *used]
        if REFRESH in client.grant_types:
            text, digest = mint("refresh", self._world.secret)
            fresh = Credential(
                self._world.new_id(),
                "refresh",
                digest,
                source.namespace,
                source.scopes,
                name=client.name,
                memories=source.memories,
                created=row.created,
                expires=row.created + REFRESH_LIFETIME,
                client=client.id,
                family=source.family,
            )
            answer["refresh_token"] = text
            rows.append(fresh)
        await self._identity.keep(*rows, check=check)
        return answer

    def _access(
        self, client: OAuthClient, scopes: Sequence[str], namespace: int, memories: tuple[str, ...], family: str
    ) -> tuple[str, Credential]:
        now = self._world.wall_us()
        live = [row for row in self._book.of_client(client.id) if row.kind == "access" and row.state(now) == "valid"]
        if len(live) >= MOST_OF_ONE:
            raise LimitReached(f"a client has {MOST_OF_ONE} access tokens at most", retry_after=60)
        text, digest = mint("access", self._world.secret)
        return text, Credential(
            self._world.new_id(),
            "access",
            digest,
            namespace,
            tuple(scopes),
            name=client.name,
            memories=memories,
            created=now,
            expires=now + access_lifetime(scopes) * MICROSECONDS,
            client=client.id,
            family=family,
        )

    async def _end_family(self, family: str) -> None:
        await self._identity.keep(drop=lambda: self._book.family(family))

    def _check_client(self, client: OAuthClient) -> None:
        """One that was ended meanwhile gets nothing more."""
        if client.id not in self._book.clients:
            raise invalid_client()

    # Consent

    def asked(self, form: Form) -> tuple[OAuthClient, tuple[str, ...]]:
        """Who asks for an admin's consent, and to what.

        Raises:
            OAuthError: nobody we know, or nothing that can be agreed to. It is not told to the client's address.
        """
        client = self._book.clients.get(form.need("client_id"))
        if client is None:
            raise OAuthError("invalid_request", "this client is not registered here")
        if not client.returns_to(form.need("redirect_uri")):
            raise OAuthError("invalid_request", "this redirect_uri is none of the client's")
        if form.get("response_type") != "code" or CODE not in client.grant_types:
            raise OAuthError("unsupported_response_type", "the only response type is code")
        check_challenge(form.get("code_challenge"), form.get("code_challenge_method"))
        return client, _within(form, client.scopes)

    async def agree(self, form: Form, admin: Principal, issuer: str) -> str:
        """The address to send the browser to, with a code.

        Raises:
            OAuthError: as `asked`.
            Forbidden: the caller is no admin.
        """
        admin.require(ADMIN)
        client, scopes = self.asked(form)
        if not client.agreed:
            await self._keep_client(
                msgspec.structs.replace(client, agreed=True), check=lambda: self._check_client(client)
            )
        code = secret_text(48, self._world.secret)
        agreement = Agreement(
            client.id,
            form.get("redirect_uri"),
            form.get("code_challenge"),
            scopes,
            admin.namespace.key,
            tuple(sorted(admin.memories)),
            self._world.new_id(),
        )
        self._codes.issue(code, agreement, self._world.now())
        return _returning(form, {"code": code}, issuer)

    def refuse(self, form: Form, issuer: str) -> str:
        """The address to send the browser to, without one."""
        self.asked(form)
        return _returning(form, {"error": "access_denied"}, issuer)

    # Inside

    async def _keep_client(self, client: OAuthClient, check: Callable[[], None] = lambda: None) -> None:
        def remember() -> None:
            self._book.clients[client.id] = client

        await self._identity.keep(besides=[keep_client(client)], check=check, then=remember)

    def _forget_client(self, client: OAuthClient) -> None:
        self._book.clients.pop(client.id, None)


class _Replayed(OAuthError):
    """A refresh token has come again."""

    def __init__(self) -> None:
        super().__init__("invalid_grant", "the refresh token was used before")


def _invalid_grant(message: str) -> OAuthError:
    return OAuthError("invalid_grant", message)


def _within(form: Form, most: Sequence[str]) -> tuple[str, ...]:
    """The scopes that a form asks for; all there are to have, if it names none.

    Raises:
        OAuthError: more than there are to have.
    """
    if not form.get("scope"):
        return tuple(most)
    scopes = scopes_of(form.get("scope"))
    if not set(scopes) <= set(most):
        raise OAuthError("invalid_scope", "the scope is wider than the client's", hint=f"it has {' '.join(most)}")
    return scopes


def _answer(text: str, row: Credential) -> dict[str, object]:
    left = access_lifetime(row.scopes)
    return {"access_token": text, "token_type": "Bearer", "expires_in": left, "scope": " ".join(row.scopes)}


def _returning(form: Form, told: dict[str, str], issuer: str) -> str:
    """The client's address with an answer in its query (RFC 6749, section 4.1.2; RFC 9207)."""
    state = {"state": form.get("state")} if form.get("state") else {}
    place = urlsplit(form.get("redirect_uri"))
    query = "&".join(part for part in (place.query, urlencode(told | state | {"iss": issuer})) if part)
    return urlunsplit(place._replace(query=query))
