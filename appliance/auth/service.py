"""Who is asking: every caller is a token, and every token lives in one namespace.

Namespaces and tokens are few and asked for with each request, so all of them are held in memory. A
change goes to disk first, then into this picture, in a task of ours: a caller who leaves in between
cannot leave them apart.
"""

from __future__ import annotations

import hmac
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import trio

from appliance.auth import presented, store
from appliance.auth.codes import CODE_BYTES, Visits
from appliance.auth.dialect import in_dialect
from appliance.auth.rights import require_admin, unbound, whole
from appliance.auth.store import DEFAULT, OWNER, OwnerFile, TokenWish
from appliance.auth.tokens import SECRET_BYTES, hash_token, make_token
from appliance.errors import ApplianceError, Duplicate, Forbidden, NotFound, Unauthenticated, Unavailable
from appliance.model.event import Namespace
from appliance.model.http import Answer, Handler, Request
from appliance.model.principal import ADMIN, Principal
from appliance.storage.ports import Engine, Reader, TokenRow
from appliance.world import World

__all__ = ["TOKEN_HEADERS", "Identity"]

T = TypeVar("T")

TOKEN_HEADERS = ("x-eventodb-token", "x-messagedb-token")  # clients of both names exist
EXPIRED, REVOKED = "Token expired", "Token revoked"  # as close reasons say it
KEY = 16  # bytes of the hash a token is looked up by; all of it is compared in constant time


class _Log(Protocol):
    async def reading(self, work: Callable[[Reader], T]) -> T: ...

    async def control(self, work: Callable[[Engine], T]) -> T: ...

    def forget(self, namespace: int) -> None: ...


@dataclass(frozen=True, slots=True)
class _Known:
    row: TokenRow
    principal: Principal


