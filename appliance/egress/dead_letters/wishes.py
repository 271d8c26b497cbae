"""Which dead letters a caller means. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.errors import Rejected
from appliance.model.letters import Letter

__all__ = ["MOST_NAMED", "Choice", "Chosen"]

MOST_NAMED = 1000  # letters chosen by their ids

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Choice(msgspec.Struct, frozen=True):
    """Those of a kind, of a source, about an event; what is not said does not matter."""

    kind: str | None = None
    source: str | None = None
    event: str | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether this is one of them."""
        return (
            self.kind in (None, letter.kind)
            and self.source in (None, letter.source)
            and self.event in (None, letter.event)
        )


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /api/v1/dead-letters/retry` and `…/drop` take: some, those of a kind or source, or all."""

    ids: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_NAMED)] = ()
    kind: Name | None = None
    source: Name | None = None
    event: Name | None = None
    all: bool = False

    def choice(self) -> Choice:
        """Raises Rejected: it names none."""
        if not (self.ids or self.kind or self.source or self.event or self.all):
            raise Rejected("say which ones", hint='give "ids", "kind", "source" or "event", or "all": true')
        return Choice(self.kind, self.source, self.event)
