"""OAuth 2 over HTTP: registering, the consent page's questions, tokens, and what is known about all this."""

from __future__ import annotations

import inspect

import msgspec

from appliance.auth import presented
from appliance.auth.oauth.clients import CODE, CREDENTIALS, REFRESH, OAuthClient, Registration
from appliance.auth.oauth.forms import FORM_BODY, proof_of, read_form, read_query
from appliance.auth.oauth.inspection import Inspection
from appliance.auth.oauth.refusals import SECRET_HEADERS, OAuthError, invalid_client
from appliance.auth.oauth.service import Authority
from appliance.auth.service import Identity
from appliance.model.http import Answer, Handler, Request, Response, Route, json_response
from appliance.model.principal import ADMIN, SCOPES, Principal
from appliance.world import World

__all__ = ["oauth_routes"]

_TAGS = ("oauth",)


def oauth_routes(identity: Identity, world: World) -> tuple[Route, ...]:
    """Everything but the consent page itself."""
    authority, inspection = Authority(identity, world), Inspection(identity, world)
    return (
        *_client_routes(identity, authority),
        *_consent_routes(identity, authority),
        *_token_routes(identity, authority, inspection),
        *_metadata_routes(),
    )


def _client_routes(identity: Identity, authority: Authority) -> tuple[Route, ...]:
    async def register(request: Request) -> Response:
        try:
            wish = msgspec.json.decode(request.body, type=Registration)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise OAuthError("invalid_client_metadata", f"this is no registration: {error}") from error
        caller = identity.visitor(request)
        client, secret, token = await authority.register(wish, caller, request.peer)
        told = client.public() | {
            "registration_access_token": token,
            "registration_client_uri": f"{_issuer(request)}/oauth/register/{client.id}",
        }
        shown = {"client_secret": secret, "client_secret_expires_at": 0} if secret else {}
        return json_response(told | shown, 201, SECRET_HEADERS)

    def mine(request: Request) -> OAuthClient:
        return authority.registered(request.params["client_id"], presented.bearer(request), request.peer)

    def read(request: Request) -> Response:
        return json_response(mine(request).public(), headers=SECRET_HEADERS)

    async def unregister(request: Request) -> Response:
        await authority.end_client(mine(request))
        return Response(204)

    def listed(request: Request) -> Response:
        clients = authority.clients(_caller(identity, request))
        told = [client.public() | {"registered_by_admin": client.by_admin} for client in clients]
        return json_response({"clients": told})

    async def end(request: Request) -> Response:
        await authority.end_client(authority.client(_caller(identity, request), request.params["client_id"]))
        return Response(204)

    path, ours = "/oauth/register", "/api/v1/oauth/clients"
    one = path + "/{client_id}"
    return (
        Route(
            "POST",
            path,
            _in_oauth(register),
            "Register a client; with an admin's token it may act for itself",
            request=Registration,
            body_limit=FORM_BODY,
            tags=_TAGS,
        ),
        Route("GET", one, _in_oauth(read), "A client's own registration", guarded=True, tags=_TAGS),
        Route("DELETE", one, _in_oauth(unregister), "End a client's own registration", guarded=True, tags=_TAGS),
        Route("GET", ours, listed, "The registered clients of a namespace", scope=ADMIN, tags=_TAGS),
        Route("DELETE", ours + "/{client_id}", end, "End a client and all its tokens", scope=ADMIN, tags=_TAGS),
    )


def _consent_routes(identity: Identity, authority: Authority) -> tuple[Route, ...]:
    def question(request: Request) -> Response:
        form = read_query(request)
        client, scopes = authority.asked(form)
        return json_response(
            {
                "client_name": client.name,
                "client_uri": client.uri,
                "redirect_uri": form.get("redirect_uri"),
                "scopes": list(scopes),
                "registered_by_admin": client.by_admin,
            },
            headers=SECRET_HEADERS,
        )

    async def decide(request: Request) -> Response:
        who, form, issuer = _caller(identity, request), read_form(request), _issuer(request)
        who.require(ADMIN)
        match form.need("decision"):
            case "agree":
                place = await authority.agree(form, who, issuer)
            case "refuse":
                place = authority.refuse(form, issuer)
            case _:
                raise OAuthError("invalid_request", "decision is agree or refuse")
        return json_response({"redirect_to": place}, headers=SECRET_HEADERS)

    path = "/oauth/authorize"
    return (
        Route("GET", path + "/question", _in_oauth(question), "What a client asks an admin to agree to", tags=_TAGS),
        Route(
            "POST",
            path,
            _in_oauth(decide),
            "An admin's answer, a form; the reply names the address to go on to",
            scope=ADMIN,
            body_limit=FORM_BODY,
            tags=_TAGS,
        ),
    )


