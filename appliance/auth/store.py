"""Namespaces and tokens on disk: what changes them, with or without a server.

Every function takes the writing half of a storage engine. A running server calls them on its writing
thread (`Log.control`), the command line on a data folder that nobody serves.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from appliance.auth.book import DEFAULT, Book
from appliance.auth.credentials import OWNER_OF_STATE, Credential, Secret, forget, from_state, of_token
from appliance.auth.oauth.clients import OAuthClient
from appliance.auth.tokens import SECRET_BYTES, MalformedToken, hash_token, make_token, parse_token
from appliance.clock import MICROSECONDS, stamp
from appliance.errors import ConfigError, NotFound, Rejected
from appliance.model.event import Namespace
from appliance.model.principal import ADMIN, SCOPES
from appliance.model.state import StateRow
from appliance.storage.ports import Engine, Reader, TokenRow

__all__ = [
    "DEFAULT",
    "OWNER",
    "OwnerFile",
    "TokenWish",
    "check_namespace_id",
    "check_owner_token",
    "create_namespace",
    "create_token",
    "end_token",
    "first_visit",
    "list_tokens",
    "load",
    "no_such_token",
    "revoke_token",
    "settle_owner",
]

OWNER = "owner"  # id of its token
LONGEST_ID = 255  # bytes of a namespace id
LONGEST_NAME = 200  # characters of a token's name or of a memory
VISIT = 30 * 24 * 3600 * MICROSECONDS  # how long the token of a first visit works

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


def load(reader: Reader, book: Book) -> None:
    """Everything that is stored, into an empty book."""
    spaces = reader.namespaces()
    book.open(spaces)
    book.adopt(*[of_token(row) for row in reader.tokens()])
    for space in spaces:
        for row in _states(reader, space.key):
            kind, _, name = row.key.partition("/")
            if kind == "credential":
                book.adopt(from_state(row))
            elif kind == "client":
                book.clients[name] = msgspec.json.decode(row.value, type=OAuthClient)
            else:
                book.ended[name] = (msgspec.json.decode(row.value, type=int), space.key)


def list_tokens(engine: Engine) -> list[tuple[Credential, Namespace]]:
    """Every token of every kind, oldest first, with the namespace it belongs to."""
    book = Book()
    with contextlib.closing(engine.reader()) as reader:
        load(reader, book)
    pairs = [(known.row, known.principal.namespace) for known in book]
    return sorted(pairs, key=lambda pair: (pair[0].created, pair[0].id))


def end_token(engine: Engine, id: str, *, now_us: int) -> None:
    """End a token of any kind, where no server runs.

    Raises:
        NotFound: no such token.
        Rejected: it is the owner's.
    """
    found = next((row for row, _ in list_tokens(engine) if row.id == id), None)
    if found is None:
        raise no_such_token(id)
    if found.kind == "token":
        revoke_token(engine, id, now_us=now_us)
    else:
        engine.change_state([forget(found)])


def revoke_token(engine: Engine, id: str, *, now_us: int) -> TokenRow:
    """End a namespace token at once. Revoking it again changes nothing.

    Raises:
        NotFound: no such token.
        Rejected: it is the owner's.
    """
    if id == OWNER:
        raise Rejected(
            "the owner's token cannot be revoked", hint="replace it: delete run/owner.token in the data folder, restart"
        )
    with contextlib.closing(engine.reader()) as reader:
        row = next((row for row in reader.tokens() if row.id == id), None)
    if row is None:
        raise no_such_token(id)
    if row.revoked is None:
        row = replace(row, revoked=now_us)
        engine.put_token(row)
    return row


def no_such_token(id: str) -> NotFound:
    return NotFound(f"there is no token {id}", hint="appliance token list shows them", token=id)


def _states(reader: Reader, namespace: int) -> Iterator[StateRow]:
    after = ""
    while rows := reader.states(namespace, OWNER_OF_STATE, after=after, limit=1000):
        yield from rows
        after = rows[-1].key


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
