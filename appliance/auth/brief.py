"""A token that lives as long as a block, in memory only: for what the appliance asks of itself over its own port."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from appliance.auth.credentials import Credential
from appliance.auth.service import Identity
from appliance.auth.tokens import SECRET_BYTES, hash_token, make_token
from appliance.model.event import Namespace
from appliance.world import World

__all__ = ["brief_token"]


@contextlib.contextmanager
def brief_token(
    identity: Identity, world: World, space: Namespace, scopes: tuple[str, ...], *, name: str
) -> Iterator[str]:
    """Its text. Nothing of it is stored; whoever is connected with it is out when the block ends."""
    text = make_token(space.id, world.secret(SECRET_BYTES))
    row = Credential(world.new_id(), "token", hash_token(text), space.key, scopes, name=name, created=world.wall_us())
    identity.book.adopt(row)
    try:
        yield text
    finally:
        identity.book.forget(row)