def _token_routes(identity: Identity, authority: Authority, inspection: Inspection) -> tuple[Route, ...]:
    async def token(request: Request) -> Response:
        form = read_form(request)
        client = authority.prove(proof_of(request, form), request.peer)
        return json_response(await authority.token(client, form), headers=SECRET_HEADERS)

    def introspect(request: Request) -> Response:
        form = read_form(request)
        client = authority.prove(proof_of(request, form), request.peer)
        if client.method == "none":  # it has proven nothing
            raise invalid_client()
        told = inspection.introspect(client, form.need("token"), _issuer(request))
        return json_response(told, headers=SECRET_HEADERS)

    async def revoke(request: Request) -> Response:
        form = read_form(request)
        by: OAuthClient | Principal
        if presented.bearer(request):
            by = identity.authenticate(request)
        else:
            by = authority.prove(proof_of(request, form), request.peer)
        await inspection.revoke(by, form.need("token"))
        return json_response({}, headers=SECRET_HEADERS)

    rows = (
        ("/oauth/token", token, "A client's way to tokens: a form"),
        ("/oauth/introspect", introspect, "What a token is good for: a form, from a client"),
        ("/oauth/revoke", revoke, "End a token: a form, from a client, or with a token"),
    )
    return tuple(
        Route("POST", path, _in_oauth(handler), summary, guarded=True, body_limit=FORM_BODY, tags=_TAGS)
        for path, handler, summary in rows
    )


def _metadata_routes() -> tuple[Route, ...]:
    def server(request: Request) -> Response:
        issuer = _issuer(request)
        methods = ["client_secret_basic", "client_secret_post"]
        return json_response(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/oauth/authorize",
                "token_endpoint": f"{issuer}/oauth/token",
                "registration_endpoint": f"{issuer}/oauth/register",
                "introspection_endpoint": f"{issuer}/oauth/introspect",
                "revocation_endpoint": f"{issuer}/oauth/revoke",
                "scopes_supported": sorted(SCOPES),
                "response_types_supported": ["code"],
                "grant_types_supported": [CODE, CREDENTIALS, REFRESH],
                "token_endpoint_auth_methods_supported": [*methods, "none"],
                "introspection_endpoint_auth_methods_supported": methods,
                "revocation_endpoint_auth_methods_supported": methods,
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    def resource(request: Request) -> Response:
        issuer = _issuer(request)
        return json_response(
            {
                "resource": issuer,
                "authorization_servers": [issuer],
                "scopes_supported": sorted(SCOPES),
                "bearer_methods_supported": ["header"],
            }
        )

    known = "/.well-known/oauth-"
    return (
        Route("GET", known + "authorization-server", server, "How to get tokens here (RFC 8414)", tags=_TAGS),
        Route("GET", known + "protected-resource", resource, "Whose tokens are taken here (RFC 9728)", tags=_TAGS),
    )


def _caller(identity: Identity, request: Request) -> Principal:
    return request.principal or identity.authenticate(request)


def _issuer(request: Request) -> str:
    """Us, by the name the caller has for us: a house knows an appliance by several."""
    return f"{'https' if request.secure else 'http'}://{request.headers.get('host', 'localhost')}"


def _in_oauth(handler: Handler) -> Handler:
    """`handler`, whose OAuth errors are answered as OAuth writes them."""

    async def answering(request: Request) -> Answer:
        try:
            begun = handler(request)
            return await begun if inspect.isawaitable(begun) else begun
        except OAuthError as error:
            return error.response()

    return answering
