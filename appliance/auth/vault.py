"""Secrets that we must be able to read again (of webhooks, both ways), encrypted at rest.

The key is handed over by the service manager (`LoadCredential=appliance.key:…`), or lies in `DIR/run/appliance.key`,
which only its own user can read. It is in no backup: a stolen copy of the log opens nothing. AES-256-GCM; the
owner's id is bound in, so that a sealed text cannot be moved to another owner.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.errors import ConfigError, Unavailable

__all__ = ["FILE", "KEY_BYTES", "Sealed", "Vault", "load_key"]

FILE = "appliance.key"
KEY_BYTES = 32
NONCE_BYTES = 12
OTHERS = 0o077  # permission bits of everybody but the owner


class Sealed(Unavailable):
    """It was encrypted with another key."""

    code = "sealed"


class Vault:
    """Seals and opens small texts.

    Args:
        key: of `KEY_BYTES`.
        random: so many unpredictable bytes.
    """

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        self._cipher = AESGCM(key)
        self._random = random

    def seal(self, data: bytes, name: str) -> str:
        """Base64 that only `open` with the same `name` reads."""
        nonce = self._random(NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, data, name.encode())).decode()

    def open(self, sealed: str, name: str) -> bytes:
        """Raises Sealed: another key, another name, or damage."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], name.encode())
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise Sealed(
                f"what is kept of {name} was encrypted with another key",
                hint=f"put the key back as {FILE} into the run folder, or give the URL and a secret anew",
            ) from error


def load_key(run: Path, environ: Mapping[str, str], random: Callable[[int], bytes]) -> bytes:
    """The key: from the service manager, else from the run folder, where one is made if there is none.

    Raises:
        ConfigError: it is no key, or others can read it.
    """
    handed = environ.get("CREDENTIALS_DIRECTORY")
    if handed and (Path(handed) / FILE).is_file():
        return _read(Path(handed) / FILE)
    path = run / FILE
    if not path.exists():
        _make(path, random(KEY_BYTES))
    if path.stat().st_mode & OTHERS:
        raise ConfigError(f"others can read {path}", hint=f"chmod 600 {path}; then rotate the secrets of all webhooks")
    return _read(path)


def _make(path: Path, key: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(base64.b64encode(key) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _read(path: Path) -> bytes:
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except (OSError, binascii.Error) as error:
        raise ConfigError(f"{path} holds no key: {error}", hint=f"base64 of {KEY_BYTES} random bytes") from error
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path} holds {len(key)} bytes, a key has {KEY_BYTES}", hint="openssl rand -base64 32")
    return key
