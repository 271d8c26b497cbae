"""Signatures under a webhook, made and checked, and the secrets they are made with.

Two schemes go out side by side, and either may come in. Standard Webhooks signs `id.timestamp.body`, so that an old
request cannot be sent again; while a secret is being replaced, both sign. The older `sha256=` header signs the body
alone, with the secret's text as the key and not the bytes it stands for: its receivers expect it so.

Source: the Standard Webhooks specification; RFC 2104; RFC 8032. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.errors import Rejected

__all__ = [
    "SECRET_BYTES",
    "body_signature",
    "body_signed",
    "check_secret",
    "make_key_pair",
    "make_secret",
    "public_key",
    "standard_signature",
    "standard_signed",
]

SYMMETRIC, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"
SECRET_BYTES = 32
LEAST, MOST = 24, 64  # bytes of a symmetric secret
LONGEST = 512  # characters of any secret
SEED_BYTES = 32
MOST_SIGNATURES = 10  # looked at in one header


def make_secret(random: bytes) -> str:
    """A symmetric secret from `SECRET_BYTES` unpredictable bytes."""
    return SYMMETRIC + base64.b64encode(random).decode()


def make_key_pair(seed: bytes) -> str:
    """An ed25519 secret from 32 unpredictable bytes; give receivers its `public_key`."""
    public = _private(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return PRIVATE + base64.b64encode(seed + public).decode()


def public_key(secret: str) -> str:
    """What a receiver verifies with; empty for a symmetric secret, which both sides know."""
    if not secret.startswith(PRIVATE):
        return ""
    return PUBLIC + base64.b64encode(_decoded(secret, PRIVATE)[SEED_BYTES:]).decode()


def check_secret(secret: str) -> None:
    """Whether a secret of the user's own can be used. A text without a prefix is a key as it stands.

    Raises:
        Rejected: it cannot, and why.
    """
    if not secret or len(secret) > LONGEST or not secret.isprintable():
        raise Rejected(f"a secret has 1 to {LONGEST} printable characters", hint="leave it out and one is made")
    try:
        if secret.startswith(SYMMETRIC):
            size = len(_decoded(secret, SYMMETRIC))
            if not LEAST <= size <= MOST:
                raise Rejected(
                    f"a {SYMMETRIC} secret stands for {LEAST} to {MOST} bytes, this one for {size}",
                    hint="leave it out and one is made",
                )
        elif secret.startswith(PRIVATE):
            key = _decoded(secret, PRIVATE)
            seed, public = key[:SEED_BYTES], key[SEED_BYTES:]
            if _private(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) != public:
                raise Rejected(
                    f"the two halves of the {PRIVATE} key do not belong together", hint="a key is seed and public key"
                )
    except (binascii.Error, ValueError) as error:
        raise Rejected(
            f"the secret is not base64 behind its prefix: {error}", hint="leave it out and one is made"
        ) from error


def standard_signature(secrets: Sequence[str], id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one signature for each secret that is still good, newest first.

    Args:
        id: of the message, the same at every attempt; without a dot.
        timestamp: seconds since 1970, of this attempt.
    """
    signed = b"%b.%d.%b" % (id.encode(), timestamp, body)
    return " ".join(_sign(secret, signed) for secret in secrets)


def body_signature(secret: str, body: bytes) -> str:
    """The headers `X-Matric-Signature` and `X-Fortemi-Signature`: `sha256=` and 64 hex digits."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def body_signed(secrets: Sequence[str], given: str, body: bytes) -> bool:
    """Whether a header like `X-Fortemi-Signature` was made with one of the secrets."""
    return any(hmac.compare_digest(body_signature(secret, body).encode(), given.encode()) for secret in secrets)


def standard_signed(secrets: Sequence[str], id: str, timestamp: int, given: str, body: bytes) -> bool:
    """Whether one of the signatures in a header `webhook-signature` was made with one of the secrets.

    How old the timestamp may be is the caller's to say.
    """
    wanted = [one.encode() for one in standard_signature(secrets, id, timestamp, body).split()]
    found = [one.encode() for one in given.split()[:MOST_SIGNATURES]]
    return any(hmac.compare_digest(one, other) for one in wanted for other in found)


def _sign(secret: str, signed: bytes) -> str:
    if secret.startswith(PRIVATE):
        signature = _private(_decoded(secret, PRIVATE)[:SEED_BYTES]).sign(signed)
        return "v1a," + base64.b64encode(signature).decode()
    key = _decoded(secret, SYMMETRIC) if secret.startswith(SYMMETRIC) else secret.encode()
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _private(seed: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed)


def _decoded(secret: str, prefix: str) -> bytes:
    return base64.b64decode(secret.removeprefix(prefix), validate=True)
