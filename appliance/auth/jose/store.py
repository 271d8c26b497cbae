"""The files that keys are in: read at the start, and again whenever they have changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from appliance.auth.jose.keys import KeyRing, KeySource, VerifyingKey, from_jwks, from_pem, from_secret
from appliance.errors import ConfigError

__all__ = ["KeyFiles"]

LARGEST = 1024 * 1024  # bytes of a file


class KeyFiles:
    """The sources of the configuration, and the keys that are in them now.

    Raises:
        ConfigError: a key is missing, unreadable, too weak or not for its algorithm.
    """

    def __init__(self, sources: Sequence[KeySource]) -> None:
        self._sources = tuple(sources)
        self._seen: object = None
        self.ring = self._read()

    def renew(self) -> bool:
        """Read everything again. Returns whether there is another set of keys now.

        Raises:
            ConfigError: the keys of before stay.
        """
        before, self.ring = self.ring.marks, self._read()
        return before != self.ring.marks

    @property
    def changed(self) -> bool:
        """Whether a file is not the one that was read last."""
        return self._seen != self._look()

    def _read(self) -> KeyRing:
        self._seen = self._look()  # first: a file that is replaced meanwhile is read once more
        return KeyRing(key for source in self._sources for key in _keys_of(source))

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_state(path) for source in self._sources for path in (source.public_key, source.jwks) if path)


def _keys_of(source: KeySource) -> Iterator[VerifyingKey]:
    if sum(map(bool, (source.secret, source.public_key, source.jwks))) != 1:
        raise source.wrong("it needs one of secret, public_key and jwks")
    if source.secret:
        yield from_secret(source)
    elif source.public_key:
        yield from_pem(source, _bytes_of(source, source.public_key))
    elif source.jwks:
        yield from from_jwks(source, _bytes_of(source, source.jwks))


def _bytes_of(source: KeySource, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"auth.keys.{source.name}: {path} cannot be read: {error.strerror}") from error
    if len(found) > LARGEST:
        raise source.wrong(f"{path} is larger than {LARGEST} bytes")
    return found


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
