"""Who may tell us something, and how they prove it: kept, asked for, shown, and checked. Pure.

Two ways of signing are understood. `body` is HMAC-SHA-256 over the raw body, `sha256=` and 64 hex digits in a header
of the sender's choice; it cannot tell an old request from a new one. `standard` is Standard Webhooks, whose timestamp
is signed and may be off by `tolerance_s`, and whose `webhook-id` is the idempotency key unless another one is given.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from appliance.auth.signing import body_signed, standard_signed
from appliance.clock import MICROSECONDS, stamp
from appliance.errors import Rejected, Unauthenticated

__all__ = [
    "Change",
    "New",
    "Receiver",
    "Secret",
    "Trial",
    "check_slug",
    "given_key",
    "receiver_row",
    "unit_key",
    "verify",
]

Signature = Literal["body", "standard"]

DAY = 24 * 3600
HEADER = "X-Fortemi-Signature"
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?")
RESERVED = frozenset({"validate"})  # a route of its own
LONGEST_KEY = 255  # characters of an idempotency key

Name = Annotated[str, Meta(max_length=200)]
Header = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Headers = Annotated[tuple[Header, ...], Meta(max_length=20)]
Tolerance = Annotated[int, Meta(ge=1, le=3600)]
Rate = Annotated[int, Meta(ge=1, le=1_000_000)]


class Secret(msgspec.Struct, frozen=True):
    """What a sender signs with."""

    text: str
    until: int | None = None  # microseconds since 1970; None: the present one


class Receiver(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sender's way in."""

    id: str
    namespace: int
    slug: str  # the end of its URL, once in the whole appliance
    sealed: str  # its secrets, encrypted, in base64
    provider: str = ""  # who sends, for people
    schema_ref: str = ""
    schema_doc: dict[str, Any] | None = None  # None: any JSON
    signature: Signature = "body"
    signature_header: str = HEADER
    tolerance_s: int = 300
    headers: tuple[str, ...] = ()  # in lower case: kept with the event
    memory: str = ""
    rate: int = 600  # a minute
    is_active: bool = True
    created: int = 0
    updated: int = 0


class New(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /api/v1/webhooks/incoming` takes."""

    slug: str
    provider: Name = ""
    schema_ref: Name = ""
    hmac_secret: str | None = None  # none: one is made
    signature_header: Header = HEADER
    is_active: bool = True
    schema_doc: dict[str, Any] | None = None
    signature: Signature = "body"
    tolerance_s: Tolerance = 300
    headers: Headers = ()
    memory: Name = ""
    rate: Rate = 600


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `PATCH …/incoming/{slug}` takes; what is left out stays."""

    provider: Name | UnsetType = UNSET
    schema_ref: Name | UnsetType = UNSET
    hmac_secret: str | UnsetType = UNSET
    overlap_s: Annotated[int, Meta(ge=0, le=7 * DAY)] = 0  # how long the secret before stays good
    signature_header: Header | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    schema_doc: dict[str, Any] | UnsetType | None = UNSET
    signature: Signature | UnsetType = UNSET
    tolerance_s: Tolerance | UnsetType = UNSET
    headers: Headers | UnsetType = UNSET
    rate: Rate | UnsetType = UNSET


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST …/incoming/validate` takes."""

    schema_ref: Name
    payload: msgspec.Raw


def check_slug(slug: str) -> None:
    """Raises Rejected."""
    if not SLUG.fullmatch(slug) or slug in RESERVED:
        raise Rejected(
            f"{slug[:100]!r} cannot be a slug",
            hint="1 to 100 small letters, digits, dots, dashes and underscores; `validate` is taken",
        )


def receiver_row(receiver: Receiver, count: int) -> dict[str, object]:
    """A receiver as admins see it.

    Args:
        count: webhooks it has taken so far.
    """
    return {
        "id": receiver.id,
        "slug": receiver.slug,
        "provider": receiver.provider,
        "schema_ref": receiver.schema_ref,
        "schema_doc": receiver.schema_doc,
        "signature": receiver.signature,
        "signature_header": receiver.signature_header,
        "tolerance_s": receiver.tolerance_s,
        "headers": list(receiver.headers),
        "memory": receiver.memory or None,
        "rate": receiver.rate,
        "is_active": receiver.is_active,
        "secret_set": True,
        "received": count,
        "created_at": stamp(receiver.created),
        "updated_at": stamp(receiver.updated),
    }


def verify(
    receiver: Receiver, secrets: tuple[Secret, ...], headers: Mapping[str, str], body: bytes, now_us: int
) -> None:
    """Whether the sender is who we expect.

    Args:
        headers: names in lower case.

    Raises:
        Unauthenticated: it has not shown that.
    """
    good = [one.text for one in secrets if one.until is None or now_us < one.until]
    if receiver.signature == "standard":
        _verify_standard(receiver, good, headers, body, now_us)
    elif not body_signed(good, headers.get(receiver.signature_header.lower(), ""), body):
        raise Unauthenticated(
            "the signature is missing or wrong",
            hint=f"{receiver.signature_header}: sha256= and the HMAC-SHA-256 of the raw body, in hex",
        )


def given_key(receiver: Receiver, headers: Mapping[str, str]) -> str:
    """By which the sender names this webhook; empty: it does not. Raises Rejected: no key can be like this."""
    key = headers.get("idempotency-key", "")
    if not key and receiver.signature == "standard":
        key = headers.get("webhook-id", "")
    if key and not (key.isascii() and key.isprintable() and len(key) <= LONGEST_KEY):
        raise Rejected(f"an idempotency key has 1 to {LONGEST_KEY} printable ASCII characters")
    return key


def unit_key(receiver: Receiver, key: str) -> str:
    """The key of the log for a sender's key: no sender can meet another's."""
    return f"incoming/{receiver.id}/{hashlib.sha256(key.encode()).hexdigest()}"


def _verify_standard(
    receiver: Receiver, secrets: list[str], headers: Mapping[str, str], body: bytes, now_us: int
) -> None:
    id, when = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (id and when.isascii() and when.isdigit() and len(when) <= 12):
        raise Unauthenticated(
            "this is not signed as Standard Webhooks", hint="send webhook-id, webhook-timestamp and webhook-signature"
        )
    if not standard_signed(secrets, id, int(when), headers.get("webhook-signature", ""), body):
        raise Unauthenticated("the signature is wrong", hint="it is over id.timestamp.body, with the secret's bytes")
    away = abs(now_us // MICROSECONDS - int(when))
    if away > receiver.tolerance_s:
        raise Unauthenticated(
            f"the timestamp is {away} s away from now, {receiver.tolerance_s} s may be",
            hint="sign each attempt anew, and compare the clocks",
        )
