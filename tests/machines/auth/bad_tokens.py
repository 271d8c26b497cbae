"""Signed tokens that nobody may believe, by what is wrong with them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import get_default_algorithms

from appliance.auth.jose.keys import KeySource, VerifyingKey, from_pem, from_secret

__all__ = ["ALGS", "AUDIENCE", "ISSUER", "NOW", "SECRET", "Issuer", "bad_tokens", "encoded", "issuer", "private_pem"]

NOW = 1_800_000_000
ISSUER, AUDIENCE, SECRET = "house", "appliance", "correct horse battery staple, twice over"
ALGS = ("HS256", "RS256", "ES256", "EdDSA")

Json = dict[str, Any]


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Issuer:
    """Who signs, and the key that is known of them."""

    alg: str
    private: Any  # as the library signs with
    key: VerifyingKey
    public: bytes  # what anybody may know: PEM, or for HS256 nothing

    def claims(self, **changed: object) -> Json:
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "anna",
            "iat": NOW - 60,
            "exp": NOW + 600,
            "jti": "1",
            "scope": "read write",
        } | changed
        return {name: value for name, value in claims.items() if value is not ...}

    def header(self, **changed: object) -> Json:
        header = {"alg": self.alg, "typ": "JWT", "kid": self.key.kid} | changed
        return {name: value for name, value in header.items() if value is not ...}

    def sign(self, text: str) -> str:
        return encoded(get_default_algorithms()[self.alg].sign(text.encode(), self.private))

    def raw(self, header: bytes, claims: bytes) -> str:
        text = f"{encoded(header)}.{encoded(claims)}"
        return f"{text}.{self.sign(text)}"

    def token(self, header: Json | None = None, claims: Json | None = None) -> str:
        """A token, truly signed."""
        header = self.header() if header is None else header
        claims = self.claims() if claims is None else claims
        return self.raw(json.dumps(header).encode(), json.dumps(claims).encode())


def issuer(alg: str, name: str = "house") -> Issuer:
    """A new one, for this algorithm."""
    source = KeySource(name, alg, ISSUER, AUDIENCE, secret=SECRET if alg == "HS256" else "")
    if alg == "HS256":
        return Issuer(alg, SECRET.encode(), from_secret(source), b"")
    private: Any = {
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }[alg]()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Issuer(alg, private, from_pem(source, pem), pem)


def private_pem(of: Issuer) -> bytes:
    pem: bytes = of.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def bad_tokens(good: Issuer, other: Issuer) -> Iterator[tuple[str, str]]:
    """(what is wrong, the token). `other` signs for the same algorithm with a key nobody knows."""
    yield from _no_tokens(good)
    yield from _wrong_signatures(good, other)
    yield from _wrong_headers(good)
    yield from _wrong_claims(good)
    yield from _wrong_bytes(good)


def _no_tokens(good: Issuer) -> Iterator[tuple[str, str]]:
    token = good.token()
    head, body, sign = token.split(".")
    around = (f" {token}", f"{token} ", f"{token}\n", f"{token}\x00", f"Bearer {token}", f'"{token}"', f"{token}.")
    parts = (head, f"{head}.{body}", f"{head}.{body}.", f".{body}.{sign}", f"{head}..{sign}", f"{body}.{head}.{sign}")
    strange = ("", ".", "..", "...", "a.b.c", "eyJ.eyJ.x", "ü.ü.ü", "\ud800.a.b", "a" * 9000, f"{head}.{body}.{sign}ü")
    changed = (f"{token}.{sign}", token.replace(".", ","), token.upper(), f"{'a' * 9000}.{body}.{sign}")
    for what in (*around, *parts, *strange, *changed):
        yield f"no token: {what[:30]!r}", what


def _wrong_signatures(good: Issuer, other: Issuer) -> Iterator[tuple[str, str]]:
    head, body, sign = good.token().split(".")
    yield "another key", other.token(header=good.header())
    yield "signature of another token", f"{head}.{body}.{good.token(claims=good.claims(sub='bert')).split('.')[2]}"
    yield "claims exchanged", f"{head}.{encoded(json.dumps(good.claims(scope='admin')).encode())}.{sign}"
    yield "header exchanged", f"{encoded(json.dumps(good.header(typ='at+jwt')).encode())}.{body}.{sign}"
    raw = base64.urlsafe_b64decode(sign + "==")
    for at in (0, len(raw) // 2, len(raw) - 1):
        flipped = bytearray(raw)
        flipped[at] ^= 1
        yield f"bit {at} of the signature", f"{head}.{body}.{encoded(bytes(flipped))}"
    for cut in (raw[:-1], raw[1:], raw + b"\0", b"\0" + raw, b"\0" * len(raw), b"\0", raw * 2):
        yield f"signature of {len(cut)} bytes", f"{head}.{body}.{encoded(cut)}"
    for secret in (b"", b"secret", good.public, good.public.strip(), good.key.kid.encode(), body.encode()):
        for alg, digest in (("HS256", hashlib.sha256), ("HS384", hashlib.sha384), ("HS512", hashlib.sha512)):
            text = f"{encoded(json.dumps(good.header(alg=alg)).encode())}.{body}"
            made = hmac.new(secret, text.encode(), digest).digest()
            yield f"{alg} with what anybody knows: {secret[:10]!r}", f"{text}.{encoded(made)}"


def _wrong_headers(good: Issuer) -> Iterator[tuple[str, str]]:
    none = ("none", "None", "NONE", "nOnE", "")
    others = ("HS384", "HS512", "RS384", "PS256", "ES384", "ES512", "ES256K", "dir", *(set(ALGS) - {good.alg}))
    for alg in (*none, *others, good.alg.lower(), [good.alg], None, 0, [], {}, True, ...):
        token = good.token(header=good.header(alg=alg))
        yield f"alg {alg!r}", token
        if alg in none:
            yield f"alg {alg!r} without a signature", token.rpartition(".")[0] + "."
    paths = ("../../dev/null", "/dev/null", "http://127.0.0.1/key", "' or 1=1 --")
    for kid in (
        *paths,
        "",
        "other",
        "0",
        0,
        1,
        None,
        [],
        {},
        True,
        "a" * 65,
        "a b",
        "a\x00",
        "ü",
        "house\n",
        ["house"],
    ):
        yield f"kid {kid!r}", good.token(header=good.header(kid=kid))
    jwk = {"kty": "oct", "k": encoded(b"x" * 32), "alg": "HS256", "kid": "house"}
    for name, value in {
        "jwk": jwk, "jku": "https://example.com/jwks", "x5u": "https://example.com/x5u", "x5c": ["MII"], "x5t": "a",
        "crit": [], "b64": False, "zip": "DEF", "cty": "JWT", "enc": "A128GCM", "exp": NOW + 9, "extra": 1,
    }.items():  # fmt: skip
        yield f"header {name}", good.token(header=good.header(**{name: value}))
    yield "crit unknown", good.token(header=good.header(crit=["mine"], mine=1))
    yield "crit b64", good.token(header=good.header(crit=["b64"], b64=False))
    for typ in ("rt+jwt", "refresh", "dpop+jwt", "JWE", "", 1, None, ["JWT"], "secevent+jwt"):
        yield f"typ {typ!r}", good.token(header=good.header(typ=typ))


def _wrong_claims(good: Issuer) -> Iterator[tuple[str, str]]:
    times = (..., None, "", "soon", str(NOW + 60), [], {}, True, -1, 1e300, 1e12)
    wrong: dict[str, tuple[object, ...]] = {
        "exp": (*times, 0, NOW - 31, NOW - 3600, NOW - 60, NOW + 100_000),
        "iat": (*times, NOW + 31, NOW + 3600, NOW - 86_400),
        "nbf": (*times[1:], NOW + 31, NOW + 3600),
        "sub": (..., None, "", 1, [], {}, "a\x00b", "a\nb", "a" * 201, True),
        "aud": (
            ...,
            None,
            "",
            "other",
            "appliance2",
            "Appliance",
            [],
            ["other"],
            {},
            1,
            [1],
            ["other", None],
            "appliance ",
        ),
        "iss": (..., None, "", "other", "House", "house/", ["house"], 1, {}, "house\x00", True),
        "jti": ("", 1, None, [], "a\x00", "a" * 201),
        "scope": (1, None, ["read"], {}, True),
        "ns": ("", 1, None, [], "a\x00b"),
        "memories": ([], "work", [1], [""], ["a b"], {}, None, ["a", None], ["a\x00"]),
    }
    for name, values in wrong.items():
        for value in values:
            yield f"{name} {str(value)[:20]!r}", good.token(claims=good.claims(**{name: value}))


def _wrong_bytes(good: Issuer) -> Iterator[tuple[str, str]]:
    header, claims = json.dumps(good.header()).encode(), json.dumps(good.claims()).encode()
    texts: list[Callable[[bytes], bytes]] = [
        lambda text: b"[" + text + b"]",
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text + b" {}",
        lambda text: text[:-1],
        lambda text: text[:-1] + b',"x":NaN}',
        lambda text: text[:-1] + b',"x":Infinity}',
        lambda text: text[:-1] + b',"x":' + b"9" * 5000 + b"}",
        lambda text: text[:-1] + b',"x":' + b"[" * 4000 + b"]" * 4000 + b"}",
        lambda text: text[:-1] + b',"x":"\xff"}',
        lambda text: text.decode().encode("utf-16"),
        lambda text: text[:-1] + b', "alg": "' + good.alg.encode() + b'", "alg": "none"}',
        lambda text: text[:-1] + b', "sub": "x", "sub": "y"}',
        lambda _: b"",
        lambda _: b"null",
        lambda _: b'"text"',
        lambda _: b"1",
    ]
    for number, change in enumerate(texts):
        yield f"header in other bytes {number}", good.raw(change(header), claims)
        yield f"claims in other bytes {number}", good.raw(header, change(claims))
    head, body, sign = good.token().split(".")
    yield from (
        ("padded", f"{head}=.{body}.{sign}"),
        ("padded", f"{head}.{body}==.{sign}"),
        ("padded", f"{head}.{body}.{sign}="),
        ("other alphabet", f"{head}.{body}+.{sign}"),
        ("other alphabet", f"{head}.{body}.{sign[:-1]}/"),
        ("blank inside", f"{head}.{body[:9]} {body[9:]}.{sign}"),
        ("line break inside", f"{head}.{body[:9]}\n{body[9:]}.{sign}"),
    )
    last = sign[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    bits = {2: 0x0F, 3: 0x03}.get(len(sign) % 4, 0)  # of the last character that decode to nothing
    for spare in range(1, bits + 1):
        yield "the same bytes in other letters", f"{head}.{body}.{sign[:-1]}{alphabet[alphabet.index(last) ^ spare]}"
