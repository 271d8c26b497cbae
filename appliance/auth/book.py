"""Everybody who may come in, as it is held in memory. Pure: the caller brings the time, microseconds since 1970."""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from appliance.auth.credentials import Credential
from appliance.auth.oauth.clients import OAuthClient
from appliance.auth.tokens import hash_token
from appliance.errors import NotFound
from appliance.model.event import Namespace
from appliance.model.principal import ADMIN, Principal

__all__ = ["DEFAULT", "EXPIRED", "REVOKED", "Book", "Known", "signed_id"]

DEFAULT = "default"  # the namespace of whoever runs the appliance
EXPIRED, REVOKED = "Token expired", "Token revoked"  # as close reasons say it
SIGNED = "jwt:"
KEY = 16  # bytes of the hash a text is looked up by; all of it is compared in constant time


@dataclass(frozen=True, slots=True)
class Known:
    row: Credential
    principal: Principal
    lasting: bool  # a namespace token that nothing has ended and that does not end by itself


class Book:
    """Namespaces, credentials, OAuth clients, and signed tokens that were revoked.

    Args:
        stands: whether the key with this mark still counts, for signed tokens.
    """

    def __init__(self, stands: Callable[[str], bool] = lambda _: False) -> None:
        self.spaces: dict[str, Namespace] = {}
        self.clients: dict[str, OAuthClient] = {}
        self.ended: dict[str, tuple[int, int]] = {}  # digest of a revoked signed token -> its end, key of its namespace
        self._stands = stands
        self._ids: dict[int, str] = {}  # of namespaces, by key
        self._known: dict[str, Known] = {}  # by credential id
        self._texts: dict[bytes, Known] = {}  # by the first bytes of the hash
        self._families: defaultdict[str, set[str]] = defaultdict(set)  # credential ids
        self._of_clients: defaultdict[str, set[str]] = defaultdict(set)

    def __iter__(self) -> Iterator[Known]:
        return iter(self._known.values())

    def get(self, id: str) -> Known | None:
        return self._known.get(id)

    def find(self, text: str) -> Known | None:
        """Whose text this is, whether it still counts or not."""
        digest = hash_token(text)
        known = self._texts.get(digest[:KEY])
        return known if known is not None and hmac.compare_digest(known.row.hash, digest) else None

    def fate(self, id: str, now_us: int) -> str:
        """Why a credential does not count any more; empty: it does. The end of a signed token is not known here."""
        if id.startswith(SIGNED):
            digest, _, mark = id.removeprefix(SIGNED).partition(":")
            return REVOKED if digest in self.ended or not self._stands(mark) else ""
        known = self._known.get(id)
        if known is None or known.row.revoked is not None:
            return REVOKED
        row = known.row
        if row.expires is not None and now_us >= row.expires:
            return EXPIRED
        return self.fate(row.parent, now_us) if row.parent else ""

    def family(self, name: str) -> list[Credential]:
        return [self._known[id].row for id in self._families.get(name, ())]

    def of_client(self, client: str) -> list[Credential]:
        return [self._known[id].row for id in self._of_clients.get(client, ())]

    def namespace(self, id: str) -> Namespace:
        """Raises NotFound."""
        if (found := self.spaces.get(id)) is None:
            raise NotFound(f"Namespace '{id}' not found", namespace=id)
        return found

    # Changes

    def open(self, spaces: Iterable[Namespace]) -> None:
        for space in spaces:
            self.spaces[space.id] = space
            self._ids[space.key] = space.id

    def adopt(self, *rows: Credential) -> None:
        """Insert, or replace the one with this id."""
        for row in rows:
            self.forget(row)
            space = self.spaces[self._ids[row.namespace]]
            lasting = row.kind == "token" and row.expires is None and row.revoked is None
            known = Known(row, _principal(row, space), lasting)
            self._known[row.id] = self._texts[row.hash[:KEY]] = known
            if row.family:
                self._families[row.family].add(row.id)
            if row.client:
                self._of_clients[row.client].add(row.id)

    def forget(self, *rows: Credential) -> None:
        for row in rows:
            known = self._known.pop(row.id, None)
            if known is None:
                continue
            self._texts.pop(known.row.hash[:KEY], None)
            _leave(self._families, known.row.family, row.id)
            _leave(self._of_clients, known.row.client, row.id)

    def close(self, space: Namespace) -> None:
        """A namespace is gone, with everything in it."""
        self.spaces.pop(space.id, None)
        self._ids.pop(space.key, None)
        self.forget(*[known.row for known in self if known.row.namespace == space.key])
        for id in [id for id, client in self.clients.items() if client.namespace == space.key]:
            del self.clients[id]
        for digest in [digest for digest, (_, key) in self.ended.items() if key == space.key]:
            del self.ended[digest]


def signed_id(digest: str, mark: str) -> str:
    """Token id of who comes with a signed token: by what it is revoked, and the key that signed it."""
    return f"{SIGNED}{digest}:{mark}"


def _principal(row: Credential, space: Namespace) -> Principal:
    return Principal(
        space,
        frozenset(row.scopes),
        subject=row.name or row.id,
        token_id=row.id,
        operator=space.id == DEFAULT and ADMIN in row.scopes,
        memories=frozenset(row.memories),
    )


def _leave(groups: defaultdict[str, set[str]], name: str, id: str) -> None:
    if name in groups:
        groups[name].discard(id)
        if not groups[name]:
            del groups[name]
