"""Keys that signed tokens are checked with. The algorithm belongs to the key, never to the token. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from appliance.errors import ConfigError

__all__ = ["KID", "KeyRing", "KeySource", "VerifyingKey", "from_jwks", "from_pem", "from_secret"]

HS_BYTES = 32  # a shorter secret can be found by trying
RSA_BITS = 2048
KID = re.compile(r"[\x21-\x7e]{1,64}")

_KINDS = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP", "HS256": "oct"}


@dataclass(frozen=True, slots=True)
class KeySource:
    """One table `[auth.keys.NAME]`: a secret, a public key, or a file of keys."""

    name: str
    alg: str
    issuer: str
    audience: str
    secret: str = field(default="", repr=False)
    public_key: Path | None = None
    jwks: Path | None = None

    def wrong(self, what: str, hint: str = "") -> ConfigError:
        return ConfigError(f"auth.keys.{self.name}: {what}", hint=hint, key=f"auth.keys.{self.name}")


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key, the one algorithm it is for, and whose tokens it is good for."""

    kid: str
    alg: str
    issuer: str
    audience: str
    material: Any = field(repr=False)  # as PyJWT takes it
    mark: str = ""  # tells this key from another that gets its name later on


class KeyRing:
    """All keys, by `kid`: an opaque text that is looked up and nothing else.

    Raises:
        ConfigError: two keys have the same.
    """

    def __init__(self, keys: Iterable[VerifyingKey] = ()) -> None:
        self._keys: dict[str, VerifyingKey] = {}
        for key in keys:
            if key.kid in self._keys:
                raise ConfigError(f"two keys are called {key.kid!r}", hint="kids are unique over all of auth.keys")
            self._keys[key.kid] = key
        self.marks = frozenset(key.mark for key in self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)

    def pick(self, kid: str | None) -> VerifyingKey | None:
        """The key a token names; without a name the only one there is."""
        if kid is not None:
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None


def from_secret(source: KeySource) -> VerifyingKey:
    """Raises ConfigError: too short, or not for this algorithm."""
    if source.alg != "HS256":
        raise source.wrong(f"{source.alg} needs a public_key or a jwks file, not a secret")
    material = source.secret.encode()
    if len(material) < HS_BYTES:
        raise source.wrong(f"the secret has {len(material)} bytes; at least {HS_BYTES}", hint="openssl rand -base64 48")
    return _key(source, source.name, material, material)


def from_pem(source: KeySource, pem: bytes) -> VerifyingKey:
    """Raises ConfigError: no public key for this algorithm."""
    if source.alg == "HS256":
        raise source.wrong("HS256 needs a secret, not a public key")
    try:
        found = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        hint = "give the public key: openssl pkey -in private.pem -pubout"
        raise source.wrong("there is no public key in PEM form in its file", hint=hint) from error
    return _public(source, source.name, found)


def from_jwks(source: KeySource, text: bytes) -> Sequence[VerifyingKey]:
    """The keys of a JWK set (RFC 7517) that are for this algorithm; those for others or for encryption are left out.

    Raises:
        ConfigError: it is none, holds no key for this algorithm, or a private one.
    """
    try:
        listed = json.loads(text)["keys"]
        entries = [dict(entry) for entry in listed]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise source.wrong("its file is no JWK set", hint='it is like {"keys": [{"kty": "RSA", …}]}') from error
    wanted = [entry for entry in entries if _is_for(source.alg, entry)]
    if not wanted:
        raise source.wrong(f"its file holds no key for {source.alg}")
    return [_from_jwk(source, entry) for entry in wanted]


def _is_for(alg: str, entry: dict[str, Any]) -> bool:
    return entry.get("kty") == _KINDS[alg] and entry.get("alg", alg) == alg and entry.get("use", "sig") == "sig"


def _from_jwk(source: KeySource, entry: dict[str, Any]) -> VerifyingKey:
    kid = entry.get("kid")
    if not isinstance(kid, str) or not KID.fullmatch(kid):
        raise source.wrong("a key of its file has no kid of 1 to 64 printable characters")
    if "d" in entry:
        raise source.wrong(f"key {kid!r} of its file is a private key", hint="keep that where tokens are signed")
    try:
        found = PyJWK(entry, source.alg).key
    except (PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm) as error:
        raise source.wrong(f"key {kid!r} of its file cannot be read") from error
    if isinstance(found, bytes):
        if len(found) < HS_BYTES:
            raise source.wrong(f"key {kid!r} of its file has {len(found)} bytes; at least {HS_BYTES}")
        return _key(source, kid, found, found)
    return _public(source, kid, found)


def _public(source: KeySource, kid: str, found: object) -> VerifyingKey:
    match source.alg, found:
        case "RS256", RSAPublicKey(key_size=bits) if bits >= RSA_BITS:
            pass
        case "RS256", RSAPublicKey(key_size=bits):
            raise source.wrong(f"key {kid!r} has {bits} bits; at least {RSA_BITS}")
        case "ES256", EllipticCurvePublicKey(curve=SECP256R1()):
            pass
        case "EdDSA", Ed25519PublicKey():
            pass
        case _:
            raise source.wrong(f"key {kid!r} is none for {source.alg}")
    assert isinstance(found, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey)
    return _key(source, kid, found, found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _key(source: KeySource, kid: str, material: object, encoded: bytes) -> VerifyingKey:
    told = "\n".join((source.alg, source.issuer, source.audience, kid)).encode()
    mark = hashlib.sha256(told + b"\n" + encoded).hexdigest()[:16]
    return VerifyingKey(kid, source.alg, source.issuer, source.audience, material, mark)
