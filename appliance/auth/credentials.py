"""What a caller can show to be let in: tokens, API keys, OAuth tokens and stream tokens, in one form. Pure.

Tokens of namespaces have a table of their own on disk; everything else is kept as state of owner `auth`. Only the
SHA-256 of a text is stored, never the text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from appliance.auth.tokens import hash_token
from appliance.clock import stamp
from appliance.model.event import Namespace
from appliance.model.state import StateChange, StateRow
from appliance.storage.ports import TokenRow

__all__ = [
    "BEARERS",
    "OWNER_OF_STATE",
    "PREFIX",
    "SHOWN",
    "Credential",
    "Kind",
    "Secret",
    "describe",
    "forget",
    "from_state",
    "keep",
    "mint",
    "of_token",
    "secret_text",
]

Secret = Callable[[int], bytes]  # so many unpredictable bytes

Kind = Literal["token", "api key", "access", "refresh", "stream"]
BEARERS = frozenset({"token", "api key", "access"})  # what a header may hold; the others are good for one thing each

# Clients of the API tell them apart by these.
PREFIX = {"api key": "mm_key_", "access": "mm_at_", "refresh": "mm_rt_", "stream": "mm_st_"}
LENGTH = {"api key": 32, "access": 48, "refresh": 48, "stream": 48}

OWNER_OF_STATE = "auth"
KEY = "credential/"
SHOWN = 4  # characters of an API key that lists show, behind the prefix

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_FAIR = 256 - 256 % len(_ALPHABET)  # bytes from here on would make some characters likelier than others


class Credential(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one. Times are microseconds since 1970."""

    id: str
    kind: Kind
    hash: bytes  # SHA-256 of its text
    namespace: int
    scopes: tuple[str, ...]
    name: str = ""
    memories: tuple[str, ...] = ()
    created: int = 0
    expires: int | None = None
    revoked: int | None = None  # of a refresh token also: used
    prefix: str = ""  # of an API key: how it begins, so that people can tell which one it is
    description: str = ""
    client: str = ""  # the OAuth client it was given to
    family: str = ""  # all tokens that came of one sign-in
    parent: str = ""  # token id without which it is worth nothing

    def state(self, now_us: int) -> str:
        """ "valid", "expired" or "revoked"."""
        if self.revoked is not None:
            return "revoked"
        return "valid" if self.expires is None or now_us < self.expires else "expired"


def of_token(row: TokenRow) -> Credential:
    """A namespace token in this form."""
    return Credential(
        row.id,
        "token",
        row.hash,
        row.namespace,
        row.scopes,
        name=row.name,
        memories=row.memories,
        created=row.created,
        expires=row.expires,
        revoked=row.revoked,
    )


def from_state(row: StateRow) -> Credential:
    return msgspec.json.decode(row.value, type=Credential)


def keep(credential: Credential) -> StateChange:
    """The change that stores it."""
    value = msgspec.json.encode(credential).decode()
    return StateChange(credential.namespace, OWNER_OF_STATE, KEY + credential.id, value)


def forget(credential: Credential) -> StateChange:
    """The change that ends it for good."""
    return StateChange(credential.namespace, OWNER_OF_STATE, KEY + credential.id, None)


def mint(kind: Kind, secret: Secret) -> tuple[str, bytes]:
    """The text of a new one, and its hash."""
    text = PREFIX[kind] + secret_text(LENGTH[kind], secret)
    return text, hash_token(text)


def secret_text(length: int, secret: Secret) -> str:
    """So many letters and digits, each as likely as any other."""
    found = b""
    while len(found) < length:
        found += bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in secret(2 * length) if byte < _FAIR)
    return found[:length].decode()


def describe(credential: Credential, namespace: Namespace) -> dict[str, object]:
    """A credential as people and programs are shown it; its text is nowhere."""
    return {
        "id": credential.id,
        "kind": credential.kind,
        "name": credential.name,
        "namespace": namespace.id,
        "scopes": list(credential.scopes),
        "memories": list(credential.memories),
        "created": stamp(credential.created),
        "expires": None if credential.expires is None else stamp(credential.expires),
        "revoked": None if credential.revoked is None else stamp(credential.revoked),
    }