class Identity:
    """A supervised service: who may do what, and the keeper of namespaces and tokens.

    Args:
        run_folder: where `owner.token` is kept; None: the owner's token is kept nowhere (a log in memory).
        token: the owner's token from now on; empty: go on with the one there is, or make one.
        relaxed: test mode. Whoever brings no token acts as the owner, and namespaces are made on first use.
    """

    name: ClassVar[str] = "auth"

    def __init__(
        self, log: _Log, world: World, *, run_folder: Path | None = None, token: str = "", relaxed: bool = False
    ) -> None:
        if token:
            store.check_owner_token(token)
        self.owner_token = token  # once `run` has started: the working token of namespace `default`
        self.relaxed = relaxed
        self._log = log
        self._world = world
        self._file = None if run_folder is None else OwnerFile(run_folder)
        self._spaces: dict[str, Namespace] = {}
        self._ids: dict[int, str] = {}  # of namespaces, by key
        self._rows: dict[str, _Known] = {}  # by token id
        self._callers: dict[bytes, _Known] = {}  # by the first bytes of the hash
        self._deleted: set[str] = set()  # namespaces that an old token does not bring back
        self._nursery: trio.Nursery | None = None
        self._changing = trio.Lock()
        self._visits = Visits()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await self._load()
            task_status.started()
            await trio.sleep_forever()

    async def drain(self) -> None:
        """Nothing to finish: a change that has begun is finished by whoever asked for it."""

    # Asking who it is

    def authenticate(self, request: Request, *, query_token: bool = False) -> Principal:
        """The caller of an ordinary route, or of a WebSocket, which may also offer the token as a subprotocol.

        Args:
            query_token: also take `?token=`.

        Raises:
            Unauthenticated: no token, or none of ours.
        """
        token = presented.ordinary_token(request, query_token=query_token)
        if not token and self.relaxed:
            return self._owner()
        if not token:
            raise Unauthenticated("this needs a token", hint="send the header Authorization: Bearer TOKEN")
        known = self._known(token)
        if known is not None and self._lives(known.row):
            return known.principal
        if self.relaxed and known is None:
            found = self._spaces.get(presented.claimed_namespace(token))
            if found is not None:
                return whole(found)
        raise Unauthenticated("this token is not valid", hint="it may have expired or been revoked: get a new one")

    def message_store(self, request: Request) -> Principal:
        """The caller of `/rpc`, `/subscribe`, `/import` or `/export`; all of them, in the API's own words.

        Raises:
            DialectError: nobody, or nobody we know. `UnseenNamespace` only in test mode.
        """
        if self.relaxed:
            return self._anyone(request)
        token = presented.presented_token(request)
        known = self._known(token)
        if known is not None and self._lives(known.row):
            return unbound(known.principal)
        raise presented.refusal(token)

    def guarded(self, handler: Handler) -> Handler:
        """`handler`, asked only with `request.principal` set, in the message-store API's way.

        In test mode namespaces are made on first use, and who came without a token is given one.
        """

        def strict(request: Request) -> Answer | Awaitable[Answer]:
            try:
                request.principal = self.message_store(request)
            except ApplianceError as error:
                return in_dialect(error).response()
            return handler(request)

        async def relaxed(request: Request) -> Answer:
            try:
                request.principal = await self._anyone_at_all(request)
            except ApplianceError as error:
                return in_dialect(error).response()
            begun = handler(request)
            answer = await begun if inspect.isawaitable(begun) else begun
            if not presented.claimed_token(request):
                answer.headers += tuple((name, self.owner_token) for name in TOKEN_HEADERS)
            return answer

        return relaxed if self.relaxed else strict

    def verdict(self, principal: Principal) -> str:
        """Why a caller who was let in earlier would not be let in now; empty: they would. For sweeps."""
        if self._spaces.get(principal.namespace.id) != principal.namespace:
            return REVOKED
        if not principal.token_id:
            return ""
        known = self._rows.get(principal.token_id)
        if known is None or known.row.revoked is not None:
            return REVOKED
        return "" if self._lives(known.row) else EXPIRED

    # Namespaces

    @property
    def namespaces(self) -> list[Namespace]:
        """Newest first."""
        return sorted(self._spaces.values(), key=lambda space: (space.created, space.key), reverse=True)

    def namespace(self, id: str) -> Namespace:
        """Raises NotFound."""
        if (found := self._spaces.get(id)) is None:
            raise NotFound(f"Namespace '{id}' not found", namespace=id)
        return found

    async def create_namespace(self, id: str, description: str = "", token: str = "") -> tuple[Namespace, str]:
        """A new namespace and its token, which works at once.

        Args:
            token: well-formed and for this namespace; empty: make one.

        Raises:
            Rejected: no such id can be.
            Duplicate: it exists.
        """
        store.check_namespace_id(id)
        text = token or make_token(id, self._world.secret(SECRET_BYTES))
        token_id, now = self._world.new_id(), self._world.wall_us()
        namespace, _ = await self._change(
            lambda engine: store.create_namespace(engine, id, description, text, token_id=token_id, now_us=now),
            self._adopt_namespace,
        )
        return namespace, text

    async def delete_namespace(self, id: str) -> int:
        """Everything in it goes, its tokens end. Returns how many events there were.

        Raises:
            NotFound: no such namespace.
            Forbidden: it is `default`.
        """
        if id == DEFAULT:
            raise Forbidden("namespace 'default' cannot be deleted", namespace=id)
        space = self.namespace(id)
        return await self._change(lambda engine: engine.delete_namespace(space.key), lambda _: self._drop(space))

    async def clear_namespace(self, space: Namespace) -> int:
        """All its events go, its tokens stay. Returns how many events there were."""
        return await self._change(
            lambda engine: engine.clear_namespace(space.key), lambda _: self._log.forget(space.key)
        )

    # Tokens

    async def create_token(self, caller: Principal, wish: TokenWish) -> tuple[str, TokenRow]:
        """A token's text, shown this once, and what is stored of it.

        Raises:
            Forbidden: the caller is no admin there.
            Rejected: there can be no such token.
            NotFound: no such namespace.
        """
        require_admin(caller, wish)
        id, now = self._world.new_id(), self._world.wall_us()
        return await self._change(
            lambda engine: store.create_token(engine, wish, id=id, secret=self._world.secret, now_us=now),
            lambda made: self._adopt(made[1]),
        )

    def list_tokens(self, caller: Principal) -> list[tuple[TokenRow, Namespace]]:
        """Those of the caller's namespace, for the operator all; oldest first.

        Raises:
            Forbidden: the caller is no admin.
        """
        caller.require(ADMIN)
        known = [(one.row, one.principal.namespace) for one in self._rows.values()]
        seen = [(row, space) for row, space in known if caller.operator or space.key == caller.namespace.key]
        return sorted(seen, key=lambda pair: (pair[0].created, pair[0].id))

    async def revoke_token(self, caller: Principal, id: str) -> TokenRow:
        """End a token at once.

        Raises:
            NotFound: no such token, or none the caller may see.
            Rejected: it is the owner's.
        """
        if all(row.id != id for row, _ in self.list_tokens(caller)):
            raise NotFound(f"there is no token {id}", hint="appliance token list shows them", token=id)
        now = self._world.wall_us()
        return await self._change(lambda engine: store.revoke_token(engine, id, now_us=now), self._adopt)

    # The first visit

    def one_time_link(self, base_url: str) -> str:
        """An address that makes its visitor an admin of namespace `default`: once, within 15 minutes.

        The code is the fragment, which browsers keep to themselves: it gets into no log, no proxy and no Referer.
        """
        code = self._visits.issue(self._world.secret(CODE_BYTES), self._world.now())
        return f"{base_url}/welcome#code={code}"

    async def redeem(self, code: str, address: str) -> tuple[str, TokenRow]:
        """The admin's token that a one-time link promised: its text, shown this once, and what is stored of it.

        Args:
            address: whose guesses are counted.

        Raises:
            Unauthenticated: used, expired or never given.
            LimitReached: too many guesses.
        """
        self._visits.enter(code, address, self._world.now())
        try:
            return await self.create_token(self._owner(), store.first_visit(self._world.wall_us()))
        except ApplianceError:
            self._visits.codes.give_back(code)
            raise

    # Inside

    def _known(self, token: str) -> _Known | None:
        digest = hash_token(token)
        known = self._callers.get(digest[:KEY])
        return known if known is not None and hmac.compare_digest(known.row.hash, digest) else None

    def _lives(self, row: TokenRow) -> bool:
        return row.revoked is None and (row.expires is None or self._world.wall_us() < row.expires)

    def _owner(self) -> Principal:
        return self._rows[OWNER].principal

    def _anyone(self, request: Request) -> Principal:
        """Test mode: what a token claims is believed, and nothing is needed."""
        token = presented.claimed_token(request)
        if not token:
            return self._owner()
        known = self._known(token)
        if known is not None:
            if not self._lives(known.row):
                raise presented.refusal(token)
            return unbound(known.principal)
        claimed = presented.claimed_namespace(token)
        found = self._spaces.get(claimed)
        if found is not None:
            return whole(found)
        if claimed in self._deleted:
            raise presented.refusal(token)
        raise presented.UnseenNamespace(claimed, token)

    async def _anyone_at_all(self, request: Request) -> Principal:
        try:
            return self._anyone(request)
        except presented.UnseenNamespace as unseen:
            try:
                space, _ = await self.create_namespace(unseen.namespace, token=unseen.token)
            except Duplicate:  # somebody else was first
                space = self.namespace(unseen.namespace)
            return whole(space)

    async def _load(self) -> None:
        now = self._world.wall_us()
        self.owner_token = await self._log.control(
            lambda engine: store.settle_owner(
                engine, self._file, given=self.owner_token, secret=self._world.secret, now_us=now
            )
        )
        spaces, rows = await self._log.reading(lambda reader: (reader.namespaces(), reader.tokens()))
        self._spaces = {space.id: space for space in spaces}
        self._ids = {space.key: space.id for space in spaces}
        for row in rows:
            self._adopt(row)

    async def _change(self, work: Callable[[Engine], T], adopt: Callable[[T], None]) -> T:
        """Change the store, then our picture of it. Goes on to its end even if the caller leaves."""
        done: list[T] = []
        refused: list[ApplianceError] = []
        over = trio.Event()

        async def carry_out() -> None:
            try:
                async with self._changing:
                    result = await self._log.control(work)
                    adopt(result)
                done.append(result)
            except ApplianceError as error:
                refused.append(error)
            finally:
                over.set()

        assert self._nursery is not None, "the service runs"
        self._nursery.start_soon(carry_out)
        await over.wait()
        if refused:
            raise refused[0]
        if not done:
            raise Unavailable("the appliance is stopping", hint="try again in a few seconds")
        return done[0]

    def _adopt_namespace(self, made: tuple[Namespace, TokenRow]) -> None:
        space, row = made
        self._spaces[space.id] = space
        self._ids[space.key] = space.id
        self._deleted.discard(space.id)
        self._adopt(row)

    def _adopt(self, row: TokenRow) -> None:
        space = self._spaces[self._ids[row.namespace]]
        before = self._rows.get(row.id)
        if before is not None:
            self._callers.pop(before.row.hash[:KEY], None)
        principal = Principal(
            space,
            frozenset(row.scopes),
            subject=row.name or row.id,
            token_id=row.id,
            operator=space.id == DEFAULT and ADMIN in row.scopes,
            memories=frozenset(row.memories),
        )
        known = _Known(row, principal)
        self._rows[row.id] = self._callers[row.hash[:KEY]] = known

    def _drop(self, space: Namespace) -> None:
        self._log.forget(space.key)
        self._spaces.pop(space.id, None)
        self._ids.pop(space.key, None)
        self._deleted.add(space.id)
        for known in [known for known in self._rows.values() if known.row.namespace == space.key]:
            del self._rows[known.row.id]
            self._callers.pop(known.row.hash[:KEY], None)
