"""Namespaces and tokens on disk: what changes them, with or without a server.

Every function takes the writing half of a storage engine. A running server calls them on its writing
thread (`Log.control`), the command line on a data folder that nobody serves.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.auth.tokens import SECRET_BYTES, MalformedToken, hash_token, make_token, parse_token
from appliance.clock import MICROSECONDS, stamp
from appliance.errors import ConfigError, NotFound, Rejected
from appliance.model.event import Namespace
from appliance.model.principal import ADMIN, SCOPES
from appliance.storage.ports import Engine, TokenRow

__all__ = [
    "DEFAULT",
    "OWNER",
    "OwnerFile",
    "Secret",
    "TokenWish",
    "check_namespace_id",
    "check_owner_token",
    "create_namespace",
    "create_token",
    "describe",
    "first_visit",
    "list_tokens",
    "revoke_token",
    "settle_owner",
]

DEFAULT = "default"  # the namespace of whoever runs the appliance
OWNER = "owner"  # id of its token
LONGEST_ID = 255  # bytes of a namespace id
LONGEST_NAME = 200  # characters of a token's name or of a memory
VISIT = 30 * 24 * 3600 * MICROSECONDS  # how long the token of a first visit works

Secret = Callable[[int], bytes]  # so many unpredictable bytes

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # and halves of characters, which are no UTF-8
_BLANK = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class TokenWish:
    """What a new token shall be good for."""

    scopes: tuple[str, ...]
    namespace: str = DEFAULT
    name: str = ""  # for people: "Anna's phone"
    memories: tuple[str, ...] = ()  # none: all
    expires: int | None = None  # microseconds since 1970

    def check(self, now_us: int) -> None:
        """Raises Rejected if there can be no such token."""
        unknown = set(self.scopes) - SCOPES
        if unknown or not self.scopes:
            wrong = f"unknown scope {min(unknown)!r}" if unknown else "a token needs a scope"
            raise Rejected(wrong, hint=f"scopes are {', '.join(sorted(SCOPES))}")
        if self.expires is not None and self.expires <= now_us:
            raise Rejected("the token would have expired already", hint="give a later time")
        for label in (self.name, *self.memories):
            if len(label) > LONGEST_NAME or _CONTROL.search(label):
                raise Rejected(f"a name holds {LONGEST_NAME} characters at most, and no control characters")
        if any(not memory or _BLANK.search(memory) for memory in self.memories):
            raise Rejected("the name of a memory is not empty and holds no blanks")


def first_visit(now_us: int) -> TokenWish:
    """The token that a one-time link is good for."""
    return TokenWish((ADMIN,), name=f"first visit {stamp(now_us)[:10]}", expires=now_us + VISIT)


def check_namespace_id(id: str) -> None:
    """Raises Rejected."""
    if not id or _CONTROL.search(id) or len(id.encode()) > LONGEST_ID:
        raise Rejected(f"a namespace id has 1 to {LONGEST_ID} bytes and no control characters")


def create_namespace(
    engine: Engine, id: str, description: str, token: str, *, token_id: str, now_us: int
) -> tuple[Namespace, TokenRow]:
    """A new namespace and the stored form of its own token.

    Raises:
        Rejected: no such id can be.
        Duplicate: it exists.
    """
    check_namespace_id(id)
    row = TokenRow(token_id, hash_token(token), 0, tuple(sorted(SCOPES)), name=f"{id} itself", created=now_us)
    namespace = engine.create_namespace(id, description, row, now_us)
    return namespace, replace(row, namespace=namespace.key)


def create_token(engine: Engine, wish: TokenWish, *, id: str, secret: Secret, now_us: int) -> tuple[str, TokenRow]:
    """A new token: its text, which is known only now, and what is stored of it.

    Raises:
        Rejected: there can be no such token.
        NotFound: no such namespace.
    """
    wish.check(now_us)
    text = make_token(wish.namespace, secret(SECRET_BYTES))
    row = TokenRow(
        id,
        hash_token(text),
        _namespace(engine, wish.namespace).key,
        tuple(sorted(set(wish.scopes))),
        name=wish.name,
        memories=tuple(sorted(set(wish.memories))),
        created=now_us,
        expires=wish.expires,
    )
    engine.put_token(row)
    return text, row


def list_tokens(engine: Engine) -> list[tuple[TokenRow, Namespace]]:
    """Every token, oldest first, with the namespace it belongs to."""
    with contextlib.closing(engine.reader()) as reader:
        spaces = {space.key: space for space in reader.namespaces()}
        rows = sorted(reader.tokens(), key=lambda row: (row.created, row.id))
        return [(row, spaces[row.namespace]) for row in rows if row.namespace in spaces]


def revoke_token(engine: Engine, id: str, *, now_us: int) -> TokenRow:
    """End a token at once. Revoking it again changes nothing.

    Raises:
        NotFound: no such token.
        Rejected: it is the owner's.
    """
    if id == OWNER:
        raise Rejected(
            "the owner's token cannot be revoked", hint="replace it: delete run/owner.token in the data folder, restart"
        )
    row = next((row for row, _ in list_tokens(engine) if row.id == id), None)
    if row is None:
        raise NotFound(f"there is no token {id}", hint="appliance token list shows them", token=id)
    if row.revoked is None:
        row = replace(row, revoked=now_us)
        engine.put_token(row)
    return row


def describe(row: TokenRow, namespace: Namespace) -> dict[str, object]:
    """A token as people and programs are shown it; its text is nowhere."""
    return {
        "id": row.id,
        "name": row.name,
        "namespace": namespace.id,
        "scopes": list(row.scopes),
        "memories": list(row.memories),
        "created": stamp(row.created),
        "expires": None if row.expires is None else stamp(row.expires),
        "revoked": None if row.revoked is None else stamp(row.revoked),
    }


class OwnerFile:
    """`DIR/run/owner.token`: the one place where the owner's token is kept readable, for its user alone."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "owner.token"

    def read(self) -> str:
        """The token in it; empty if there is none."""
        try:
            return self.path.read_text("ascii").strip()
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def write(self, token: str) -> None:
        """Replace it in one step; at no time can anybody else read it."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def is_private(self) -> bool:
        return self.path.is_file() and self.path.stat().st_mode & 0o077 == 0


def check_owner_token(text: str) -> None:
    """Whether `--token` can be the token of namespace `default`.

    Raises:
        ConfigError: it cannot.
    """
    try:
        namespace = parse_token(text).namespace
    except MalformedToken as error:
        raise ConfigError(f"--token: {error}", hint="leave it out and one is made") from error
    if namespace != DEFAULT:
        raise ConfigError(f"--token is for namespace {namespace!r}, not {DEFAULT!r}", hint="leave it out")


def settle_owner(engine: Engine, file: OwnerFile | None, *, given: str, secret: Secret, now_us: int) -> str:
    """Make sure that namespace `default` exists, and return its token, which works.

    A `given` one takes the place of the one before. Otherwise the one in `file` goes on if it is still
    true, and a new one replaces what is missing or stale (a restored backup, say).
    """
    with contextlib.closing(engine.reader()) as reader:
        known = {row.id: row for row in reader.tokens()}.get(OWNER)
        exists = any(space.id == DEFAULT for space in reader.namespaces())
    kept = file.read() if file is not None else ""
    still_true = known is not None and hash_token(kept) == known.hash
    token = given or (kept if still_true else make_token(DEFAULT, secret(SECRET_BYTES)))
    if file is not None and (token != kept or not file.is_private()):
        file.write(token)  # first: if we stop here the next start finds it stale and goes on from there
    if not exists:
        create_namespace(engine, DEFAULT, "Default namespace", token, token_id=OWNER, now_us=now_us)
    elif known is None or known.hash != hash_token(token):
        row = TokenRow(
            OWNER, hash_token(token), _namespace(engine, DEFAULT).key, tuple(sorted(SCOPES)), "default itself"
        )
        engine.put_token(replace(row, created=now_us))
    return token


def _namespace(engine: Engine, id: str) -> Namespace:
    with contextlib.closing(engine.reader()) as reader:
        found = next((space for space in reader.namespaces() if space.id == id), None)
    if found is None:
        raise NotFound(f"Namespace '{id}' not found", namespace=id)
    return found
