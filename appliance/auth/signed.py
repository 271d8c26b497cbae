"""Callers who come with a signed token. Its issuer is in the configuration; nothing of it is kept but revocations."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog
import trio

from appliance.auth.book import DEFAULT, Book, signed_id
from appliance.auth.jose.strict import Refused
from appliance.auth.tokens import hash_token
from appliance.clock import MICROSECONDS
from appliance.errors import ConfigError
from appliance.model.event import Namespace
from appliance.model.principal import ADMIN, SCOPES, Principal

if TYPE_CHECKING:
    from appliance.auth.jose.keys import KeySource
    from appliance.auth.jose.verify import Signed

__all__ = ["SignedTokens"]

log = structlog.get_logger("auth")

LOOK = 2.0  # seconds between two looks at the files of keys
REMEMBERED = 1024  # tokens whose signature need not be checked again


class SignedTokens:
    """Believes the tokens of some issuers.

    Args:
        sources: where their keys are; none: no token is believed.
        leeway: seconds by which clocks may differ.
        longest: seconds a token may live at all.

    Raises:
        ConfigError: a key is missing, unreadable, too weak or not for its algorithm.
    """

    def __init__(
        self, sources: Sequence[KeySource] = (), *, leeway: float = 30.0, longest: float = 24 * 3600.0
    ) -> None:
        self._known: OrderedDict[bytes, Principal] = OrderedDict()
        self._files = None
        if sources:  # only then is the library loaded, which takes longer than everything else here
            from appliance.auth.jose.store import KeyFiles
            from appliance.auth.jose.verify import Policy

            self._policy = Policy(leeway, longest)
            self._files = KeyFiles(sources)

    async def follow(self) -> None:
        """Read key files again when they have changed: that is how keys are rotated. Lasts until cancelled."""
        while True:
            await trio.sleep(LOOK)
            if self._files is not None and self._files.changed:
                try:
                    self.renew()
                except ConfigError as error:
                    log.error("keys of signed tokens are wrong, those of before stay", reason=error.message)

    def renew(self) -> None:
        """Read them now. Raises ConfigError: the keys of before stay."""
        if self._files is not None and self._files.renew():
            self._known.clear()
            log.info("keys of signed tokens are read again", keys=len(self._files.ring))

    def stands(self, mark: str) -> bool:
        """Whether a key is still one of ours."""
        return self._files is not None and mark in self._files.ring.marks

    def principal(self, text: str, book: Book, now_us: int) -> tuple[Principal | None, bool]:
        """Who comes with the token, if it counts; and whether it is, or was, a good one, so that nobody is guessing."""
        key = hash_token(text)
        found = self._known.get(key)
        if found is None:
            found, honest = self._judge(text, book, now_us)
            if found is None:
                return None, honest
            self._known[key] = found
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        stale = found.expires is None or now_us >= found.expires or book.fate(found.token_id, now_us)
        if stale or book.spaces.get(found.namespace.id) != found.namespace:
            self._known.pop(key, None)
            return None, True
        return found, True

    def read(self, text: str, now_us: int) -> Signed:
        """What the token says.

        Raises:
            Refused: it is not believed.
        """
        from appliance.auth.jose.verify import verify

        if self._files is None:
            raise Refused("no keys are known")
        return verify(text, self._files.ring, self._policy, now_us / MICROSECONDS)

    def _judge(self, text: str, book: Book, now_us: int) -> tuple[Principal | None, bool]:
        try:
            signed = self.read(text, now_us)
        except Refused as refused:
            return None, refused.expired
        space = book.spaces.get(DEFAULT if signed.namespace is None else signed.namespace)
        return (None, True) if space is None else (_caller(signed, space), True)


def _caller(signed: Signed, space: Namespace) -> Principal:
    scopes = signed.scopes & SCOPES  # its issuer may know others, for others
    return Principal(
        space,
        scopes,
        subject=signed.subject,
        token_id=signed_id(signed.digest, signed.mark),
        operator=space.id == DEFAULT and ADMIN in scopes,
        memories=signed.memories,
        expires=signed.expires,
    )
