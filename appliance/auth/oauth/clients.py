"""Who may ask for tokens in somebody's name: registered clients (RFC 7591). Pure.

In a house anybody on the network can reach us, so registering gives nothing by itself. A client that a stranger
registered gets tokens only after an admin has agreed on the consent page, each time it asks for more. One that an
admin registered, with their token on the call, may also act for itself (`client_credentials`), and works at once.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

import msgspec

from appliance.auth.credentials import OWNER_OF_STATE, Secret, secret_text
from appliance.auth.oauth.refusals import OAuthError
from appliance.auth.tokens import hash_token
from appliance.model.principal import ADMIN, SCOPES, Principal
from appliance.model.state import StateChange

__all__ = [
    "CODE",
    "CREDENTIALS",
    "REFRESH",
    "OAuthClient",
    "Registration",
    "forget_client",
    "keep_client",
    "register",
    "scopes_of",
]

CODE, CREDENTIALS, REFRESH = "authorization_code", "client_credentials", "refresh_token"
KEY = "client/"
NAME = 200  # characters
URI = 2000
URIS = 10

_METHODS = ("client_secret_basic", "client_secret_post", "none")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_URI = re.compile(r"[\x21-\x7e]+")
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")  # com.example.app, as RFC 8252 asks
_OF_THE_HOUSE = (".local", ".home.arpa", ".lan", ".internal")


class Registration(msgspec.Struct):
    """What `POST /oauth/register` takes. Members that are not named here are ignored, as the standard says."""

    client_name: str = ""
    redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = (CODE, REFRESH)
    response_types: tuple[str, ...] | None = None
    scope: str = "read"
    token_endpoint_auth_method: str = "client_secret_basic"  # noqa: S105 - the name of a method
    client_uri: str = ""


class OAuthClient(msgspec.Struct, frozen=True, omit_defaults=True):
    """A registered client."""

    id: str
    namespace: int  # whose admin registered it; that of strangers is `default`
    name: str
    registration: bytes  # hash of the token by which it reads and ends its own registration
    created: int  # microseconds since 1970
    grant_types: tuple[str, ...]
    scopes: tuple[str, ...]  # the most it may ask for
    method: str
    secret: bytes = b""  # hash; empty: it cannot keep one
    redirect_uris: tuple[str, ...] = ()
    memories: tuple[str, ...] = ()  # of the admin's token, if that is bound
    uri: str = ""
    by_admin: bool = False  # who registered it
    agreed: bool = False  # an admin has let it act for somebody once

    def proves(self, secret: str) -> bool:
        return bool(self.secret) and hmac.compare_digest(self.secret, hash_token(secret))

    def administers(self, token: str) -> bool:
        """Whether this is its registration token."""
        return hmac.compare_digest(self.registration, hash_token(token))

    def returns_to(self, uri: str) -> bool:
        """Whether a code may be sent to `uri`: one of its own to the letter, on loopback with any port."""
        return any(uri == known or _same_loopback(uri, known) for known in self.redirect_uris)

    def public(self) -> dict[str, object]:
        """As a registration shows it; no secret is in it."""
        return {
            "client_id": self.id,
            "client_id_issued_at": self.created // 1_000_000,
            "client_name": self.name,
            "client_uri": self.uri,
            "redirect_uris": list(self.redirect_uris),
            "grant_types": list(self.grant_types),
            "response_types": ["code"] if CODE in self.grant_types else [],
            "scope": " ".join(self.scopes),
            "token_endpoint_auth_method": self.method,
        }


def keep_client(client: OAuthClient) -> StateChange:
    """The change that stores it."""
    return StateChange(client.namespace, OWNER_OF_STATE, KEY + client.id, msgspec.json.encode(client).decode())


def forget_client(client: OAuthClient) -> StateChange:
    return StateChange(client.namespace, OWNER_OF_STATE, KEY + client.id, None)


def register(
    wish: Registration, admin: Principal | None, *, home: int, secret: Secret, now_us: int
) -> tuple[OAuthClient, str, str]:
    """A new client, its secret (empty: it has none) and its registration token; both are known only now.

    Args:
        admin: who registers it; None: a stranger.
        home: key of the namespace of strangers' clients.

    Raises:
        OAuthError: there can be no such client.
    """
    _check(wish)
    scopes = scopes_of(wish.scope, "invalid_client_metadata")
    _check_rights(wish, scopes, admin)
    text = "" if wish.token_endpoint_auth_method == "none" else secret_text(48, secret)  # noqa: S105
    token = "mm_reg_" + secret_text(48, secret)
    client = OAuthClient(
        "mm_" + secret_text(24, secret),
        admin.namespace.key if admin else home,
        wish.client_name,
        hash_token(token),
        now_us,
        tuple(dict.fromkeys(wish.grant_types)),
        scopes,
        wish.token_endpoint_auth_method,
        secret=hash_token(text) if text else b"",
        redirect_uris=wish.redirect_uris,
        memories=tuple(sorted(admin.memories)) if admin else (),
        uri=wish.client_uri,
        by_admin=admin is not None,
    )
    return client, text, token


def scopes_of(text: str, error: str = "invalid_scope") -> tuple[str, ...]:
    """The scopes in a text, sorted.

    Raises:
        OAuthError: none, or one that is not known.
    """
    found = set(text.split(" ")) - {""}
    if not found or not found <= SCOPES:
        raise OAuthError(error, "the scope is not known here", hint=f"scopes are {' '.join(sorted(SCOPES))}")
    return tuple(sorted(found))


def _check(wish: Registration) -> None:
    if not wish.client_name or len(wish.client_name) > NAME or _CONTROL.search(wish.client_name):
        raise _wrong(f"client_name has 1 to {NAME} characters and no control characters")
    strange = set(wish.grant_types) - {CODE, CREDENTIALS, REFRESH}
    if strange or not wish.grant_types:
        raise _wrong("a grant type is not known here", f"they are {CODE} {CREDENTIALS} {REFRESH}")
    if wish.token_endpoint_auth_method not in _METHODS:
        raise _wrong("token_endpoint_auth_method is not known here", f"they are {' '.join(_METHODS)}")
    if wish.token_endpoint_auth_method == "none" and CREDENTIALS in wish.grant_types:  # noqa: S105
        raise _wrong(f"{CREDENTIALS} needs a client that can keep a secret")
    if wish.response_types not in (None, (), ("code",)):
        raise _wrong("the only response type is code")
    if wish.client_uri and not _is_web(wish.client_uri):
        raise _wrong("client_uri is no web address")
    _check_redirects(wish.grant_types, wish.redirect_uris)


def _check_redirects(grants: Sequence[str], uris: Sequence[str]) -> None:
    if CODE in grants and not uris:
        raise OAuthError("invalid_redirect_uri", f"{CODE} needs redirect_uris")
    if len(uris) > URIS:
        raise OAuthError("invalid_redirect_uri", f"{URIS} redirect_uris at most")
    for uri in uris:
        if not _may_be_returned_to(uri):
            raise OAuthError(
                "invalid_redirect_uri",
                "a redirect_uri cannot be used",
                hint="https, http on this network, or a scheme of the app's own: com.example.app:/done; no fragment",
            )


def _check_rights(wish: Registration, scopes: Sequence[str], admin: Principal | None) -> None:
    if admin is not None:
        return
    hint = "an admin registers it, with their token in the header Authorization"
    if CREDENTIALS in wish.grant_types:
        raise OAuthError("invalid_token", f"{CREDENTIALS} is only for clients of an admin", status=401, hint=hint)
    if ADMIN in scopes:
        raise _wrong(f"scope {ADMIN} is only for clients of an admin", hint)


def _may_be_returned_to(uri: str) -> bool:
    found = _split(uri)
    if found is None or found.fragment or "#" in uri or "@" in found.netloc:
        return False
    if found.scheme == "https":
        return bool(found.hostname)
    if found.scheme == "http":
        return bool(found.hostname) and _of_the_house(found.hostname or "")
    return bool(_PRIVATE_SCHEME.fullmatch(found.scheme))


def _is_web(uri: str) -> bool:
    found = _split(uri)
    return found is not None and found.scheme in ("http", "https") and bool(found.hostname)


def _of_the_house(host: str) -> bool:
    """A code sent there in the clear does not leave the house."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_OF_THE_HOUSE)
    return address.is_private and not address.is_unspecified


def _same_loopback(uri: str, known: str) -> bool:
    """An app on the same machine cannot know which port it gets (RFC 8252, section 7.3)."""
    one, other = _split(uri), _split(known)
    if one is None or other is None or one.scheme != "http" or one.hostname not in ("127.0.0.1", "::1"):
        return False
    return "@" not in one.netloc and (one.scheme, one.hostname, one.path, one.query, one.fragment) == (
        other.scheme,
        other.hostname,
        other.path,
        other.query,
        other.fragment,
    )


def _split(uri: str) -> SplitResult | None:
    if len(uri) > URI or not _URI.fullmatch(uri) or "\\" in uri:
        return None
    try:
        found = urlsplit(uri)
        _ = found.port  # raises for one that is none
    except ValueError:
        return None
    return found


def _wrong(message: str, hint: str = "") -> OAuthError:
    return OAuthError("invalid_client_metadata", message, hint=hint)
