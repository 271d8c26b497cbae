"""Who is asking: every caller is known by a token of some kind, and every token lives in one namespace.

Both are few and asked for with each request: all are held in memory (`Book`). A change goes to disk first (`Changes`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import trio

from appliance.auth import presented, store
from appliance.auth.attempts import Attempts
from appliance.auth.book import DEFAULT, EXPIRED, REVOKED, Book
from appliance.auth.changes import Changes
from appliance.auth.codes import CODE_BYTES, Visits
from appliance.auth.credentials import BEARERS, Credential, forget, keep, of_token
from appliance.auth.guard import relaxed, strict
from appliance.auth.housekeeping import Housekeeping
from appliance.auth.presented import Shown, Way
from appliance.auth.rights import require_admin, unbound, whole
from appliance.auth.signed import SignedTokens
from appliance.auth.store import OWNER, OwnerFile, TokenWish
from appliance.auth.tickets import Tickets
from appliance.auth.tokens import SECRET_BYTES, make_token
from appliance.errors import ApplianceError, Duplicate, Forbidden, Unauthenticated
from appliance.model.event import Namespace
from appliance.model.http import Handler, Request
from appliance.model.principal import ADMIN, Principal
from appliance.model.state import StateChange
from appliance.storage.ports import Engine, Reader, TokenRow
from appliance.world import World

__all__ = ["Identity"]

T = TypeVar("T")


class _Log(Protocol):
    async def reading(self, work: Callable[[Reader], T]) -> T: ...

    async def control(self, work: Callable[[Engine], T]) -> T: ...

    def forget(self, namespace: int) -> None: ...


class Identity:
    """A supervised service: who may do what, and the keeper of namespaces and tokens.

    Args:
        run_folder: where `owner.token` is kept; None: the owner's token is kept nowhere (a log in memory).
        token: the owner's token from now on; empty: go on with the one there is, or make one.
        relaxed: test mode. Whoever brings no token acts as the owner, and namespaces are made on first use.
        signed: whose signed tokens are believed; None: nobody's.
    """

    name: ClassVar[str] = "auth"

    def __init__(
        self,
        log: _Log,
        world: World,
        *,
        run_folder: Path | None = None,
        token: str = "",
        relaxed: bool = False,
        signed: SignedTokens | None = None,
    ) -> None:
        if token:
            store.check_owner_token(token)
        self.owner_token = token  # once `run` has started: the working token of namespace `default`
        self.relaxed = relaxed
        self.signed = signed or SignedTokens()
        self.book = Book(self.signed.stands)
        self.attempts = Attempts()
        self.tickets = Tickets()
        self._log = log
        self._world = world
        self._file = None if run_folder is None else OwnerFile(run_folder)
        self._deleted: set[str] = set()  # namespaces that an old token does not bring back
        self._changes = Changes(log)
        self._visits = Visits(self.attempts)
        self.housekeeping = Housekeeping(self, world)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._changes.begin(nursery)
            await self._load()
            task_status.started()
            nursery.start_soon(self.housekeeping.run)
            nursery.start_soon(self.signed.follow)
            await trio.sleep_forever()

    async def drain(self) -> None:
        """How long access tokens are good for by now."""
        with contextlib.suppress(ApplianceError):  # they end a little earlier, then
            await self.housekeeping.write_down()

    def reload(self) -> None:
        """Read the keys of signed tokens again. Raises ConfigError: those of before stay."""
        self.signed.renew()

    # Asking who it is

    def authenticate(self, request: Request) -> Principal:
        """The caller of an ordinary route, or of a WebSocket, which may also offer the token as a subprotocol.

        Raises:
            Unauthenticated: no token, or none of ours.
            LimitReached: too many of these came from there.
        """
        shown = presented.shown(request)
        if shown.way is Way.NONE:
            if self.relaxed:
                return self._owner()
            raise Unauthenticated("this needs a token", hint="send the header Authorization: Bearer TOKEN")
        found = self._caller(shown, request.peer)
        if found is None and self.relaxed and shown.way is Way.HEADER and self.book.find(shown.text) is None:
            space = self.book.spaces.get(presented.claimed_namespace(shown.text))
            found = None if space is None else whole(space)
        if found is None:
            raise Unauthenticated("this token is not valid", hint="it may have expired or been revoked: get a new one")
        return found

    def visitor(self, request: Request) -> Principal | None:
        """The caller of a route that also serves strangers: None, unless something is shown; then as `authenticate`."""
        if presented.shown(request).way is Way.NONE and not self.relaxed:
            return None
        return self.authenticate(request)

    def message_store(self, request: Request) -> Principal:
        """The caller of `/rpc`, `/subscribe`, `/import` or `/export`; all of them, in the API's own words.

        Raises:
            DialectError: nobody, or nobody we know. `UnseenNamespace` only in test mode.
            LimitReached: too many of these came from there.
        """
        if self.relaxed:
            return self._anyone(request)
        shown = presented.presented_token(request)
        found = self._caller(shown, request.peer)
        if found is not None:
            return unbound(found)
        raise presented.refusal(shown.text)

    def guarded(self, handler: Handler) -> Handler:
        """`handler`, asked only with `request.principal` set, in the message-store API's way."""
        return relaxed(handler, self.anyone, lambda: self.owner_token) if self.relaxed else strict(handler, self)

    def verdict(self, principal: Principal) -> str:
        """Why a caller who was let in earlier would not be let in now; empty: they would. For sweeps."""
        if self.book.spaces.get(principal.namespace.id) != principal.namespace:
            return REVOKED
        if not principal.token_id:
            return ""
        now = self._world.wall_us()
        if principal.expires is not None and now >= principal.expires:
            return EXPIRED
        return self.book.fate(principal.token_id, now)

    # Namespaces

    @property
    def namespaces(self) -> list[Namespace]:
        """Newest first."""
        return sorted(self.book.spaces.values(), key=lambda space: (space.created, space.key), reverse=True)

    def namespace(self, id: str) -> Namespace:
        """Raises NotFound."""
        return self.book.namespace(id)

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
        namespace, _ = await self._changes.make(
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
        return await self._changes.make(lambda engine: engine.delete_namespace(space.key), lambda _: self._drop(space))

    async def clear_namespace(self, space: Namespace) -> int:
        """All its events go, its tokens stay. Returns how many events there were."""
        return await self._changes.make(
            lambda engine: engine.clear_namespace(space.key), lambda _: self._log.forget(space.key)
        )

    # Tokens

    async def create_token(self, caller: Principal, wish: TokenWish) -> tuple[str, Credential]:
        """A token's text, shown this once, and what is stored of it.

        Raises:
            Forbidden: the caller is no admin there.
            Rejected: there can be no such token.
            NotFound: no such namespace.
        """
        require_admin(caller, wish)
        id, now = self._world.new_id(), self._world.wall_us()
        text, row = await self._changes.make(
            lambda engine: store.create_token(engine, wish, id=id, secret=self._world.secret, now_us=now),
            lambda made: self.book.adopt(of_token(made[1])),
        )
        return text, of_token(row)

    def list_tokens(self, caller: Principal) -> list[tuple[Credential, Namespace]]:
        """Those of the caller's namespace, for the operator all; oldest first.

        Raises:
            Forbidden: the caller is no admin.
        """
        caller.require(ADMIN)
        known = [(one.row, one.principal.namespace) for one in self.book]
        seen = [(row, space) for row, space in known if caller.operator or space.key == caller.namespace.key]
        return sorted(seen, key=lambda pair: (pair[0].created, pair[0].id))

    async def revoke_token(self, caller: Principal, id: str) -> Credential:
        """End a token of any kind at once.

        Raises:
            NotFound: no such token, or none the caller may see.
            Rejected: it is the owner's.
        """
        found = next((row for row, _ in self.list_tokens(caller) if row.id == id), None)
        if found is None:
            raise store.no_such_token(id)
        if found.kind != "token":
            await self.keep(drop=lambda: [found])
            return found
        now = self._world.wall_us()
        row = await self._changes.make(
            lambda engine: store.revoke_token(engine, id, now_us=now), lambda row: self.book.adopt(of_token(row))
        )
        return of_token(row)

    async def keep(
        self,
        *rows: Credential,
        drop: Callable[[], Sequence[Credential]] = lambda: (),
        besides: Sequence[StateChange] = (),
        check: Callable[[], None] = lambda: None,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Store credentials that are no namespace tokens, end others, and make other changes of state: all or nothing.

        Args:
            drop: asked, when the turn of this change has come, what to end.
            check: called then too; raises to refuse.
            then: called once it is on disk, in the same step as our picture changes.
        """
        ended: list[Credential] = []
        changes = [*map(keep, rows), *besides]

        def first() -> None:
            check()
            ended.extend(drop())
            changes.extend(map(forget, ended))

        def adopt(_: int) -> None:
            self.book.forget(*ended)
            self.book.adopt(*rows)
            then()

        await self._changes.make(lambda engine: engine.change_state(changes), adopt, first=first)

    # The first visit

    def one_time_link(self, base_url: str) -> str:
        """An address that makes its visitor an admin of namespace `default`: once, within 15 minutes.

        The code is the fragment, which browsers keep to themselves: it gets into no log, no proxy and no Referer.
        """
        code = self._visits.issue(self._world.secret(CODE_BYTES), self._world.now())
        return f"{base_url}/welcome#code={code}"

    async def redeem(self, code: str, address: str) -> tuple[str, Credential]:
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

    def _caller(self, shown: Shown, address: str) -> Principal | None:
        """Who shows this and counts. What nobody was given is a guess, and guesses are counted."""
        known = self.book.find(shown.text)
        if known is not None and known.lasting and (shown.way is Way.HEADER or shown.way is Way.QUERY):
            return known.principal  # which is what nearly all requests come with
        now = self._world.wall_us()
        if shown.way is Way.TICKET:
            holder = self.tickets.spend(shown.text, self._world.now())
            if holder is not None:
                return None if self.verdict(holder) else holder
        if known is not None:
            if known.row.kind not in _TAKEN[shown.way] or self.book.fate(known.row.id, now):
                return None
            self.housekeeping.used(known.row, now)
            return known.principal
        if shown.way is Way.HEADER and shown.text.count(".") == 2:
            found, honest = self.signed.principal(shown.text, self.book, now)
            if found is not None or honest:
                return found
        if not self.relaxed:  # where no token is needed, guessing one wins nothing
            self.attempts.failed(address, self._world.now())
        return None

    def _owner(self) -> Principal:
        owner = self.book.get(OWNER)
        assert owner is not None, "the service runs"
        return owner.principal

    def _anyone(self, request: Request) -> Principal:
        """Test mode: what a token claims is believed, and nothing is needed."""
        token = presented.claimed_token(request) or presented.bearer(request)
        found = self._caller(Shown(Way.HEADER, token), request.peer) if token else None
        if found is not None:
            return unbound(found)
        claimed = presented.claimed_namespace(token)
        if not claimed:
            return self._owner()
        if self.book.find(token) is not None or claimed in self._deleted:
            raise presented.refusal(token)
        space = self.book.spaces.get(claimed)
        if space is not None:
            return whole(space)
        raise presented.UnseenNamespace(claimed, token)

    async def anyone(self, request: Request) -> Principal:
        """Test mode: as `message_store`, and namespaces are made on first use."""
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
        await self._log.reading(lambda reader: store.load(reader, self.book))

    def _adopt_namespace(self, made: tuple[Namespace, TokenRow]) -> None:
        space, row = made
        self.book.open([space])
        self._deleted.discard(space.id)
        self.book.adopt(of_token(row))

    def _drop(self, space: Namespace) -> None:
        self._log.forget(space.key)
        self.book.close(space)
        self._deleted.add(space.id)


_TAKEN = {  # what may come in which way
    Way.HEADER: BEARERS,
    Way.QUERY: frozenset({"token"}),
    Way.TICKET: frozenset[str](),
    Way.STREAM: frozenset({"stream"}),
}
